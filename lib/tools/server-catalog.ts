import { digestOf } from '../digest.ts'
import type { JsonObject } from '../json.ts'
import { createListCache, type ListCache } from './list-cache.ts'
import type { Server } from '../mcp/server.ts'
import { credentialNames } from '../mcp/servers-file/server-spec.ts'
import { offersTool } from '../mcp/servers-file/tool-filter.ts'
import { createToolNames, type ToolNames } from '../mcp/servers-file/tool-names.ts'
import { createToolCatalog, type ToolCatalog } from './tool-catalog.ts'

/** A server, and what is remembered of it. */
export interface CatalogedServer {
  readonly name: string
  readonly server: Server
  readonly tools: ToolCatalog
  readonly resources: ListCache<JsonObject[]>
  readonly resourceTemplates: ListCache<JsonObject[]>
  readonly prompts: ListCache<JsonObject[]>
  /** The server says that a list of it is not what it was. */
  forgetLists: () => void
  /** Names who gets the same lists from the server as the one with these credentials does. Tells nothing of them. */
  audienceOf: (credentials: JsonObject) => string
}

/** The servers that a request may use: those of the moment when it came. */
export interface ServerCatalog {
  readonly entries: readonly CatalogedServer[]
  readonly names: ToolNames
  /** Servers that keep a session for each of ours. */
  readonly sessionKeepers: readonly string[]
  /** The only server that may have a tool of a name, as callers know it; `null` when there is none. */
  entryOfTool: (tool: string) => CatalogedServer | null
  /** `null` when there is no server of that name. */
  entry: (name: string) => CatalogedServer | null
}

export interface ServerCatalogOptions {
  toolsCacheTtlMs: number
  sensitiveParams: readonly string[]
}

export function createServerCatalog (servers: readonly Server[], { toolsCacheTtlMs, sensitiveParams }: ServerCatalogOptions): ServerCatalog {
  const names = createToolNames(servers.map(({ spec }) => spec))
  const entries = servers.map((server): CatalogedServer => {
    const { spec } = server
    const personal = credentialNames(spec)
    const newList = () => createListCache<JsonObject[]>({ ttlMs: toolsCacheTtlMs })
    const lists = { resources: newList(), resourceTemplates: newList(), prompts: newList() }
    const tools = createToolCatalog({
      ttlMs: toolsCacheTtlMs,
      sensitiveParams,
      exposedName: tool => names.exposedName(spec.name, tool),
      offers: tool => offersTool(spec, tool)
    })
    return {
      name: spec.name,
      server,
      tools,
      ...lists,
      forgetLists: () => [tools, ...Object.values(lists)].forEach(list => list.forget()),
      audienceOf: credentials => personal.length === 0 ? '' : digestOf(personal.map(name => credentials[name]))
    }
  })
  const byName = new Map(entries.map(entry => [entry.name, entry]))
  const entry = (name: string | null) => byName.get(name ?? '') ?? null
  return {
    entries,
    names,
    sessionKeepers: entries.filter(({ server }) => server.sessions !== undefined).map(({ name }) => name),
    entry,
    entryOfTool: tool => entry(names.serverOf(tool))
  }
}
