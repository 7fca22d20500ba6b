import { isJsonObject, type JsonObject, mapValues } from '../json.ts'
import type { IsNumber } from '../json-transform.ts'
import { hasUnsafeName, withSafeNames } from './unsafe-names.ts'

/**
 * A schema whose keywords are all of JSON Schema 2020-12 and have the form that it wants. References and the schemas
 * within it are left as they are.
 *
 * What older drafts and OpenAPI 3.0 write in another way is written anew with the same meaning. What means nothing is
 * kept as `x-<keyword>` or left out. What no validator or generator takes, like a pattern of another language, is left
 * out, and `$comment` says so: the document then allows more than the tool.
 */
export function normalizeKeywords (schema: JsonObject, isNumber: IsNumber): JsonObject {
  const loosened = new Set<string>()
  const kept = Object.entries(modernized(schema, isNumber)).flatMap(([keyword, value]): Array<[string, unknown]> => {
    const check = checks.get(keyword)
    if (check === undefined) return furtherKeyword(keyword, value, schema)
    const checked = check(value, isNumber)
    if (checked !== undefined) return [[keyword, checked]]
    if (!annotations.has(keyword)) loosened.add(keyword)
    return []
  })
  const normalized = withTypes(withSafeNames(Object.fromEntries(kept), loosened), loosened, isNumber)
  if (loosened.size === 0) return normalized
  const names = [...loosened].join(', ')
  const own = typeof normalized.$comment === 'string' ? `${normalized.$comment} ` : ''
  return { ...normalized, $comment: `${own}Left out here, not in the tool: ${names}.` }
}

/** Keywords that say nothing of which values are allowed. */
export const annotations = new Set([
  'title', 'description', 'default', 'examples', 'deprecated', 'readOnly', 'writeOnly', '$comment', 'contentEncoding',
  'contentMediaType', 'contentSchema'
])

type Check = (value: unknown, isNumber: IsNumber) => unknown

const when = (isRight: (value: unknown, isNumber: IsNumber) => boolean): Check =>
  (value, isNumber) => isRight(value, isNumber) ? value : undefined
const isText = (value: unknown) => typeof value === 'string'
const isBoolean = (value: unknown) => typeof value === 'boolean'
const isSchema = (value: unknown) => isJsonObject(value) || typeof value === 'boolean'
const asSchema = (value: unknown) => isSchema(value) ? value : {}
const number = when((value, isNumber) => isNumber(value))
const isCount = (value: unknown) => typeof value !== 'number' || (Number.isInteger(value) && value >= 0)
const count = when((value, isNumber) => isNumber(value) && isCount(value))
const text = when(isText)
const flag = when(isBoolean)
const schema = when(isSchema)
/** A member that is no schema demands nothing. */
const schemas: Check = value => Array.isArray(value) && value.length > 0 ? value.map(asSchema) : undefined
const mapOfSchemas: Check = value => isJsonObject(value) ? mapValues(value, asSchema) : undefined
const texts = (value: unknown) => Array.isArray(value) ? [...new Set(value.filter(isText))] : undefined
/** A `$ref` in data would be taken for a reference. */
const data: Check = value => hasReference(value) ? undefined : value

const types = ['null', 'boolean', 'object', 'array', 'number', 'string', 'integer']

function type (value: unknown): unknown {
  if (typeof value === 'string') return types.includes(value) ? value : undefined
  const known = texts(value)?.filter(name => types.includes(name))
  return known === undefined || known.length === 0 ? undefined : known
}

function values (value: unknown): unknown[] | undefined {
  if (!Array.isArray(value) || value.length === 0 || hasReference(value)) return undefined
  const distinct = new Map(value.map(item => [JSON.stringify(item), item as unknown]))
  return [...distinct.values()]
}

const checks = new Map<string, Check>([
  ...['$ref', '$dynamicRef', '$recursiveRef', '$comment', 'title', 'description', 'format', 'contentEncoding',
    'contentMediaType'].map((keyword): [string, Check] => [keyword, text]),
  ...['deprecated', 'readOnly', 'writeOnly', 'uniqueItems'].map((keyword): [string, Check] => [keyword, flag]),
  ...['minLength', 'maxLength', 'minItems', 'maxItems', 'minContains', 'maxContains', 'minProperties',
    'maxProperties'].map((keyword): [string, Check] => [keyword, count]),
  ...['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'].map((keyword): [string, Check] =>
    [keyword, number]),
  ...['not', 'if', 'then', 'else', 'items', 'contains', 'unevaluatedItems', 'additionalProperties',
    'unevaluatedProperties', 'propertyNames', 'contentSchema'].map((keyword): [string, Check] => [keyword, schema]),
  ...['allOf', 'anyOf', 'oneOf', 'prefixItems'].map((keyword): [string, Check] => [keyword, schemas]),
  ...['properties', 'patternProperties', 'dependentSchemas', '$defs', 'definitions'].map((keyword): [string, Check] =>
    [keyword, mapOfSchemas]),
  ['multipleOf', when((value, isNumber) => typeof value === 'number' ? value > 0 : isNumber(value))],
  ['type', type],
  ['enum', values],
  ['const', data],
  ['default', data],
  ['examples', value => Array.isArray(value) ? data(value, () => false) : undefined],
  ['required', texts],
  ['dependentRequired', value => isJsonObject(value) ? mapValues(value, names => texts(names) ?? []) : undefined],
  ['pattern', when(value => isText(value) && isPattern(value as string))]
])

