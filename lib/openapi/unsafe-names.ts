import { isJsonObject, type JsonObject } from '../json.ts'

/**
 * Names at which openapi-typescript ends: it calls the functions that every object has by these names. It takes a
 * property `$ref` for a reference.
 *
 * @see https://github.com/Redocly/redocly-cli/blob/v1.34.5/packages/core/src/resolve.ts the `walk` of its parser
 */
const unsafeNames = new Set([
  '$ref', 'hasOwnProperty', 'isPrototypeOf', 'propertyIsEnumerable', 'toLocaleString', 'valueOf', '__defineGetter__',
  '__defineSetter__', '__lookupGetter__', '__lookupSetter__'
])

/** Whether a value that is no schema has such a name in it, at any depth. */
export function hasUnsafeName (value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return (!Array.isArray(value) && Object.keys(value).some(name => unsafeNames.has(name))) ||
    Object.values(value).some(hasUnsafeName)
}

/**
 * A schema without names that generators end at. Properties of these names are written as patterns, which mean the
 * same. That they are required, or that something depends on them, is left out: `loosened` gets these keywords.
 */
export function withSafeNames (schema: JsonObject, loosened: Set<string>): JsonObject {
  const result = { ...schema }
  const { properties, patternProperties, required } = schema
  const patterns = Object.entries(isJsonObject(patternProperties) ? patternProperties : {})
    .map(([pattern, inner]) => [unsafeNames.has(pattern) ? `(?:${pattern})` : pattern, inner] as const)
  if (isJsonObject(properties)) {
    for (const [name, inner] of Object.entries(properties)) {
      if (unsafeNames.has(name)) patterns.push([`^(?:${name.replace('$', '\\$')})$`, inner])
    }
    result.properties = withoutUnsafe(properties)
  }
  if (patterns.length > 0) result.patternProperties = Object.fromEntries(patterns)
  for (const keyword of ['dependentSchemas', 'dependentRequired']) {
    const value = schema[keyword]
    if (!isJsonObject(value) || !Object.keys(value).some(name => unsafeNames.has(name))) continue
    result[keyword] = withoutUnsafe(value)
    loosened.add(keyword)
  }
  if (Array.isArray(required) && required.some(name => unsafeNames.has(name as string))) {
    result.required = required.filter(name => !unsafeNames.has(name as string))
    loosened.add('required')
  }
  return result
}

const withoutUnsafe = (map: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(map).filter(([name]) => !unsafeNames.has(name)))
