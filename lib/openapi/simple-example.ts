import { isJsonObject, type JsonObject } from '../json.ts'
import { hasUnsafeName } from './unsafe-names.ts'

/** Longest schema that an example is made of (characters), and how deep the example may be nested. */
const maxLength = 65_536
const maxDepth = 5

/** Stands for a value that cannot be made: `undefined` is no JSON, and `null` is. */
const none = Symbol('no example')

/**
 * The text of an object with what a schema requires: for each property what its author gives as an example, a default
 * or the only choice, else the plainest value of its type.
 *
 * `null` for a schema that asks for more than is understood here, like a pattern or a combination of schemas: an
 * example that the schema refuses is worse than none.
 */
export function simpleExample (schemaText: string): string | null {
  if (schemaText.length > maxLength) return null
  const schema = JSON.parse(schemaText) as unknown
  if (!isJsonObject(schema) || [schema.type ?? 'object'].flat()[0] !== 'object') return null
  const value = objectOf(schema, 0)
  return value === none || hasUnsafeName(value) ? null : JSON.stringify(value)
}

const annotations = [
  'title', 'description', 'default', 'examples', 'deprecated', 'readOnly', 'writeOnly', '$comment', '$schema', '$defs',
  'definitions'
]
const ofAny = ['type', 'enum', 'const']
const understood: Readonly<Record<string, ReadonlySet<string>>> = {
  object: new Set(['properties', 'required', 'additionalProperties']),
  array: new Set(['items', 'minItems', 'maxItems', 'uniqueItems']),
  string: new Set(['minLength', 'maxLength', 'format']),
  number: new Set(['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum']),
  integer: new Set(['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum']),
  boolean: new Set(),
  null: new Set()
}

const textsOfFormats: Readonly<Record<string, string>> = {
  date: '2026-01-01',
  'date-time': '2026-01-01T10:00:00Z',
  email: 'name@example.com',
  uri: 'https://example.com/',
  uuid: '0f8fad5b-d9cb-469f-a165-70867728950e'
}

function valueOf (schema: unknown, depth: number): unknown {
  if (schema === true) return 'text'
  if (!isJsonObject(schema) || depth > maxDepth) return none
  const type = String([schema.type ?? (Object.hasOwn(schema, 'properties') ? 'object' : 'string')].flat()[0])
  const known = understood[type]
  const isUnderstood = known !== undefined && Object.keys(schema).every(keyword =>
    known.has(keyword) || ofAny.includes(keyword) || annotations.includes(keyword) || keyword.startsWith('x-'))
  if (!isUnderstood) return none
  for (const candidate of authored(schema)) if (fits(candidate, type, schema)) return candidate
  if (Object.hasOwn(schema, 'const') || Object.hasOwn(schema, 'enum')) return none
  if (type === 'object') return objectOf(schema, depth)
  if (type === 'array') return arrayOf(schema, depth)
  const plain = plainest(type, schema)
  return fits(plain, type, schema) ? plain : none
}

/** Values that the author of a schema wrote down, the one that says most first. Only scalars are taken. */
function authored ({ const: only, enum: choices, examples, default: usual }: JsonObject): unknown[] {
  if (only !== undefined) return [only]
  if (Array.isArray(choices)) return choices
  return [...(Array.isArray(examples) ? examples as unknown[] : []), usual]
}

function plainest (type: string, { minimum, exclusiveMinimum, maximum, format }: JsonObject): unknown {
  if (type === 'string') return format === undefined ? 'text' : textsOfFormats[String(format)]
  if (type === 'boolean') return true
  if (type === 'null') return null
  if (typeof minimum === 'number') return minimum
  if (typeof exclusiveMinimum === 'number') return Math.floor(exclusiveMinimum) + 1
  return typeof maximum === 'number' && maximum < 1 ? maximum : 1
}

function fits (value: unknown, type: string, schema: JsonObject): boolean {
  const bound = (keyword: string, usual: number) => typeof schema[keyword] === 'number' ? schema[keyword] : usual
  if (type === 'string') {
    const isLong = typeof value === 'string' &&
      [...value].length >= bound('minLength', 0) && [...value].length <= bound('maxLength', Infinity)
    return isLong && (schema.format === undefined || value === textsOfFormats[String(schema.format)])
  }
  if (type === 'number' || type === 'integer') {
    // Beyond these a number is not what its author wrote.
    if (typeof value !== 'number' || Math.abs(value) > Number.MAX_SAFE_INTEGER) return false
    if (['exclusiveMinimum', 'exclusiveMaximum'].some(keyword => typeof schema[keyword] === 'boolean')) return false
    return (type === 'number' || Number.isInteger(value)) &&
      value >= bound('minimum', -Infinity) && value <= bound('maximum', Infinity) &&
      value > bound('exclusiveMinimum', -Infinity) && value < bound('exclusiveMaximum', Infinity)
  }
  if (type === 'boolean') return typeof value === 'boolean'
  return type === 'null' && value === null
}

function objectOf ({ properties = {}, required = [], additionalProperties, ...others }: JsonObject, depth: number) {
  const isPlain = Object.keys(others).every(keyword =>
    keyword === 'type' || annotations.includes(keyword) || keyword.startsWith('x-'))
  if (!isPlain || !isJsonObject(properties) || !Array.isArray(required)) return none
  // Many validators take what every object has by such a name for the property.
  if (Object.keys(properties).some(name => name in Object.prototype)) return none
  const members = (required as unknown[]).map((name): [string, unknown] => {
    const isDeclared = typeof name === 'string' && Object.hasOwn(properties, name)
    return [String(name), isDeclared ? valueOf(properties[name], depth + 1) : none]
  })
  return members.some(([, value]) => value === none) ? none : Object.fromEntries(members)
}

function arrayOf ({ items = true, minItems = 0, uniqueItems }: JsonObject, depth: number) {
  if (minItems === 0) return []
  if (typeof minItems !== 'number' || minItems > (uniqueItems === true ? 1 : 3)) return none
  const item = valueOf(items, depth + 1)
  return item === none ? none : Array.from({ length: minItems }, () => item)
}
