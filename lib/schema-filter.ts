import { isJsonObject, type JsonObject } from './json.ts'

/**
 * A tool as callers see it: without the sensitive names among its input's `properties` and `required`, and without fields
 * that are null or undefined (strict MCP clients refuse `annotations: null`). Does not modify its input.
 */
export function hideSensitive (tool: JsonObject, sensitiveParams: readonly string[]): JsonObject {
  const given = Object.entries(tool).filter(([, value]) => value !== null && value !== undefined)
  return Object.fromEntries(given.map(([field, value]) =>
    [field, field === 'inputSchema' && isJsonObject(value) ? withoutNames(value, sensitiveParams) : value]
  ))
}

function withoutNames (schema: JsonObject, names: readonly string[]): JsonObject {
  const { properties, required } = schema
  const filtered = { ...schema }
  if (isJsonObject(properties)) {
    filtered.properties = Object.fromEntries(Object.entries(properties).filter(([name]) => !names.includes(name)))
  }
  if (Array.isArray(required)) filtered.required = required.filter(name => !names.includes(name))
  return filtered
}
