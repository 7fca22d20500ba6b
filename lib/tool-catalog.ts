import type { JsonObject } from './json.ts'
import type { ListedTools, Manager } from './mcp/manager.ts'
import { declaredNames } from './parameter-injection.ts'
import { hideSensitive } from './schema-filter.ts'

export interface CatalogTool {
  /** Names that the tool's input declares, hidden ones included. */
  declared: readonly string[]
}

export interface Catalog {
  /** The tools as callers see them, in the server's order. */
  tools: JsonObject[]
  byName: ReadonlyMap<string, CatalogTool>
  /** What the servers say of their own use, by server name. */
  instructions: Record<string, string>
}

/** Lists the server's tools through a manager of the current request. */
export type ListTools = () => Promise<ListedTools & Pick<Manager, 'serverName'>>

export interface ToolCatalog {
  /** The list of tools, from memory when it is young enough. */
  list: (listTools: ListTools) => Promise<Catalog>
  /** Names that a tool declares, when that is remembered; asks nobody. */
  peek: (name: string) => readonly string[] | null
  /** One tool; `null` when the server has none of that name, which is asked afresh before it is said. */
  find: (name: string, listTools: ListTools) => Promise<CatalogTool | null>
}

/**
 * Remembers the server's tools for a short time, so that a call to a known tool needs no listing.
 *
 * Holds nothing of any session: the list of a server that starts without a session's credentials is the same for everybody.
 */
export function createToolCatalog ({ ttlMs, sensitiveParams }: { ttlMs: number, sensitiveParams: readonly string[] }): ToolCatalog {
  let known: Catalog | null = null
  let expiresAt = 0

  async function refresh (listTools: ListTools): Promise<Catalog> {
    const { tools, instructions, serverName } = await listTools()
    known = {
      tools: tools.map(tool => hideSensitive(tool, sensitiveParams)),
      byName: new Map(tools.map(tool => [tool.name, { declared: declaredNames(tool.inputSchema) }])),
      instructions: instructions === undefined ? {} : { [serverName]: instructions }
    }
    expiresAt = performance.now() + ttlMs
    return known
  }

  const remembered = () => performance.now() < expiresAt ? known : null
  const list = async (listTools: ListTools) => remembered() ?? await refresh(listTools)

  return {
    list,
    peek: name => remembered()?.byName.get(name)?.declared ?? null,
    async find (name, listTools) {
      const before = known
      const catalog = await list(listTools)
      const tool = catalog.byName.get(name)
      if (tool !== undefined || catalog !== before) return tool ?? null
      return (await refresh(listTools)).byName.get(name) ?? null
    }
  }
}
