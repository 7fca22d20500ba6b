import { Ajv } from 'ajv'
import Type, { type Static, type TObject } from 'typebox'
import { isJsonObject, type JsonObject } from '../../json.ts'
import { entryError } from './entry-error.ts'

const text = (title = 'a non-empty string') => Type.String({ minLength: 1, title })
const texts = (title: string) => Type.Record(Type.String({ pattern: '^[\\s\\S]*$' }), Type.String(), { title })
const patterns = () => Type.Optional(Type.Array(Type.String({ minLength: 1 }), { title: 'an array of non-empty strings' }))
const flag = () => Type.Optional(Type.Boolean({ title: 'true or false' }))
const seconds = () => Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 86_400 }))
const oneOf = <Word extends string>(...words: Word[]) => Type.Unsafe<Word>(Type.Enum(words, { title: words.map(word => JSON.stringify(word)).join(' or ') }))

/*
 * The fields that we read, of every entry and of each kind. `title` completes "FIELD must be …". Fields that nobody knows
 * here are passed over: the file is shared with other hosts, which have their own.
 */
const commonFields = {
  disabled: flag(),
  prefix: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{0,32}$', title: 'at most 32 of the characters A-Z, a-z, 0-9, _ and -' })),
  timeouts: Type.Optional(Type.Object({ start: seconds(), list: seconds(), call: seconds() }, {
    additionalProperties: false, title: 'an object of start, list and call, each a number of seconds above 0, at most 86400'
  })),
  includeTools: patterns(),
  excludeTools: patterns(),
  stateful: flag()
}
const stdioFields = {
  command: text('a non-empty string, or the server must have a url instead'),
  args: Type.Optional(Type.Array(Type.String(), { title: 'an array of strings' })),
  env: Type.Optional(texts('an object of strings')),
  cwd: Type.Optional(Type.String({ title: 'a string' })),
  lifecycle: Type.Optional(oneOf('request', 'shared')),
  warmSpares: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000, title: 'a whole number from 0 to 1000' }))
}
const sseFields = { url: text(), headers: Type.Optional(texts('an object of strings')) }
const httpFields = { ...sseFields, session: Type.Optional(oneOf('kept', 'request')) }

const DisablingSchema = Type.Object({ disabled: commonFields.disabled })
const StdioEntrySchema = Type.Object({ ...commonFields, ...stdioFields })
const HttpEntrySchema = Type.Object({ ...commonFields, ...httpFields })

export type StdioEntry = { kind: 'stdio' } & Static<typeof StdioEntrySchema>
export type HttpEntry = { kind: 'http' | 'sse' } & Static<typeof HttpEntrySchema>
export type ServerEntry = StdioEntry | HttpEntry

/** Ajv is loaded already, by the framework; typebox/value would be 700 modules more at each start. */
const ajv = new Ajv()

type Kind = ServerEntry['kind']

const kinds = new Map<unknown, Kind>([
  ['stdio', 'stdio'], ['http', 'http'], ['streamable-http', 'http'], ['streamableHttp', 'http'], ['sse', 'sse']
])
const fieldsOf = { stdio: stdioFields, http: httpFields, sse: sseFields }

/** An entry of the servers file whose fields have the form that they must have, or `null` when it is disabled. Throws ConfigError. */
export function checkEntry (server: string, entry: unknown): ServerEntry | null {
  if (!isJsonObject(entry)) throw entryError(server, 'entry', 'must be an object')
  check(server, DisablingSchema, entry)
  if (entry.disabled === true) return null

  const kind = kindOf(server, entry)
  refuseFieldsOfOthers(server, kind, entry)
  return kind === 'stdio'
    ? { kind, ...check(server, StdioEntrySchema, entry) }
    : { kind, ...check(server, HttpEntrySchema, entry) }
}

function kindOf (server: string, { type, url }: JsonObject): Kind {
  const kind = type === undefined ? (url === undefined ? 'stdio' : 'http') : kinds.get(type)
  if (kind === undefined) throw entryError(server, 'type', 'must be "stdio", "http" or "sse"')
  return kind
}

/** A field that would do nothing here was written for a reason: its entry is not what its operator thinks. */
function refuseFieldsOfOthers (server: string, kind: Kind, entry: JsonObject): void {
  for (const [other, fields] of Object.entries(fieldsOf)) {
    const field = Object.keys(fields).find(field => Object.hasOwn(entry, field) && !Object.hasOwn(fieldsOf[kind], field))
    if (field !== undefined) throw entryError(server, field, `belongs to a server of type "${other}", and this one is of type "${kind}"`)
  }
}

function check<Schema extends TObject> (server: string, schema: Schema, entry: JsonObject): Static<Schema> {
  if (ajv.validate<Static<Schema>>(schema, entry)) return entry
  const error = ajv.errors?.[0]
  const field = String(error?.params.missingProperty ?? error?.instancePath.split('/')[1])
  const { title } = (schema.properties as Record<string, { title?: string }>)[field] ?? {}
  throw entryError(server, field, `must be ${title}`)
}
