import type { JsonObject } from '../json.ts'
import type { ToolRequest } from '../mcp/client/server-client.ts'
import { hideSensitiveParams } from './hide-properties.ts'
import { declaredNames } from './parameter-injection.ts'

type Tool = NonNullable<ToolRequest['definition']>

/** A tool, as it is called. */
export interface CatalogTool {
  /** The server's own name of the tool. */
  name: string
  /** Names that the tool's input declares, hidden ones included. */
  declared: readonly string[]
  /** The tool as its server lists it. Present only for a tool that wants arguments repeated in headers. */
  definition?: Tool
}

export interface ToolCatalog {
  /** The tools as callers see them, in the server's order. */
  items: JsonObject[]
  /** The same tools by the names that callers know. */
  byName: ReadonlyMap<string, CatalogTool>
  /** How the server says that it is used, if it says so. */
  instructions: string | undefined
}

export interface ToolCatalogOptions {
  sensitiveParams: readonly string[]
  /** The name that callers know a tool under. */
  exposedName: (tool: string) => string
  /** Whether the operator offers a tool at all. */
  offers: (tool: string) => boolean
}

/** The tools of one server: those that are offered, as callers see them and as the server is called. */
export function createToolCatalog (
  tools: readonly Tool[],
  instructions: string | undefined,
  { sensitiveParams, exposedName, offers }: ToolCatalogOptions
): ToolCatalog {
  const offered = tools.filter(({ name }) => offers(name))
  return {
    items: offered.map(tool => ({ ...hideSensitiveParams(tool, sensitiveParams), name: exposedName(tool.name) })),
    byName: new Map(offered.map(tool => [exposedName(tool.name), describe(tool)])),
    instructions
  }
}

function describe (tool: Tool): CatalogTool {
  // Few tools use `x-mcp-header`, which only the era of 2026 has: other definitions are not kept in memory.
  const wantsHeaders = JSON.stringify(tool.inputSchema).includes('"x-mcp-header"')
  return { name: tool.name, declared: declaredNames(tool.inputSchema), ...(wantsHeaders && { definition: tool }) }
}
