import type { Server } from '../mcp/server.ts'
import { createToolNames } from '../mcp/servers-file/tool-names.ts'
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
}

export function createServerCatalog (servers: readonly Server[], options: CatalogOptions): ServerCatalog {
  const names = createToolNames(servers.map(({ spec }) => spec))
  const all = servers.map(server => createCatalogedServer(server, names, servers.length === 1, options))
  const known = new Map(all.map(server => [server.name, server]))
  const byName = (name: string) => known.get(name) ?? null
  return {
    all,
    sessionKeepers: all.filter(({ server }) => server.sessions !== undefined).map(({ name }) => name),
    byName,
    byExposedName (exposedName) {
      const name = names.serverOf(exposedName)
      return name === null ? null : byName(name)
    }
  }
}
