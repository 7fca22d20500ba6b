import { isJsonObject, type JsonObject, mapValues } from '../json.ts'
import { unescapeToken } from '../json-pointer.ts'

/*
 * The places of schemas within a schema, by JSON Schema from draft-07 to 2020-12. Schemas come from servers: this code
 * does not trust them to be well-formed, small, or without cycles.
 */

const mapsOfSchemas = new Set([
  'properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas', 'dependencies'
])
const schemas = new Set([
  'allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else', 'items', 'prefixItems', 'additionalItems', 'contains',
  'unevaluatedItems', 'additionalProperties', 'unevaluatedProperties', 'propertyNames', 'contentSchema'
])

/**
 * Keywords whose schemas describe the same value as their own schema. `not` is none of them: it says what the value
 * must not be.
 */
const ofTheSameValue = new Set(['allOf', 'anyOf', 'oneOf', 'if', 'then', 'else', 'dependentSchemas', 'dependencies'])

export const describesSameValue = (keyword: string) => ofTheSameValue.has(keyword)
export const holdsDefinitions = (keyword: string) => keyword === '$defs' || keyword === 'definitions'

/**
 * A schema with each schema directly in it mapped. Data is left alone: a `default` may look like a schema, and a
 * property may be called `items`. Does not modify its input.
 */
export function mapSubschemas (
  schema: JsonObject, map: (subschema: JsonObject, keyword: string) => JsonObject
): JsonObject {
  return Object.fromEntries(Object.entries(schema).map(([keyword, value]) => {
    const mapped = (value: unknown) => isJsonObject(value) ? map(value, keyword) : value
    if (mapsOfSchemas.has(keyword) && isJsonObject(value)) return [keyword, mapValues(value, mapped)]
    if (!schemas.has(keyword)) return [keyword, value]
    return [keyword, Array.isArray(value) ? value.map(mapped) : mapped(value)]
  }))
}

/** The schema that a local reference (`#`, `#/…`) leads to; `null` for any other, and for one that leads nowhere. */
export function resolveReference (root: JsonObject, reference: unknown): JsonObject | null {
  if (typeof reference !== 'string' || !/^#(\/|$)/.test(reference)) return null
  let value: unknown = root
  for (const token of reference.split('/').slice(1)) {
    const key = decodeToken(token)
    if (typeof value !== 'object' || value === null || key === null || !Object.hasOwn(value, key)) return null
    value = (value as JsonObject)[key]
  }
  return isJsonObject(value) ? value : null
}

/** @see https://www.rfc-editor.org/rfc/rfc6901#section-6 */
function decodeToken (token: string): string | null {
  try {
    return unescapeToken(decodeURIComponent(token))
  } catch {
    return null // % and no two digits: leads nowhere
  }
}

/** The schemas one step away that describe the same value: referenced, or in a keyword that combines schemas. */
export function schemasOfSameValue (schema: JsonObject, root: JsonObject): JsonObject[] {
  const found: JsonObject[] = []
  const referenced = resolveReference(root, schema.$ref)
  if (referenced !== null) found.push(referenced)
  const combining = Object.entries(schema).filter(([keyword]) => describesSameValue(keyword))
  if (combining.length === 0) return found
  mapSubschemas(Object.fromEntries(combining), subschema => {
    found.push(subschema)
    return subschema
  })
  return found
}

/** Names of the properties that a schema declares, also in schemas that it references or combines. */
export function declaredNames (schema: unknown): string[] {
  if (!isJsonObject(schema)) return []
  const names = new Set<string>()
  for (const { properties } of topLevelSchemas(schema)) {
    for (const name of isJsonObject(properties) ? Object.keys(properties) : []) names.add(name)
  }
  return [...names]
}

/** Names of the properties that a schema requires in any case, also in schemas that it references or that all hold. */
export function requiredNames (root: unknown): string[] {
  if (!isJsonObject(root)) return []
  const names = new Set<string>()
  const schemas = new Set([root])
  // The loop reaches members that it adds on the way.
  for (const { required, $ref, allOf } of schemas) {
    for (const name of Array.isArray(required) ? required : []) if (typeof name === 'string') names.add(name)
    for (const next of [resolveReference(root, $ref), ...Array.isArray(allOf) ? allOf as unknown[] : []]) {
      if (isJsonObject(next)) schemas.add(next)
    }
  }
  return [...names]
}

/** All schemas that describe the value that `root` describes, `root` first. */
export function topLevelSchemas (root: JsonObject): Set<JsonObject> {
  const found = new Set([root])
  // The loop reaches members that it adds on the way. A set has each member once, so a cycle ends it.
  for (const schema of found) {
    for (const next of schemasOfSameValue(schema, root)) found.add(next)
  }
  return found
}
