import { isDeeperThan, isJsonObject, type JsonObject } from '../json.ts'
import { applyEdits, type JsonEdit, memberOf, presentMember, readJson, removalsOf, textOf, transformJson } from '../json-text.ts'
import type { ListedItem } from '../mcp/client/list-pages.ts'
import { withoutNames } from './hide-properties.ts'

/** A schema that is nested deeper (levels) would overflow the stack of the code that walks it, and is no honest tool's. */
const maxDepth = 500

const anyArguments = '{"type":"object"}'

/**
 * A tool as callers see it, as JSON text: under the name that they know, its input schema without the sensitive names, and
 * without fields that are `null`, which strict MCP clients refuse. Everything else stays as the server wrote it.
 *
 * A schema that is missing, or that is nested too deep, is one that takes any arguments.
 */
export function exposeTool ({ text, value }: ListedItem, exposedName: string, sensitiveParams: readonly string[]): string {
  const document = readJson(text, 2)
  if (document === null) return text
  const { root } = document
  const schema = presentMember(root, 'inputSchema')
  const edits: JsonEdit[] = removalsOf(root, ({ name, value }) => value.type === 'null' && name !== 'inputSchema')
  const name = memberOf(root, 'name')
  if (name !== null && value.name !== exposedName) edits.push({ ...name, text: JSON.stringify(exposedName) })
  const given = memberOf(root, 'inputSchema')
  if (given !== null) {
    const shown = schema === null ? anyArguments : exposeSchema(textOf(document, schema), value.inputSchema, sensitiveParams)
    if (shown !== textOf(document, given)) edits.push({ ...given, text: shown })
  } else {
    edits.push({ start: root.end - 1, end: root.end - 1, text: `,"inputSchema":${anyArguments}` })
  }
  return applyEdits(document.text, edits.map(({ start, end, text }) => ({ start, end, text })))
}

function exposeSchema (text: string, value: unknown, sensitiveParams: readonly string[]): string {
  if (!isJsonObject(value) || isDeeperThan(value, maxDepth)) return anyArguments
  const names = new Set<unknown>(sensitiveParams)
  return transformJson(text, schema => withoutNames(withoutNulls(schema as JsonObject), names))
}

/** Keywords whose value may be `null`. For any other, servers write it for one that is absent. */
const nullable = new Set(['default', 'const', 'example'])

function withoutNulls (schema: JsonObject): JsonObject {
  const entries = Object.entries(schema)
  const kept = entries.filter(([keyword, value]) => value !== null || nullable.has(keyword))
  return kept.length === entries.length ? schema : Object.fromEntries(kept)
}
