import { isJsonObject, type JsonObject } from '../json.ts'
import { unescapeToken } from '../json-pointer.ts'
import { describesSameValue } from '../tools/json-schema.ts'

/** A schema, with the rules of its place. */
export interface IndexedSchema {
  schema: JsonObject
  /** Address that its references are relative to. */
  base: string
  /** Until draft-07, what stands beside a reference says nothing. */
  isLegacy: boolean
  /** A word for a name: of the property or definition that it is. */
  label: string
}

/** What a reference leads to; `null` for nothing in this document. */
export type Target = IndexedSchema | boolean | null

export interface SchemaIndex {
  root: IndexedSchema
  of: (schema: JsonObject) => IndexedSchema
  /** The schemas of the root and of all that is referenced, with what each refers to. */
  all: () => Iterable<IndexedSchema>
  targetOf: (schema: IndexedSchema) => Target | undefined
}

/** A schema that has more than the document takes in. */
export class SchemaTooLargeError extends Error {
  override name = 'SchemaTooLargeError'
}

const maxSchemas = 5_000
/** Stands for the address of a schema that has none. `.invalid` is nobody's. */
const unknownAddress = 'https://schema.invalid/'

const mapsOfSchemas = new Set([
  'properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas', 'dependencies'
])
const schemaKeywords = new Set([
  'allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else', 'items', 'prefixItems', 'additionalItems', 'contains',
  'unevaluatedItems', 'additionalProperties', 'unevaluatedProperties', 'propertyNames', 'contentSchema'
])

type Subschema = [label: string, value: unknown]

/** The schemas directly in a schema, each with a word for it. `ofSameValue`: those only that describe its own value. */
export function subschemasOf (schema: JsonObject, { ofSameValue = false } = {}): Subschema[] {
  return Object.entries(schema).flatMap(([keyword, value]): Subschema[] => {
    if (ofSameValue && !describesSameValue(keyword) && keyword !== 'not') return []
    if (mapsOfSchemas.has(keyword)) return isJsonObject(value) ? Object.entries(value) : []
    if (!schemaKeywords.has(keyword)) return []
    return Array.isArray(value) ? value.map(inner => [keyword, inner]) : [[keyword, value]]
  })
}

/**
 * Knows where each reference within a schema leads: by JSON Pointer, by anchor, or by the address of a schema that is
 * embedded in it. Fetches nothing. Takes a tree, with no object in it twice.
 *
 * @see https://json-schema.org/draft/2020-12/json-schema-core#section-8
 */
export function indexSchema (rootSchema: JsonObject): SchemaIndex {
  const known = new Map<JsonObject, IndexedSchema>()
  const byAddress = new Map<string, IndexedSchema>()
  /** Schemas by address and anchor; `null` for an anchor that stands twice. */
  const anchors = new Map<string, IndexedSchema | null>()
  const dynamicAnchors = new Map<string, number>()

  function visit (schema: JsonObject, outer: Pick<IndexedSchema, 'base' | 'isLegacy'>, label: string): IndexedSchema {
    const before = known.get(schema)
    if (before !== undefined) return before
    if (known.size === maxSchemas) throw new SchemaTooLargeError()
    const { $schema, $id, id, $anchor, $dynamicAnchor } = schema
    const isLegacy = typeof $schema === 'string' ? /draft-0[3-7]\b/.test($schema) : outer.isLegacy
    const ownId = typeof $id === 'string' ? $id : isLegacy && typeof id === 'string' ? id : ''
    const isAnchorId = ownId.startsWith('#')
    const address = ownId === '' || isAnchorId ? null : absolute(ownId, outer.base)
    const base = address?.split('#', 1)[0] ?? outer.base
    const indexed = { schema, base, isLegacy, label }
    known.set(schema, indexed)
    if (address !== null && !byAddress.has(base)) byAddress.set(base, indexed)
    for (const anchor of new Set([$anchor, $dynamicAnchor, isAnchorId && ownId.length > 1 && ownId.slice(1)])) {
      if (typeof anchor !== 'string') continue
      const name = `${base}#${anchor}`
      anchors.set(name, anchors.has(name) ? null : indexed)
    }
    if (typeof $dynamicAnchor === 'string') {
      dynamicAnchors.set($dynamicAnchor, (dynamicAnchors.get($dynamicAnchor) ?? 0) + 1)
    }
    for (const [label, inner] of subschemasOf(schema)) if (isJsonObject(inner)) visit(inner, indexed, label)
    return indexed
  }

  const root = visit(rootSchema, { base: unknownAddress, isLegacy: false }, 'root')
  byAddress.set(unknownAddress, root)

  function resolve (reference: string, from: IndexedSchema): Target {
    const address = absolute(reference, from.base)
    if (address === null) return null
    const [base = '', fragment = ''] = split(address)
    const start = byAddress.get(base)
    if (start === undefined) return null
    if (fragment === '') return start
    if (!fragment.startsWith('/')) return anchors.get(`${base}#${decode(fragment) ?? ''}`) ?? null
    return follow(fragment, start)
  }

  /** A pointer may lead to a place that is for no schema: what is there counts as one. */
  function follow (pointer: string, start: IndexedSchema): Target {
    let value: unknown = start.schema
    let holder = start
    let label = 'root'
    for (const token of pointer.split('/').slice(1)) {
      const key = decode(token)
      if (typeof value !== 'object' || value === null || key === null || !Object.hasOwn(value, key)) return null
      value = (value as JsonObject)[key]
      if (isJsonObject(value)) holder = known.get(value) ?? holder
      label = key
    }
    if (typeof value === 'boolean') return value
    return isJsonObject(value) ? visit(value, holder, label) : null
  }

  function targetOf (from: IndexedSchema): Target | undefined {
    const { $ref, $dynamicRef, $recursiveRef } = from.schema
    if (typeof $ref === 'string') return resolve($ref, from)
    if (typeof $dynamicRef === 'string') {
      const target = resolve($dynamicRef, from)
      if (target === null || typeof target === 'boolean') return target
      const { $dynamicAnchor } = target.schema
      // Which of several it is depends on the way that leads there.
      return typeof $dynamicAnchor === 'string' && (dynamicAnchors.get($dynamicAnchor) ?? 0) > 1 ? null : target
    }
    if ($recursiveRef === '#') {
      const target = byAddress.get(from.base) ?? root
      return target.schema.$recursiveAnchor === true && byAddress.size > 2 ? null : target
    }
    return undefined
  }

  return {
    root,
    of: schema => known.get(schema) ?? visit(schema, root, 'part'),
    // A map is walked with the entries that it gets meanwhile.
    all: () => known.values(),
    targetOf
  }
}

function absolute (reference: string, base: string): string | null {
  try {
    return new URL(reference, base).href
  } catch {
    // An address that is no hierarchy, like `urn:uuid:…`, has fragments only.
    return reference.startsWith('#') ? `${base}${reference}` : null
  }
}

function split (address: string): [base: string, fragment: string] {
  const start = address.indexOf('#')
  return start === -1 ? [address, ''] : [address.slice(0, start), address.slice(start + 1)]
}

/** @see https://www.rfc-editor.org/rfc/rfc6901#section-6 */
function decode (token: string): string | null {
  try {
    return unescapeToken(decodeURIComponent(token))
  } catch {
    return null // % and no two digits: leads nowhere
  }
}
