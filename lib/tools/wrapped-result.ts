import { isJsonObject } from '../json.ts'
import type { JsonNode } from '../json-text.ts'
import { declaredNames } from './json-schema.ts'

/*
 * MCP wants an object for `structuredContent`. FastMCP wraps a tool's plain value as `{"result": <value>}`, and says so
 * in the tool's output schema: by a mark, or by a schema of that one property with a title that it makes of the tool's
 * name.
 *
 * @see https://gofastmcp.com/servers/tools#output-schemas
 */

const wrapName = 'result'
const wrapMark = 'x-fastmcp-wrap-result'

/** Whether a tool with this output schema wraps its results. */
export function isWrapSchema (outputSchema: unknown): boolean {
  if (!isJsonObject(outputSchema)) return false
  if (outputSchema[wrapMark] === true) return true
  const { properties, title } = outputSchema
  const names = isJsonObject(properties) ? Object.keys(properties) : []
  return names.length === 1 && names[0] === wrapName && typeof title === 'string' && title.endsWith('Output')
}

/** The value within a wrap; `null` for a value that is none. */
export function wrappedValue (node: JsonNode): JsonNode | null {
  const [member, ...others] = node.members ?? []
  return member?.name === wrapName && others.length === 0 ? member.value : null
}

/** Names of the values that a tool with this output schema may give. */
export function outputNames (outputSchema: unknown, hidesIntermediate: boolean): string[] {
  if (!isJsonObject(outputSchema)) return []
  const { properties } = outputSchema
  if (isWrapSchema(outputSchema)) return declaredNames(isJsonObject(properties) ? properties[wrapName] : undefined)
  const names = declaredNames(outputSchema).filter(name => name !== 'status')
  if (!hidesIntermediate || !names.includes('intermediate')) return names
  const intermediate = isJsonObject(properties) ? properties.intermediate : undefined
  return [...names.filter(name => name !== 'intermediate'), ...declaredNames(intermediate)]
}
