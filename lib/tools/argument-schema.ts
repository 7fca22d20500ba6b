import { isDeeperThan, isJsonObject, isNestedDeeper, type JsonObject, mapValues, parseJsonObject } from '../json.ts'
import { mapSubschemas, resolveReference } from './json-schema.ts'

/** Says why a schema cannot be used. Quotes no values of callers. */
export class UnusableSchemaError extends Error {}

/** A schema in a form that is safe to compile. */
export interface PlainSchema {
  /**
   * Has only keywords that say what a value must be. Its only references are `#/$defs/<name>`, and they all lead to a
   * schema. Each schema in it that says something has {@link stepsKeyword}.
   */
  schema: JsonObject
  /** The draft by which to read it: draft-07, else 2020-12. */
  isDraft07: boolean
  hasFormats: boolean
  hasUnevaluated: boolean
}

/** The keyword that says what it costs to evaluate a schema; its value is of {@link Cost}. */
export const stepsKeyword = 'x-steps'

/** What it costs to evaluate a schema. */
export interface Cost {
  steps: number
  /** Which values cost more by their size, as keywords read all of them. */
  byText: boolean
  byItems: boolean
  byNames: boolean
}

/** Longest text of a schema (characters). */
export const maxSchemaLength = 262_144
const maxSubschemas = 2_000
/** Deepest nesting of a schema (objects and arrays). */
const maxDepth = 500
/**
 * Most subschemas times names of properties in a schema with `unevaluatedProperties`: Ajv writes code for each name
 * wherever schemas are combined.
 */
const maxTrackedNames = 250_000

/** Keywords with schemas in them. */
const applicators = [
  'properties', 'patternProperties', 'dependentSchemas', 'dependencies', 'allOf', 'anyOf', 'oneOf', 'not', 'if', 'then',
  'else', 'items', 'prefixItems', 'additionalItems', 'contains', 'unevaluatedItems', 'additionalProperties',
  'unevaluatedProperties', 'propertyNames'
]
const assertions = [
  'type', 'enum', 'const', 'multipleOf', 'maximum', 'exclusiveMaximum', 'minimum', 'exclusiveMinimum', 'maxLength',
  'minLength', 'pattern', 'maxItems', 'minItems', 'uniqueItems', 'maxContains', 'minContains', 'maxProperties',
  'minProperties', 'required', 'dependentRequired', 'format', 'nullable'
]
const keywords = new Set([...applicators, ...assertions])
const references = ['$ref', '$dynamicRef', '$recursiveRef']

const readText = ['minLength', 'maxLength', 'format']
const readItems = ['items', 'prefixItems', 'additionalItems', 'contains', 'unevaluatedItems', 'uniqueItems']
const readNames = [
  'minProperties', 'maxProperties', 'additionalProperties', 'patternProperties', 'propertyNames',
  'unevaluatedProperties'
]

