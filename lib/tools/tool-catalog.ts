import type { JsonObject } from '../json.ts'
import { createListCache, type Fetched, type ListCache } from './list-cache.ts'
import type { Listed, ToolRequest } from '../mcp/client/server-client.ts'
import { declaredNames } from './parameter-injection.ts'
import { hideSensitiveParams } from './hide-properties.ts'

type Tool = NonNullable<ToolRequest['definition']>

export interface CatalogTool {
  /** As its server calls it. */
  name: string
  /** Names that the tool's input declares, hidden ones included. */
  declared: readonly string[]
  /** The tool as its server lists it, where calling it takes that. */
  definition?: Tool
}

export interface ToolList {
  /** The tools as callers see them, in the server's order. */
  tools: JsonObject[]
  /** By the names that callers know them under. */
  byName: ReadonlyMap<string, CatalogTool>
  /** What the server says of its own use. */
  instructions: string | undefined
}

/** Lists a server's tools through a manager of the current request. */
export type ListTools = () => Promise<Listed<Tool> & { instructions: string | undefined }>

export interface ToolCatalog {
  /** The tools of the server, from memory when that is young enough. */
  list: (audience: string, listTools: ListTools) => Promise<ToolList>
  /** A tool, when it is remembered; asks nobody. For no audience in particular, it is a guess. */
  peek: (name: string, audience?: string) => CatalogTool | null
  /** One tool; `null` when the server has none of that name, which is asked afresh before it is said. */
  find: (name: string, audience: string, listTools: ListTools) => Promise<CatalogTool | null>
  forget: () => void
}

export interface ToolCatalogOptions {
  ttlMs: number
  sensitiveParams: readonly string[]
  /** The name that callers know a tool under. */
  exposedName: (tool: string) => string
  /** Whether a tool is offered at all. */
  offers: (tool: string) => boolean
}

/** Remembers the tools of one server for a short time, so that a call to a known tool needs no listing. */
export function createToolCatalog ({ ttlMs, sensitiveParams, exposedName, offers }: ToolCatalogOptions): ToolCatalog {
  const lists: ListCache<ToolList> = createListCache({ ttlMs })

  const fetch = (listTools: ListTools) => async (): Promise<Fetched<ToolList>> => {
    const { items, ttlMs, instructions } = await listTools()
    const offered = items.filter(({ name }) => offers(name))
    return {
      ttlMs,
      list: {
        tools: offered.map(tool => ({ ...hideSensitiveParams(tool, sensitiveParams), name: exposedName(tool.name) })),
        byName: new Map(offered.map(tool => [exposedName(tool.name), catalogTool(tool)])),
        instructions
      }
    }
  }

  return {
    list: (audience, listTools) => lists.get(audience, fetch(listTools)),
    peek: (name, audience) => lists.peek(audience)?.byName.get(name) ?? null,
    async find (name, audience, listTools) {
      const known = lists.peek(audience)?.byName.get(name)
      return known ?? (await lists.refresh(audience, fetch(listTools))).byName.get(name) ?? null
    },
    forget: lists.forget
  }
}

function catalogTool (tool: Tool): CatalogTool {
  // Only in the era of 2026 a server may want arguments repeated in headers, and few do.
  const wantsHeaders = JSON.stringify(tool.inputSchema).includes('"x-mcp-header"')
  return { name: tool.name, declared: declaredNames(tool.inputSchema), ...(wantsHeaders && { definition: tool }) }
}
