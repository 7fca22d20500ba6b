import { isJsonObject, type JsonObject } from '../json.ts'

/**
 * A schema whose combinations of schemas are as short as they can be: without members that are there twice or demand
 * nothing, and without combinations of one. It allows the same values; linters and generators stumble over the others.
 */
export function shortenCompositions (schema: JsonObject): JsonObject {
  const { allOf, anyOf, oneOf, ...others } = schema
  const all = membersOf(allOf)
  const any = distinct(membersOf(anyOf))
  const one = membersOf(oneOf)
  const result: JsonObject = { ...others }
  if (any.length === 1) all.push(...any)
  else if (any.length > 1 && !any.some(isEmpty)) result.anyOf = any
  if (one.length === 1) all.push(...one)
  else if (one.length > 1) Object.assign(result, exclusive(one))
  const demanding = distinct(all).filter(member => !isEmpty(member))
  if (demanding.length === 0) return result
  const [only] = demanding
  const isAlone = demanding.length === 1 && Object.keys(result).length === 0
  return isAlone && isJsonObject(only) ? only : { ...result, allOf: demanding }
}

/** No value fits just one of two that are the same, so such a combination is loosened. */
function exclusive (one: unknown[]): JsonObject {
  const members = distinct(one)
  if (members.length === one.length && !members.some(isEmpty)) return { oneOf: one }
  const comment = { $comment: 'Left out here, not in the tool: that just one of several schemas holds.' }
  return members.length < 2 || members.some(isEmpty) ? comment : { ...comment, anyOf: members }
}

const membersOf = (value: unknown): unknown[] => Array.isArray(value) ? [...value] as unknown[] : []
const isEmpty = (value: unknown) => isJsonObject(value) && Object.keys(value).length === 0
const distinct = (members: readonly unknown[]): unknown[] =>
  [...new Map(members.map(member => [JSON.stringify(member), member])).values()]

/**
 * A schema that declares every property that it requires, without demanding more of it. Not where undeclared ones are
 * treated in another way.
 */
export function declareRequired (schema: JsonObject): JsonObject {
  const { required, properties = {}, additionalProperties } = schema
  if (!Array.isArray(required) || !isJsonObject(properties) || additionalProperties !== undefined) return schema
  const undeclared = (required as string[]).filter(name => !Object.hasOwn(properties, name))
  if (undeclared.length === 0) return schema
  return { ...schema, properties: { ...properties, ...Object.fromEntries(undeclared.map(name => [name, {}])) } }
}
