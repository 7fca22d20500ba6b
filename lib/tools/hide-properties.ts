import { isJsonObject, type JsonObject, mapValues } from '../json.ts'
import {
  describesSameValue, holdsDefinitions, mapSubschemas, resolveReference, schemasOfSameValue, topLevelSchemas
} from './json-schema.ts'

/**
 * The meaning of a schema. `top`: it describes the tool's input itself, where names are hidden. `kept`: it describes a
 * value within the input, where a property of such a name is the caller's own.
 */
type View = 'top' | 'kept'

interface Position { view: View, isCopy: boolean }

/** Longest JSON of all copies together (characters). Further copies are `{}`: a schema could be written to explode. */
const maxCopiedLength = 1_000_000

/**
 * A schema without some names among the properties of the value that it describes, also where a schema that it
 * references or combines declares them. Everything else stays as it is. Takes a tree, as JSON is, with no object in it
 * twice, and does not modify it.
 *
 * Most schemas have one meaning and are changed in place. A schema that is referenced with both meanings gets a copy in
 * `$defs` for the second. Here `user` describes the input and also a value within it, so hiding `apiUrl` turns
 *
 *     { "allOf": [{ "$ref": "#/$defs/user" }],
 *       "properties": { "other": { "$ref": "#/$defs/user" } },
 *       "$defs": { "user": { "properties": { "apiUrl": {}, "name": {} } } } }
 *
 * into
 *
 *     { "allOf": [{ "$ref": "#/$defs/user" }],
 *       "properties": { "other": { "$ref": "#/$defs/copy_1" } },
 *       "$defs": { "user": { "properties": { "name": {} } },
 *                  "copy_1": { "properties": { "apiUrl": {}, "name": {} } } } }
 *
 * A hidden property that is referenced from elsewhere (`"$ref": "#/properties/apiUrl"`) gets a copy in the same way.
 */
export const withoutNames = (root: JsonObject, names: ReadonlySet<unknown>): JsonObject =>
  changeTopLevel(root, names, { before: strip, after: schema => schema })

/** The keyword that says that the session fills a parameter. */
const filledMark = 'x-mcp-filled'

/**
 * A schema in which some properties of the value that it describes need not be there, and say `"x-mcp-filled": true`.
 * Everything else stays as it is, and so do properties of these names within the value. Takes what `withoutNames`
 * takes.
 */
export const withFilledNames = (root: JsonObject, names: ReadonlySet<unknown>): JsonObject =>
  changeTopLevel(root, names, { before: withoutRequired, after: withMarks })

interface TopLevelChange {
  /** Changes one schema before the schemas within it. */
  before: (schema: JsonObject, names: ReadonlySet<unknown>) => JsonObject
  /** Changes it after them. */
  after: (schema: JsonObject, names: ReadonlySet<unknown>) => JsonObject
}

/** A schema with each schema changed that describes the input itself, and no other. */
function changeTopLevel (root: JsonObject, names: ReadonlySet<unknown>, change: TopLevelChange): JsonObject {
  const changed = schemasThatChange(root, names)
  if (changed.size === 0) return root
  // Most schemas: each schema within has its one place, and none of them changes.
  if (changed.size === 1 && changed.has(root) && !holdsReference(root)) {
    return change.after(change.before(root, names), names)
  }

  const taken = isJsonObject(root.$defs) ? root.$defs : {}
  const inPlace = new Map<JsonObject, View>()
  const copies = { top: new Map<JsonObject, string>(), kept: new Map<JsonObject, string>() }
  const pending: Array<{ name: string, schema: JsonObject, view: View }> = []

  function viewWithin (view: View, subschema: JsonObject, keyword: string): View {
    if (holdsDefinitions(keyword)) return changed.has(subschema) ? 'top' : 'kept'
    return view === 'top' && describesSameValue(keyword) ? 'top' : 'kept'
  }

  /** Records the meaning of each schema in its place. A schema that is hidden with its property is not recorded. */
  function note (schema: JsonObject, view: View): JsonObject {
    inPlace.set(schema, view)
    const visible = view === 'top' ? change.before(schema, names) : schema
    return mapSubschemas(visible, (subschema, keyword) => note(subschema, viewWithin(view, subschema, keyword)))
  }

  function rewrite (schema: JsonObject, { view, isCopy }: Position): JsonObject {
    const visible = view === 'top' ? change.before(schema, names) : schema
    const rewritten = mapSubschemas(isCopy ? anonymous(visible) : visible, (subschema, keyword) =>
      rewrite(subschema, { view: viewWithin(view, subschema, keyword), isCopy }))
    const finished = view === 'top' ? change.after(rewritten, names) : rewritten
    return Object.hasOwn(schema, '$ref') ? { ...finished, $ref: redirect(schema.$ref, view) } : finished
  }

  /** A reference to the target in the given meaning. */
  function redirect (reference: unknown, view: View): unknown {
    const schema = resolveReference(root, reference)
    if (schema === null) return reference
    const present = inPlace.get(schema)
    if (present === view || (present !== undefined && !changed.has(schema))) return reference
    const known = copies[view].get(schema)
    if (known !== undefined) return `#/$defs/${known}`
    const name = freeName()
    copies[view].set(schema, name)
    pending.push({ name, schema, view })
    return `#/$defs/${name}`
  }

  let lastNumber = 0
  function freeName (): string {
    do lastNumber++; while (Object.hasOwn(taken, `copy_${lastNumber}`))
    return `copy_${lastNumber}`
  }

  note(root, 'top')
  const rewritten = rewrite(root, { view: 'top', isCopy: false })
  const definitions: JsonObject = {}
  let room = maxCopiedLength
  // Grows while it is read: a copy may need further ones.
  for (const { name, schema, view } of pending) {
    const copy = room > 0 ? rewrite(schema, { view, isCopy: true }) : {}
    room -= JSON.stringify(copy).length
    definitions[name] = room > 0 ? copy : {}
  }
  if (pending.length === 0) return rewritten
  return { ...rewritten, $defs: { ...(isJsonObject(rewritten.$defs) && rewritten.$defs), ...definitions } }
}

