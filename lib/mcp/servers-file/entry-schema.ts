import { Ajv } from 'ajv'
import Type, { type Static, type TObject, type TProperties } from 'typebox'
import type { JsonObject } from '../../json.ts'
import { type TransportKind, transportKindNames, transportKinds } from '../transports/transport-kinds.ts'
import { entryError } from './entry-error.ts'
import { prefixPattern } from './tool-names.ts'

/** `"a", "b" or "c"`. */
function either (words: readonly string[]): string {
  const quoted = words.map(word => JSON.stringify(word))
  return [quoted.slice(0, -1).join(', '), quoted.at(-1)].join(' or ')
}

const text = (title = 'a non-empty string') => Type.String({ minLength: 1, title })
const texts = (title: string) => Type.Record(Type.String({ pattern: '^[\\s\\S]*$' }), Type.String(), { title })
const patterns = () =>
  Type.Optional(Type.Array(Type.String({ minLength: 1 }), { title: 'an array of non-empty strings' }))
const flag = () => Type.Optional(Type.Boolean({ title: 'true or false' }))
const seconds = () => Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 86_400 }))
/** As Node takes it. */
const userId = () =>
  Type.Optional(Type.Integer({ minimum: 0, maximum: 2_147_483_647, title: 'a whole number from 0 to 2147483647' }))
const oneOf = <Word extends string>(...words: Word[]) => Type.Unsafe<Word>(Type.Enum(words, { title: either(words) }))

/*
 * The fields that we read. `title` completes "FIELD must be …". What other hosts have is translated or judged before.
 */
const commonFields = {
  disabled: flag(),
  prefix: Type.Optional(Type.String({
    pattern: prefixPattern, title: 'at most 32 of the characters A-Z, a-z, 0-9, _ and -'
  })),
  timeouts: Type.Optional(Type.Object({
    start: seconds(),
    list: seconds(),
    call: seconds(),
    inactivity: Type.Optional(Type.Number({ minimum: 0, maximum: 86_400 }))
  }, {
    additionalProperties: false,
    title:
      'an object of start, list, call and inactivity, each a number of seconds above 0, at most 86400; ' +
      'inactivity may be 0'
  })),
  includeTools: patterns(),
  excludeTools: patterns(),
  stateful: flag(),
  baggage: flag(),
  // resolve-policy.ts checks these two.
  values: Type.Optional(Type.Unknown()),
  tools: Type.Optional(Type.Unknown()),
  credentials: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { title: 'an array of non-empty strings' })),
  result: Type.Optional(oneOf('default', 'json', 'mcp')),
  validateArguments: Type.Optional(oneOf('off', 'warn', 'on'))
}
const stdioFields = {
  command: text('a non-empty string, or the server must have a url instead'),
  args: Type.Optional(Type.Array(Type.String(), { title: 'an array of strings' })),
  env: Type.Optional(texts('an object of strings, numbers, true and false')),
  envFile: Type.Optional(text()),
  cwd: Type.Optional(Type.String({ title: 'a string' })),
  uid: userId(),
  gid: userId(),
  lifecycle: Type.Optional(oneOf('request', 'shared')),
  warmSpares: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000, title: 'a whole number from 0 to 1000' }))
}
const urlFields = { url: text(), headers: Type.Optional(texts('an object of strings')) }
const httpFields = { ...urlFields, session: Type.Optional(oneOf('kept', 'request')) }

const StdioEntrySchema = Type.Object({ ...commonFields, ...stdioFields })
const HttpEntrySchema = Type.Object({ ...commonFields, ...httpFields })

export type StdioEntry = { kind: 'stdio' } & Static<typeof StdioEntrySchema>
export type HttpEntry = { kind: TransportKind } & Static<typeof HttpEntrySchema>
export type ServerEntry = StdioEntry | HttpEntry

/** Ajv is loaded already, by the framework; typebox/value would be 700 modules more at each start. */
const ajv = new Ajv()

type Kind = ServerEntry['kind']

/** Each kind of server: what `type` says for it, and the fields that only some kinds have. */
const kinds: ReadonlyArray<{ kind: Kind, types: readonly string[], fields: TProperties }> = [
  { kind: 'stdio', types: ['stdio'], fields: stdioFields },
  ...transportKindNames.map(kind => {
    const { types, resumesSessions } = transportKinds[kind]
    return { kind, types, fields: resumesSessions ? httpFields : urlFields }
  })
]

/** The schemas of all fields that an entry of some kind may have, but for `type`. */
export const entryFields: TProperties = Object.assign({ ...commonFields }, ...kinds.map(({ fields }) => fields))
export const knownFields: readonly string[] = ['type', ...Object.keys(entryFields)]
/** What `type` may say. */
export const knownTypes: readonly string[] = kinds.flatMap(({ types }) => types)

/** A checked entry of the servers file, which is in our words. Throws EntryError. */
export function checkEntry (server: string, entry: JsonObject): ServerEntry {
  const kind = kindOf(server, entry)
  refuseFieldsOfOtherKinds(server, kind, entry)
  return kind === 'stdio'
    ? { kind, ...check(server, StdioEntrySchema, entry) }
    : { kind, ...check(server, HttpEntrySchema, entry) }
}

function kindOf (server: string, { type, url }: JsonObject): Kind {
  if (type === undefined) return url === undefined ? 'stdio' : 'http'
  const found = kinds.find(({ types }) => types.some(spelling => spelling === type))
  if (found === undefined) throw entryError(server, 'type', `must be ${either(kinds.map(({ kind }) => kind))}`)
  return found.kind
}

/** A field that would do nothing was written for a reason: the entry is not what its operator thinks. */
function refuseFieldsOfOtherKinds (server: string, kind: Kind, entry: JsonObject): void {
  const own = kinds.find(each => each.kind === kind)?.fields ?? {}
  for (const other of kinds) {
    const field = Object.keys(other.fields).find(field => Object.hasOwn(entry, field) && !Object.hasOwn(own, field))
    if (field === undefined) continue
    throw entryError(server, field, `belongs to a server of type "${other.kind}", and this one is of type "${kind}"`)
  }
}

function check<Schema extends TObject> (server: string, schema: Schema, entry: JsonObject): Static<Schema> {
  if (ajv.validate<Static<Schema>>(schema, entry)) return entry
  const error = ajv.errors?.[0]
  const field = String(error?.params.missingProperty ?? error?.instancePath.split('/')[1])
  const { title } = (schema.properties as Record<string, { title?: string }>)[field] ?? {}
  throw entryError(server, field, `must be ${title}`)
}
