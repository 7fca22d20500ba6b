import { findUserFault, type ProcessUser } from '../transports/process-user.ts'
import { entryError } from './entry-error.ts'
import type { StdioEntry } from './entry-schema.ts'
import type { StdioSpec } from './server-spec.ts'

/** The user that an entry names; `undefined` for the service's own. Throws ConfigError. */
export function userOf (name: string, { uid, gid }: StdioEntry): ProcessUser | undefined {
  if (uid === undefined && gid !== undefined) {
    throw entryError(name, 'gid', 'needs a uid: a group alone does not keep a server from what is the service\'s')
  }
  return uid === undefined ? undefined : { uid, ...(gid !== undefined && { gid }) }
}

/** Starts a shell to try the user. Throws ConfigError when the server could not run as that user. */
export function checkUser (name: string, { user, command, cwd }: Pick<StdioSpec, 'user' | 'command' | 'cwd'>): void {
  const fault = user && findUserFault(user, { command, cwd })
  if (fault) throw entryError(name, fault.field, fault.rule)
}