/** Whether there is a `$ref` at any depth. One that is no keyword, but the name of a property, counts as well. */
function holdsReference (value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Object.hasOwn(value, '$ref') || Object.values(value).some(holdsReference)
}

/** The schemas of the input itself that declare one of the names or lead to one: they differ by their meaning. */
function schemasThatChange (root: JsonObject, names: ReadonlySet<unknown>): Set<JsonObject> {
  const topLevel = topLevelSchemas(root)
  const users = new Map<JsonObject, JsonObject[]>()
  for (const schema of topLevel) {
    for (const used of schemasOfSameValue(schema, root)) {
      if (!users.get(used)?.push(schema)) users.set(used, [schema])
    }
  }
  const changed = new Set([...topLevel].filter(schema => mentions(schema, names)))
  for (const schema of changed) {
    for (const user of users.get(schema) ?? []) changed.add(user)
  }
  return changed
}

/** Keywords that say something of a value's properties by their names. */
const namingKeywords = ['properties', 'required', 'dependentRequired', 'dependentSchemas', 'dependencies']

function mentions (schema: JsonObject, names: ReadonlySet<unknown>): boolean {
  const isListed = (value: unknown) => Array.isArray(value) && value.some(name => names.has(name))
  return namingKeywords.some(keyword => {
    const value = schema[keyword]
    if (!isJsonObject(value)) return isListed(value)
    return Object.entries(value).some(([name, listed]) => names.has(name) || isListed(listed))
  })
}

/** One schema without the names. The schemas within it stay as they are. */
function strip (schema: JsonObject, names: ReadonlySet<unknown>): JsonObject {
  const unlisted = (value: unknown) => Array.isArray(value) ? value.filter(name => !names.has(name)) : value
  return Object.fromEntries(Object.entries(schema).map(([keyword, value]) => {
    if (!namingKeywords.includes(keyword)) return [keyword, value]
    if (!isJsonObject(value)) return [keyword, unlisted(value)]
    const left = Object.entries(value).filter(([name]) => !names.has(name))
    return [keyword, Object.fromEntries(left.map(([name, value]) => [name, unlisted(value)]))]
  }))
}

/** One schema that does not require the names. */
function withoutRequired (schema: JsonObject, names: ReadonlySet<unknown>): JsonObject {
  if (!Array.isArray(schema.required)) return schema
  return { ...schema, required: schema.required.filter(name => !names.has(name)) }
}

/** One schema with its properties of the names marked. `false`, which lets no value be there, stays. */
function withMarks (schema: JsonObject, names: ReadonlySet<unknown>): JsonObject {
  const { properties } = schema
  if (!isJsonObject(properties)) return schema
  return {
    ...schema,
    properties: mapValues(properties, (property, name) => {
      if (!names.has(name) || property === false) return property
      return isJsonObject(property) ? { ...property, [filledMark]: true } : { [filledMark]: true }
    })
  }
}

/** Keywords that only the original keeps: a name must not stand twice, and all references lead to its definitions. */
const identities = new Set(['$id', '$schema', '$anchor', '$dynamicAnchor', '$defs', 'definitions'])

function anonymous (schema: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(schema).filter(([keyword]) => !identities.has(keyword)))
}
