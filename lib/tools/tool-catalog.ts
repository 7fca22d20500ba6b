import type { Listed, ListedItem } from '../mcp/client/list-pages.ts'
import { hasInvalidHeaders } from '../mcp/client/parameter-headers.ts'
import { exposeTool, isTooDeep } from './exposed-tool.ts'
import { declaredNames } from './parameter-injection.ts'

/** A tool, as it is called. */
export interface CatalogTool {
  /** The server's own name of the tool. */
  name: string
  /** Names that the tool's input declares, hidden ones included. */
  declared: readonly string[]
  /** The tool's input schema. Present only for a tool that wants arguments repeated in headers. */
  inputSchema?: unknown
}

export interface ToolCatalog {
  /** The tools as callers see them, each as JSON text, in the server's order. */
  items: readonly string[]
  /** Tools that are left out, and why. */
  warnings: readonly string[]
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
  { items, warnings }: Pick<Listed, 'items' | 'warnings'>,
  instructions: string | undefined,
  { sensitiveParams, exposedName, offers }: ToolCatalogOptions
): ToolCatalog {
  const offered = items.filter(item => offers(nameOf(item)))
  const [usable, faulty] = [offered.filter(item => !asksInvalidly(item)), offered.filter(asksInvalidly)]
  return {
    items: usable.map(item => exposeTool(item, exposedName(nameOf(item)), sensitiveParams)),
    warnings: [
      ...warnings,
      ...faulty.map(item => `tool ${quote(nameOf(item))} has an x-mcp-header that is not allowed`)
    ],
    byName: new Map(usable.map(item => [exposedName(nameOf(item)), describe(item)])),
    instructions
  }
}

const nameOf = ({ value }: ListedItem) => String(value.name) // an item without one is not listed

const maxQuoteLength = 100

/** Names are the server's: they may be long, or hold control characters. */
const quote = (name: string) =>
  JSON.stringify(name.length <= maxQuoteLength ? name : `${name.slice(0, maxQuoteLength)}…`)

/**
 * Few tools use `x-mcp-header`: other schemas are not kept in memory. A schema that is too deep to be walked is taken
 * for one that takes any arguments.
 */
const wantsHeaders = ({ text, value }: ListedItem) => text.includes('x-mcp-header') && !isTooDeep(value.inputSchema)

/** The specification wants such a tool left out, so that nothing that routes by headers is misled. */
const asksInvalidly = (item: ListedItem) => wantsHeaders(item) && hasInvalidHeaders(item.value.inputSchema)

function describe (item: ListedItem): CatalogTool {
  const { inputSchema } = item.value
  return { name: nameOf(item), declared: declaredNames(inputSchema), ...(wantsHeaders(item) && { inputSchema }) }
}
