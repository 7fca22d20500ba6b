import { accessSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'
import type { ProcessUser } from '../transports/process-user.ts'
import type { ServerSpec } from './server-spec.ts'

/** A file of settings that a server finds where it runs, secrets of the service maybe among them. */
export interface ReadableEnvFile { server: string, path: string }

/**
 * The `.env` files in the folders of servers that are processes, where the server's user may read them. `scriptFolder`
 * is that of a server which is given as a script.
 */
export function readableEnvFiles (specs: readonly ServerSpec[], scriptFolder?: string): ReadableEnvFile[] {
  return specs.flatMap(spec => {
    if (spec.kind !== 'stdio') return []
    const folders = scriptFolder === undefined ? [spec.cwd] : [spec.cwd, scriptFolder]
    return [...new Set(folders)]
      .map(folder => join(folder, '.env'))
      .filter(path => mayRead(path, spec.user))
      .map(path => ({ server: spec.name, path }))
  })
}

function mayRead (path: string, user: ProcessUser | undefined): boolean {
  try {
    const stats = statSync(path)
    if (!stats.isFile()) return false
    accessSync(path, constants.R_OK)
    // Rights of a group and of an access list show in the bits of the group. One warning too many is no harm.
    return user === undefined || user.uid === 0 || user.uid === stats.uid || (stats.mode & 0o044) !== 0
  } catch {
    return false // there is none, or none that the service may read; its servers may not either
  }
}
