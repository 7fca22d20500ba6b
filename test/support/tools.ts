import { readJson, valueOf } from '../../lib/json-text.ts'
import type { ListedItem } from '../../lib/mcp/client/list-pages.ts'
import { chainPolicy, type ServerPolicy } from '../../lib/mcp/servers-file/value-policy.ts'
import { type CatalogTool, createToolCatalog, type ToolCatalog, type ToolCatalogOptions } from '../../lib/tools/tool-catalog.ts'

/** An item of a server's list, from its text. */
export function listedItem (text: string): ListedItem {
  const document = readJson(text)
  if (document === null) throw new Error(`${text} is no JSON`)
  return { text, value: valueOf(document, document.root) as ListedItem['value'] }
}

export const chain: ServerPolicy = { ...chainPolicy('up'), validation: 'off' }

/** The tools of the server `up`, from the texts that it lists. */
export function catalogOf (texts: readonly string[], options: Partial<ToolCatalogOptions> = {}): ToolCatalog {
  return createToolCatalog({ items: texts.map(listedItem), warnings: [] }, undefined, {
    server: 'up',
    policy: chain,
    sensitiveParams: ['apiUrl', 'jwtToken'],
    guarded: new Set(),
    marksFilled: false,
    onRefusedCredential: () => {},
    onUnknownTool: () => {},
    exposedName: tool => tool,
    offers: () => true,
    ...options
  })
}

/** A tool that declares these names. */
export function toolWith (declared: readonly string[], options: Partial<ToolCatalogOptions> = {}): CatalogTool {
  const properties = Object.fromEntries(declared.map(name => [name, {}]))
  const tool = catalogOf([JSON.stringify({ name: 'act', inputSchema: { properties } })], options).byName.get('act')
  if (tool === undefined) throw new Error('there is no tool')
  return tool
}
