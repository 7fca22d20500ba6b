import { isDeeperThan, isJsonObject, type JsonObject } from '../json.ts'
import {
  applyEdits, memberOf, presentMember, readJson, removalsOf, settingOf, textOf
} from '../json-text.ts'
import { transformJson } from '../json-transform.ts'
import type { ListedItem } from '../mcp/client/list-pages.ts'
import { withFilledNames, withoutNames } from './hide-properties.ts'

/** A schema that is nested deeper (levels) could overflow the stack of the code that walks it. */
const maxDepth = 500

const anyArguments = '{"type":"object"}'

export interface Exposure {
  /** The name that callers know the tool under. */
  name: string
  /** Parameters that callers do not see. */
  hidden: ReadonlySet<string>
  /** Parameters that need not be sent, because the session fills them. */
  filled: ReadonlySet<string>
}

/**
 * A tool as callers see it, as JSON text: under the name that they know, its input schema without hidden names, and
 * without fields that are `null`, which strict MCP clients refuse. Everything else stays as the server wrote it.
 *
 * A schema that is missing, or that is nested too deep, is one that takes any arguments.
 */
export function exposeTool ({ text, value }: ListedItem, { name, hidden, filled }: Exposure): string {
  const document = readJson(text)
  if (document === null) return text // it was read before
  const { root } = document
  const given = memberOf(root, 'inputSchema')
  const givenText = given && textOf(document, given)
  const schema = presentMember(root, 'inputSchema')
  const shown = schema === null
    ? anyArguments
    : exposeSchema(textOf(document, schema), value.inputSchema, { hidden, filled })
  return applyEdits(document.text, [
    ...removalsOf(root, ({ value }) => value.type === 'null' && value !== given),
    ...(value.name === name ? [] : [settingOf(root, 'name', JSON.stringify(name))]),
    ...(shown === givenText ? [] : [settingOf(root, 'inputSchema', shown)])
  ])
}

function exposeSchema (text: string, value: unknown, { hidden, filled }: Omit<Exposure, 'name'>): string {
  if (!isJsonObject(value) || isTooDeep(value)) return anyArguments
  if (filled.size === 0 && !mayChange(text, hidden)) return text
  return transformJson(text, schema => {
    const visible = withoutNames(withoutNulls(schema as JsonObject), hidden)
    return filled.size === 0 ? visible : withFilledNames(visible, filled)
  }, value)
}

/** Most schemas stay as they are. An escape may hide a name. */
const mayChange = (text: string, names: ReadonlySet<string>) =>
  text.includes('\\') || text.includes('null') || [...names].some(name => text.includes(name))

export const isTooDeep = (schema: unknown): boolean => isDeeperThan(schema, maxDepth)

/** Keywords whose value may be `null`. For any other, servers write it for one that is absent. */
const nullable = new Set(['default', 'const', 'example'])

function withoutNulls (schema: JsonObject): JsonObject {
  const entries = Object.entries(schema)
  const kept = entries.filter(([keyword, value]) => value !== null || nullable.has(keyword))
  return kept.length === entries.length ? schema : Object.fromEntries(kept)
}
