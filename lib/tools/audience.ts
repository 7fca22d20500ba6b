import { digestOf } from '../digest.ts'
import type { JsonObject } from '../json.ts'
import type { Server } from '../mcp/server.ts'
import { credentialNames, type ServerSpec } from '../mcp/servers-file/server-spec.ts'

/** Who asks a server for a list. */
export interface Asker {
  /** Secret. The session's credentials; none where there is no session. */
  credentials: JsonObject
  /** Names the session as no other one ever is named; `null` where there is none. */
  session: string | null
}

/** The audience of what is the same for all who ask. */
export const everybody = ''

/**
 * Names those who may see what a server shows to one of them: its lists, templates, prompts, instructions. A memory of
 * such things is keyed by it. It is a digest and reveals nothing.
 */
export interface Audience {
  /** Before the server was asked, as far as is known of it. */
  expected: (asker: Asker) => string
  /** Once it was asked, in a session that it keeps for the asker's or in none. */
  actual: (asker: Asker, usedSession: boolean) => string
  /** False where the server can tell who asks, as far as its entry says it. */
  readonly mayBeEverybody: boolean
}

/**
 * The one place that decides whose a list is.
 *
 * A server can make a list for one user when it knows who asks: by a credential in its address, headers, arguments or
 * variables; by a session that it keeps for ours, in which it has seen what was called before; or, as one process for
 * all, by a credential in an earlier call. Otherwise it shows the same to everybody.
 */
export function audienceOf (server: Server): Audience {
  const { spec } = server
  const names = credentialNames(spec)
  const isTold = spec.kind === 'stdio' && spec.lifecycle === 'shared' && getsCredentials(spec)
  const ownOf = ({ credentials, session }: Asker) =>
    digestOf([session, names.map(name => credentials[name])])
  const ofCredentials = ({ credentials }: Asker) =>
    names.length === 0 ? everybody : digestOf(names.map(name => credentials[name]))

  const actual = (asker: Asker, usedSession: boolean) =>
    asker.session !== null && (isTold || usedSession) ? ownOf(asker) : ofCredentials(asker)

  return {
    expected: asker => actual(asker, server.sessions?.mayBegin() === true),
    actual,
    mayBeEverybody: names.length === 0 && !isTold
  }
}

/** Whether a call can bring a credential to the server as an argument. */
function getsCredentials ({ policy }: ServerSpec): boolean {
  const sources = [policy, ...policy.tools.values()].flatMap(tool => [...tool.sources.values()])
  return policy.credentials === 'declared' || policy.credentials.length > 0 ||
    sources.some(source => source.kind === 'operator' && source.credentialNames.length > 0)
}