/** The schema in a text, to be compiled. Throws {@link UnusableSchemaError} for one that cannot be used. */
export function readSchema (text: string): PlainSchema {
  if (text.length > maxSchemaLength) throw new UnusableSchemaError('it is too large')
  if (isNestedDeeper(text, maxDepth)) throw new UnusableSchemaError('it is nested too deep')
  const root = parseJsonObject(text)
  if (root === null) throw new UnusableSchemaError('it is not a JSON object')
  if (isDeeperThan(root, maxDepth)) throw new UnusableSchemaError('it is nested too deep')

  const { found, anchors, users } = survey(root)
  const names = new Map<JsonObject, string>()
  const targets = new Map<JsonObject, JsonObject | boolean>()
  for (const user of users) {
    const target = targetOf(user, { root, anchors })
    if (typeof target !== 'boolean' && !found.has(target)) {
      throw new UnusableSchemaError('a reference in it leads to what is no schema')
    }
    targets.set(user, target)
    if (typeof target !== 'boolean' && !names.has(target)) names.set(target, `s${names.size}`)
  }

  const all = [...found]
  const uses = (keyword: string) => all.some(schema => Object.hasOwn(schema, keyword))
  const hasUnevaluated = uses('unevaluatedProperties') || uses('unevaluatedItems')
  if (hasUnevaluated && all.length * countNames(all) > maxTrackedNames) {
    throw new UnusableSchemaError('it uses "unevaluatedProperties" or "unevaluatedItems" and is too large')
  }

  const linkTo = (target: JsonObject) => `#/$defs/${names.get(target)}`
  const place = (schema: JsonObject): JsonObject =>
    names.has(schema) ? withCost({ $ref: linkTo(schema) }, hasUnevaluated) : rewrite(schema)

  function rewrite (schema: JsonObject): JsonObject {
    const kept = mapSubschemas(withoutAnnotations(schema), place)
    const target = targets.get(schema)
    if (target === false) return { not: {} }
    return withCost(typeof target === 'object' ? { ...kept, $ref: linkTo(target) } : kept, hasUnevaluated)
  }

  const $defs = Object.fromEntries([...names].map(([schema, name]) => [name, rewrite(schema)]))
  return {
    schema: { ...place(root), $defs },
    isDraft07: isDraft07(root, all),
    hasFormats: uses('format'),
    hasUnevaluated
  }
}

interface Survey {
  found: Set<JsonObject>
  /** Schemas by their anchors; `null` for a name that stands twice. */
  anchors: Map<unknown, JsonObject | null>
  /** Schemas with a reference. */
  users: JsonObject[]
}

function survey (root: JsonObject): Survey {
  const [found, anchors, users] = [new Set<JsonObject>(), new Map<unknown, JsonObject | null>(), [] as JsonObject[]]

  function visit (schema: JsonObject, isEmbedded: boolean): JsonObject {
    found.add(schema)
    if (found.size > maxSubschemas) throw new UnusableSchemaError('it has too many subschemas')
    for (const name of anchorsOf(schema)) anchors.set(name, anchors.has(name) ? null : schema)
    const hasOwnBase = schema !== root && typeof schema.$id === 'string' && !schema.$id.startsWith('#')
    const isWithin = isEmbedded || hasOwnBase
    if (references.some(keyword => Object.hasOwn(schema, keyword))) {
      // Its references would be relative to its own `$id`.
      if (isWithin) throw new UnusableSchemaError('a schema with an "$id" of its own in it has references')
      users.push(schema)
    }
    mapSubschemas(schema, subschema => visit(subschema, isWithin))
    return schema
  }
  visit(root, false)
  return { found, anchors, users }
}

