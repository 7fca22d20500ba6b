import { isJsonObject, isNestedDeeper, type JsonObject, mapValues } from '../json.ts'
import { type IsNumber, transformJson } from '../json-transform.ts'
import { declareRequired, shortenCompositions } from './compositions.ts'
import { type IndexedSchema, indexSchema, type SchemaIndex, SchemaTooLargeError, subschemasOf } from './schema-index.ts'
import { annotations, normalizeKeywords } from './schema-keywords.ts'

/** Longest schema that is taken in (characters), and how deep it may be nested. */
const maxLength = 262_144
const maxDepth = 100

/** Stands for a schema that the document cannot have. */
const anyValue = (reason: string): JsonObject => ({ $comment: `Left out here, not in the tool: ${reason}.` })

/**
 * A schema as parts of one OpenAPI document: the text of an object, in which `name` is the schema itself, and each part
 * that references lead to has a name that begins with it. References of the parts lead to `#/components/schemas/`.
 *
 * It allows what the schema allows, or more, where `$comment` says so. Numbers keep every digit. `null` for a text that
 * is no schema of an object's form. `example` is given as one where the schema's author gives none.
 */
export function schemaParts (text: string, name: string, example?: unknown): string | null {
  if (text.length > maxLength || isNestedDeeper(text, maxDepth)) return JSON.stringify({ [name]: anyValue('its size') })
  // What is declared counts as evaluated.
  const declares = !text.includes('unevaluatedProperties')
  try {
    const parts = transformJson(text, (value, isNumber) =>
      isJsonObject(value) ? createParts(value, { name, isNumber, declares, example }) : null)
    return parts === 'null' ? null : parts
  } catch (error) {
    if (error instanceof SchemaTooLargeError) return JSON.stringify({ [name]: anyValue('its size') })
    throw error
  }
}

interface PartsOptions {
  name: string
  isNumber: IsNumber
  /** Properties that are required and not declared may be declared. */
  declares: boolean
  example: unknown
}

function createParts (schema: JsonObject, { name, isNumber, declares, example }: PartsOptions): JsonObject {
  const index = indexSchema(schema)
  const names = nameTargets(index, name)
  const endless = endlessReferences(index)
  /** Parts that something leads to; a set is walked with what it gets meanwhile. */
  const wanted = new Set([schema])
  function linkTo (target: JsonObject): JsonObject {
    wanted.add(target)
    return { $ref: `#/components/schemas/${names.get(target)}` }
  }

  /** `false` stays where generators know it. */
  function place (value: unknown, keyword: string): unknown {
    // Open WebUI ends at a `true` in `items`.
    if (value === true) return takesBooleans.has(keyword) && keyword !== 'items' ? true : {}
    if (value === false) return takesBooleans.has(keyword) ? false : { not: {} }
    if (!isJsonObject(value)) return {}
    return names.has(value) ? linkTo(value) : rewrite(value)
  }

  const rewrite = (value: JsonObject): JsonObject => {
    const rewritten = shortenCompositions(withReference(value))
    return declares ? declareRequired(rewritten) : rewritten
  }

  function withReference (value: JsonObject): JsonObject {
    const indexed = index.of(value)
    const { $ref, $dynamicRef, $recursiveRef, $defs, definitions, ...own } = normalizeKeywords(value, isNumber)
    const hasReference = [$ref, $dynamicRef, $recursiveRef].some(reference => reference !== undefined)
    const target = hasReference ? index.targetOf(indexed) : undefined
    const said = hasReference && indexed.isLegacy ? only(own, annotations) : own
    const placed = mapValues(said, (inner, keyword) => {
      if (maps.has(keyword) && isJsonObject(inner)) return mapValues(inner, member => place(member, keyword))
      if (!applicators.has(keyword)) return inner
      return Array.isArray(inner) ? inner.map(member => place(member, keyword)) : place(inner, keyword)
    })
    if (target === undefined || target === true) return placed
    if (target === false) return { ...placed, not: {} }
    if (target === null) return { ...anyValue('a reference that leads out of it'), ...placed }
    if (endless.has(value)) return { ...anyValue('a reference that leads to itself'), ...placed }
    const isPlain = Object.keys(placed).every(keyword => annotations.has(keyword) || keyword.startsWith('x-'))
    if (isPlain) return { ...placed, ...linkTo(target.schema) }
    // Many generators read nothing beside a reference.
    const { allOf, ...others } = placed
    return { ...others, allOf: [linkTo(target.schema), ...(Array.isArray(allOf) ? allOf as unknown[] : [])] }
  }

  const parts: Array<[string, JsonObject]> = []
  for (const part of wanted) {
    if (part !== schema) parts.push([names.get(part) ?? '', rewrite(part)])
    else parts.push([name, { ...(example !== undefined && { examples: [example] }), ...rewrite(part) }])
  }
  return Object.fromEntries(parts)
}

const only = (schema: JsonObject, keywords: ReadonlySet<string>): JsonObject =>
  Object.fromEntries(Object.entries(schema).filter(([keyword]) => keywords.has(keyword)))

const takesBooleans = new Set(['additionalProperties', 'unevaluatedProperties', 'unevaluatedItems', 'items'])
const maps = new Set(['properties', 'patternProperties', 'dependentSchemas'])
const applicators = new Set([
  'allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else', 'items', 'prefixItems', 'contains', 'unevaluatedItems',
  'additionalProperties', 'unevaluatedProperties', 'propertyNames', 'contentSchema'
])

/** Names for the schemas that references lead to. The schema itself has the whole name. */
function nameTargets (index: SchemaIndex, name: string): Map<JsonObject, string> {
  const names = new Map<JsonObject, string>()
  const taken = new Set<string>()
  for (const indexed of index.all()) {
    const target = index.targetOf(indexed)
    if (target === undefined || target === null || typeof target === 'boolean' || names.has(target.schema)) continue
    names.set(target.schema, target === index.root ? name : `${name}_${freeWord(target.label)}`)
  }
  return names

  function freeWord (label: string): string {
    const word = label.replace(/[^A-Za-z0-9]+/g, '_').replace(/^_+|_+$/g, '').slice(0, 40) || 'schema'
    let free = `${word}Part`
    // Generators make one name of `a_b` and `aB`.
    const plain = () => free.replaceAll('_', '').toLowerCase()
    for (let number = 2; taken.has(plain()); number++) free = `${word}${number}Part`
    taken.add(plain())
    return free
  }
}

/**
 * Schemas whose reference leads back to them without going into the value: they say nothing, and no generator ends with
 * them.
 */
function endlessReferences (index: SchemaIndex): Set<JsonObject> {
  const endless = new Set<JsonObject>()
  const done = new Set<JsonObject>()
  const path = new Set<JsonObject>()

  function visit (indexed: IndexedSchema): void {
    const { schema } = indexed
    path.add(schema)
    const target = index.targetOf(indexed)
    if (target !== undefined && target !== null && typeof target !== 'boolean') {
      if (path.has(target.schema)) endless.add(schema)
      else if (!done.has(target.schema)) visit(target)
    }
    for (const [, inner] of subschemasOf(schema, { ofSameValue: true })) {
      if (isJsonObject(inner) && !done.has(inner) && !path.has(inner)) visit(index.of(inner))
    }
    path.delete(schema)
    done.add(schema)
  }

  for (const indexed of index.all()) if (!done.has(indexed.schema)) visit(indexed)
  return endless
}
