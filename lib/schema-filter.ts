import { withoutNames } from './hidden-names.ts'
import { isDeeperThan, isJsonObject, type JsonObject } from './json.ts'

/** What is nested deeper (levels) would overflow the stack of whatever writes it as JSON, and is no honest tool's. */
const maxDepth = 500

/**
 * A tool as callers see it: its input schema without the sensitive names, and without fields that are null or undefined
 * (strict MCP clients refuse `annotations: null`). A field that is nested too deep is left out; for an input schema, which
 * every tool must have, stands one that says nothing. Does not modify its input.
 */
export function hideSensitive (tool: JsonObject, sensitiveParams: readonly string[]): JsonObject {
  const names = new Set(sensitiveParams)
  return Object.fromEntries(Object.entries(tool).flatMap(([field, value]) => {
    if (value === null || value === undefined) return []
    if (isDeeperThan(value, maxDepth)) return field === 'inputSchema' ? [[field, { type: 'object' }]] : []
    return [[field, field === 'inputSchema' && isJsonObject(value) ? withoutNames(value, names) : value]]
  }))
}