/** Names as references have them. Until draft-07, an `$id` with a fragment was one. */
function anchorsOf (schema: JsonObject): Set<string> {
  const { $anchor, $dynamicAnchor, $id } = schema
  const names = [$anchor, $dynamicAnchor].filter(name => typeof name === 'string').map(name => `#${name}`)
  return new Set(typeof $id === 'string' && /^#[^/]/.test($id) ? [...names, $id] : names)
}

/** The schema that a reference leads to. All is one document, so a dynamic reference is like any other. */
function targetOf (schema: JsonObject, { root, anchors }: Pick<Survey, 'anchors'> & { root: JsonObject }) {
  const given = references.filter(keyword => Object.hasOwn(schema, keyword)).map(keyword => schema[keyword])
  const [reference] = given
  if (given.length > 1 || typeof reference !== 'string') throw new UnusableSchemaError('a reference in it is malformed')
  if (!reference.startsWith('#')) throw new UnusableSchemaError('a reference in it leads elsewhere')
  const target = anchors.get(reference) ?? resolveReference(root, reference) ?? booleanAt(root, reference)
  if (target === null) throw new UnusableSchemaError('a reference in it leads nowhere')
  return target
}

/** The boolean schema among definitions that a reference leads to, else `null`. */
function booleanAt (root: JsonObject, reference: string): boolean | null {
  const [, parent, name] = /^(#\/.*)\/([^/%~]+)$/.exec(reference) ?? []
  const value = parent === undefined || name === undefined ? null : resolveReference(root, parent)?.[name]
  return typeof value === 'boolean' ? value : null
}

/**
 * A schema with nothing but what it says of a value. Tolerates what is no JSON Schema of these drafts but common:
 * OpenAPI's `nullable` beside a reference, draft-04's boolean limits, `$data`.
 */
function withoutAnnotations (schema: JsonObject): JsonObject {
  const kept = Object.entries(schema).filter(([keyword, value]) => {
    if (!keywords.has(keyword)) return false
    if (keyword === 'nullable') return value === true && Object.hasOwn(schema, 'type')
    if (keyword === 'exclusiveMinimum' || keyword === 'exclusiveMaximum') return typeof value === 'number'
    const isData = isJsonObject(value) && Object.hasOwn(value, '$data')
    return !isData || keyword === 'const' || applicators.includes(keyword)
  })
  return writtenOut(Object.fromEntries(kept))
}

const mapsWithFalse = new Set(['properties', 'patternProperties'])
const othersWithFalse = new Set(['allOf', 'anyOf', 'oneOf', 'contains', 'propertyNames'])
const protoName = '__proto__'

/** `false` written out where errors of it must tell their schema, and a property `__proto__` seen by Ajv. */
function writtenOut (schema: JsonObject): JsonObject {
  const allowing = (value: unknown) => value === false ? { not: {} } : value
  const written = mapValues(schema, (value, keyword) => {
    if (mapsWithFalse.has(keyword) && isJsonObject(value)) return mapValues(value, allowing)
    if (!othersWithFalse.has(keyword)) return value
    return Array.isArray(value) ? value.map(allowing) : allowing(value)
  })
  const { properties, patternProperties } = written
  if (!isJsonObject(properties) || !Object.hasOwn(properties, protoName)) return written
  // Ajv passes over the name in `properties`, but not in patterns.
  const others = Object.entries(properties).filter(([name]) => name !== protoName)
  const patterns = isJsonObject(patternProperties) ? patternProperties : {}
  return {
    ...written,
    properties: Object.fromEntries(others),
    patternProperties: { ...patterns, [`^${protoName}$`]: properties[protoName] }
  }
}

function withCost (schema: JsonObject, hasUnevaluated: boolean): JsonObject {
  const values = Object.entries(schema)
  if (values.length === 0) return schema
  const has = (names: string[]) => names.some(name => Object.hasOwn(schema, name))
  const entries = values.reduce((total, [, value]) => total + sizeOf(value), 0)
  const data = JSON.stringify([schema.const, schema.enum, schema.dependentRequired, schema.dependencies]).length
  const cost: Cost = {
    steps: 1 + Math.floor(entries / 4) + Math.floor(data / 64),
    byText: has(readText),
    byItems: has(readItems),
    byNames: hasUnevaluated || has(readNames)
  }
  return { ...schema, [stepsKeyword]: cost }
}

const sizeOf = (value: unknown) => typeof value === 'object' && value !== null ? Object.keys(value).length : 0

const countNames = (all: JsonObject[]) => all.reduce((total, schema) => total + sizeOf(schema.properties), 0)

/** Where a schema does not say its draft, what only draft-07 allows tells it. */
function isDraft07 (root: JsonObject, all: JsonObject[]): boolean {
  const { $schema } = root
  if (typeof $schema === 'string') {
    if (/draft-0[3-7]\b/.test($schema)) return true
    if ($schema.includes('2020-12')) return false
  }
  return all.some(schema => Array.isArray(schema.items) || Object.hasOwn(schema, 'additionalItems') ||
    Object.hasOwn(schema, 'dependencies'))
}