function isPattern (text: string): boolean {
  try {
    return new RegExp(text, 'u') instanceof RegExp
  } catch {
    return false
  }
}

/** Names of the schema itself and of its draft: the document has its own. */
const dropped = new Set([
  '$id', 'id', '$schema', '$anchor', '$dynamicAnchor', '$recursiveAnchor', '$vocabulary', 'discriminator', 'xml',
  'additionalItems', 'dependencies', 'nullable'
])

function furtherKeyword (keyword: string, value: unknown, schema: JsonObject): Array<[string, unknown]> {
  if (dropped.has(keyword) || hasUnsafeName(value)) return []
  if (keyword.startsWith('x-')) return [[keyword, value]]
  const name = `x-${keyword}`
  return Object.hasOwn(schema, name) ? [] : [[name, value]]
}

function hasReference (value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Object.hasOwn(value, '$ref') || Object.values(value).some(hasReference)
}

/** The same in the words of 2020-12, where older drafts and OpenAPI 3.0 have others. */
function modernized (schema: JsonObject, isNumber: IsNumber): JsonObject {
  const { items, additionalItems, dependencies, nullable, type: typeName, example, ...rest } = schema
  const modern: JsonObject = { ...rest }
  if (typeName !== undefined) {
    modern.type = nullable === true && isText(typeName) && typeName !== 'null' ? [typeName, 'null'] : typeName
  }
  if (Array.isArray(items)) {
    if (items.length > 0) modern.prefixItems = items
    if (additionalItems !== undefined) modern.items = additionalItems
  } else if (items !== undefined) modern.items = items
  if (example !== undefined && schema.examples === undefined) modern.examples = [example]
  for (const [exclusive, inclusive] of [['exclusiveMinimum', 'minimum'], ['exclusiveMaximum', 'maximum']] as const) {
    if (typeof schema[exclusive] !== 'boolean') continue
    delete modern[exclusive]
    if (schema[exclusive] !== true || !isNumber(schema[inclusive])) continue
    delete modern[inclusive]
    modern[exclusive] = schema[inclusive]
  }
  if (isJsonObject(dependencies)) {
    const entries = Object.entries(dependencies)
    const required = entries.filter(([, value]) => Array.isArray(value))
    const others = entries.filter(([, value]) => isSchema(value))
    if (required.length > 0) modern.dependentRequired = merged(required, schema.dependentRequired)
    if (others.length > 0) modern.dependentSchemas = merged(others, schema.dependentSchemas)
  }
  return modern
}

const merged = (entries: Array<[string, unknown]>, own: unknown): JsonObject =>
  ({ ...Object.fromEntries(entries), ...(isJsonObject(own) && own) })

/** Without what its types leave no room for, and without patterns of names that cannot be read. */
function withTypes (schema: JsonObject, loosened: Set<string>, isNumber: IsNumber): JsonObject {
  const allowed = schema.type === undefined ? null : [schema.type].flat() as string[]
  const result = { ...schema }
  if (allowed !== null && Array.isArray(schema.enum)) {
    const fitting = schema.enum.filter(value => allowed.some(name => isOfType(value, name, isNumber)))
    if (fitting.length > 0) result.enum = fitting
    else {
      delete result.enum
      result.not = {}
    }
  }
  if (allowed !== null && !allowed.includes('array')) delete result.items
  if (allowed !== null && !allowed.includes('object')) delete result.properties
  const { patternProperties } = schema
  if (isJsonObject(patternProperties) && !Object.keys(patternProperties).every(isPattern)) {
    const readable = Object.entries(patternProperties).filter(([name]) => isPattern(name))
    result.patternProperties = Object.fromEntries(readable)
    loosened.add('patternProperties')
    // A name that the pattern allowed must not be refused for want of it.
    for (const keyword of ['additionalProperties', 'unevaluatedProperties']) {
      if (!Object.hasOwn(result, keyword)) continue
      delete result[keyword]
      loosened.add(keyword)
    }
  }
  return result
}

function isOfType (value: unknown, name: string, isNumber: IsNumber): boolean {
  if (isNumber(value)) return name === 'number' || (name === 'integer' && !(Number(value) % 1))
  if (value === null) return name === 'null'
  const actual: string = Array.isArray(value) ? 'array' : typeof value
  return actual === name
}
