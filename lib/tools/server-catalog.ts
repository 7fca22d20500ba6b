import type { Server } from '../mcp/server.ts'
import { createToolNames } from '../mcp/servers-file/tool-names.ts'
import type { SessionSource } from '../mcp/servers-file/value-policy.ts'
import { callerOrigin } from '../value-origin.ts'
import { type CatalogedServer, type CatalogOptions, createCatalogedServer } from './cataloged-server.ts'

/** The servers that a request may use: those that the worker had when the request came. */
export interface ServerCatalog {
  /** In the order of the servers file. */
  readonly all: readonly CatalogedServer[]
  /** Names of the servers that keep a session for each session of ours. */
  readonly sessionKeepers: readonly string[]
  /** `null` when there is no server of that name. */
  byName: (name: string) => CatalogedServer | null
  /** The only server that may have a tool or a prompt of a name, as callers know it; `null` when none may. */
  byExposedName: (exposedName: string) => CatalogedServer | null
  /**
   * Whether callers may change a value of theirs, and remove one of anybody's: not when a tool gets it as an argument
   * of the operator's.
   */
  isWritable: (name: string) => boolean
  isRemovable: (name: string) => boolean
}

/** How much a worker remembers of each kind of the servers' lists (bytes), and of one server's at least. */
const rememberedBytes = 16_777_216
const leastListBytes = 1_048_576

export function createServerCatalog (servers: readonly Server[], options: CatalogOptions): ServerCatalog {
  const names = createToolNames(servers.map(({ spec }) => spec))
  const all = servers.map(server => createCatalogedServer(server, {
    names,
    isOnly: servers.length === 1,
    guarded: guardedNames(servers, server.spec.name),
    maxBytes: Math.max(leastListBytes, rememberedBytes / servers.length)
  }, options))
  const sources = sessionSources(servers).filter(({ isWritable }) => !isWritable)
  const known = new Map(all.map(server => [server.name, server]))
  const byName = (name: string) => known.get(name) ?? null
  return {
    all,
    sessionKeepers: all.filter(({ server }) => server.sessions !== undefined).map(({ name }) => name),
    byName,
    isWritable: name => !sources.some(source => source.name === name && source.from === callerOrigin),
    isRemovable: name => !sources.some(source => source.name === name),
    byExposedName (exposedName) {
      const name = names.serverOf(exposedName)
      return name === null ? null : byName(name)
    }
  }
}

/** Every argument that an operator takes from the session's values, of any tool of any server. */
function sessionSources (servers: readonly Server[]): SessionSource[] {
  return servers.flatMap(({ spec: { policy } }) => [...policy.tools.values()])
    .flatMap(({ sources }) => [...sources.values()])
    .filter(source => source.kind === 'session')
}

/** Names of a server's values that only its results may set. */
const guardedNames = (servers: readonly Server[], server: string): ReadonlySet<string> =>
  new Set(sessionSources(servers)
    .filter(({ from, isWritable }) => from === server && !isWritable)
    .map(({ name }) => name))
