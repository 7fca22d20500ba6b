import { randomUUID } from 'node:crypto'
import { SessionUnreadableError } from '../errors.ts'
import { type JsonObject, parseJsonObject } from '../json.ts'
import { memberTexts, objectText, readJson } from '../json-text.ts'
import { createSealing, type EncryptionKey, type FieldSeal, openField, tryToOpen } from './field-encryption.ts'
import type { NewSession } from './fields.ts'
import { type Identity, type Owner, ownerOf, parseOwner } from './owner.ts'
import type { EncodedValue, StoredFields } from './scripts.ts'
import { hashOfToken, sessionKey, type SessionRef } from './session-ref.ts'
import { keptAs, type KeptValue, type ValueFields, type ValueOrigin } from './values.ts'

/*
 * The fields of a session that are no cached values: their names, and how they are written and read. A new one is added
 * here, and its users read it in the Session. docs/design.md lists them.
 */

/** The part of a session that is loaded with it in any case. */
export interface SessionRecord {
  /** The text of its `meta`, which differs from that of any other session that is ever opened under its id. */
  readonly meta: string
  /** Secret. The fields of /init that are credentials, as values: digits beyond a double are lost in them. */
  readonly credentials: JsonObject
  /** Secret. The same as JSON texts by name, as they were sent. */
  readonly credentialTexts: () => ReadonlyMap<string, string>
  /** Whether it was sealed with an older key, or before there was one. */
  readonly isStale: boolean
  /** End of its whole lifetime (ms since 1970); `null` for none. */
  readonly endsAt: number | null
}

/** Fields that are read with every session. The first two make it a session; see scripts/includes/read-session.lua. */
export const recordFields = ['meta', 'credentials', 'ends'] as const

/** Whether a field is sealed where there are keys. The others hold no data of a user. */
export const isSealedField = (field: string) => field === 'credentials' || field === 'owner' || /^[pvuqdrt]:/.test(field)

/** A session's `meta`. It never changes, and no two are the same. */
export interface SessionMeta {
  version: number
  /** ISO 8601, UTC. */
  created_at: string
  /** Name of the API key that the session was opened with; absent where there was none. */
  client?: string
  generation: string
}

const schemaVersion = 1

/** A record of a tool call, with nothing that the caller or the tool said. */
export interface CallRecord {
  tool: string
  outcome: 'ok' | 'tool_error' | 'input_required' | 'failed' | 'abandoned'
  duration_ms: number
  /** ISO 8601, UTC. */
  at: string
}

/** Changes of a session's fields. */
export interface RecordChanges {
  /** A call that is over. */
  call?: CallRecord
  /** Other credentials of the same owner. */
  identity?: Identity
  /** Another token. */
  token?: string | undefined
}

/** The owner of a session, and the key of its hashes. */
export type KeyedOwner = Owner & { key: string }

export interface SessionCodecOptions {
  keyPrefix: string
  /** Secret. None: nothing is sealed. */
  encryptionKeys: readonly EncryptionKey[]
  valueFields: ValueFields
}

export interface NewRecordOptions {
  token?: string | undefined
  /** ISO 8601, UTC; now when left out. */
  createdAt?: string | undefined
  /** End of the whole lifetime (ms since 1970); `null` for none. */
  endsAt: number | null
  /** Where the session's values came from; `null` where that is not known. */
  valueOrigin: ValueOrigin | null
}

export interface EncodedSession {
  fields: Record<string, string>
  values: EncodedValue[]
}

/** Between a session and its fields in Redis. Does no I/O. */
export interface SessionCodec {
  keyOf: (ref: SessionRef) => string
  sealOf: (ref: SessionRef, meta: string) => FieldSeal
  /** The fields of a new session, and its cached values. */
  encode: (ref: SessionRef, session: NewSession, options: NewRecordOptions) => EncodedSession
  /** Whether a session was opened with the reference's API key. */
  isOpenedBy: (ref: SessionRef, meta: string) => boolean
  /** `null` for a session that another API key opened. Throws SessionUnreadableError. */
  decode: (ref: SessionRef, fields: StoredFields) => SessionRecord & { seal: FieldSeal } | null
  /** The owner of a session; `null` where it cannot be read. Needs the fields `meta`, `credentials` and `owner`. */
  decodeOwner: (ref: SessionRef, fields: StoredFields) => KeyedOwner | null
}

export function createSessionCodec (options: SessionCodecOptions): SessionCodec {
  const { keyPrefix, encryptionKeys, valueFields } = options
  const sealFor = createSealing(encryptionKeys)
  const keyOf = (ref: SessionRef) => sessionKey(keyPrefix, ref)
  const sealOf = (ref: SessionRef, meta: string) => sealFor(keyOf(ref), meta)

  return {
    keyOf,
    sealOf,
    isOpenedBy: (ref, meta) => isOpenedBy(ref, parseJsonObject(meta) ?? {}),

    encode (ref, { identity, values }, { token, createdAt, endsAt, valueOrigin }) {
      const meta = createMeta(ref.client, createdAt)
      const seal = sealOf(ref, meta)
      const changes = encodeChanges({ identity, token }, { meta, seal })
      return {
        fields: { meta, calls: '0', ...(endsAt !== null && { ends: String(endsAt) }), ...changes },
        values: encodeValues(keptAs(values, valueOrigin), { valueFields, seal })
      }
    },

    decode (ref, fields) {
      const [meta, sealed] = [fields.get('meta') ?? '', fields.get('credentials') ?? '']
      const parsedMeta = parseJsonObject(meta)
      if (parsedMeta !== null && !isOpenedBy(ref, parsedMeta)) return null
      const seal = sealOf(ref, meta)
      const text = openField(seal, 'credentials', sealed, ref.id)
      const credentials = parseJsonObject(text)
      if (credentials === null || parsedMeta === null) throw new SessionUnreadableError(ref.id)
      const ends = fields.get('ends') ?? null
      return {
        meta,
        seal,
        credentials,
        credentialTexts: () => textsIn(text),
        isStale: !seal.isCurrent(sealed),
        endsAt: ends === null ? null : Number(ends)
      }
    },

    decodeOwner (ref, fields) {
      const [meta, sealed] = [fields.get('meta') ?? '', fields.get('credentials') ?? '']
      const seal = sealOf(ref, meta)
      const parsedMeta = parseJsonObject(meta)
      const text = tryToOpen(seal, 'credentials', sealed) ?? ''
      const credentials = parseJsonObject(text)
      if (parsedMeta === null || credentials === null) return null
      // No credentials have these hashes: a caller with another API key is never the owner.
      if (!isOpenedBy(ref, parsedMeta)) return { credentials: '', user: '', key: meta }
      const stored = fields.get('owner') ?? null
      // An older version kept no owner beside the credentials.
      const owner = stored === null
        ? ownerOf({ apiUrl: credentials.apiUrl, jwtToken: credentials.jwtToken, credentials: textsIn(text) }, meta)
        : parseOwner(tryToOpen(seal, 'owner', stored) ?? '')
      return owner && { ...owner, key: meta }
    }
  }
}

/** Fields with their new texts. Every change is an access. */
export function encodeChanges (
  { call, identity, token }: RecordChanges,
  { meta, seal }: Pick<SessionRecord, 'meta'> & { seal: FieldSeal }
): Record<string, string> {
  return {
    last_accessed: new Date().toISOString(),
    ...(call !== undefined && { last_call: JSON.stringify(call) }),
    ...(identity !== undefined && {
      credentials: seal.seal('credentials', objectText(identity.credentials)),
      owner: seal.seal('owner', JSON.stringify(ownerOf(identity, meta)))
    }),
    ...(token !== undefined && { token: hashOfToken(token) })
  }
}

/** Cached values as they are stored. */
export function encodeValues (
  values: ReadonlyMap<string, KeptValue>, { valueFields, seal }: { valueFields: ValueFields, seal: FieldSeal }
): EncodedValue[] {
  return Array.from(values, ([name, { text, origin }]) => {
    const field = valueFields.fieldOf(name, origin)
    const stored = seal.seal(field, text)
    return { field, text: stored, origin: valueFields.encodeOrigin(field, stored, origin) }
  })
}

function createMeta (client: string | null, createdAt = new Date().toISOString()): string {
  const meta: SessionMeta = {
    version: schemaVersion,
    created_at: createdAt,
    ...(client !== null && { client }),
    generation: randomUUID()
  }
  return JSON.stringify(meta)
}

/**
 * Whether a session was opened with the reference's API key. An id may look like the name of an API key and an id,
 * where there were no API keys when it was opened.
 */
const isOpenedBy = ({ client }: SessionRef, meta: JsonObject) => (meta.client ?? null) === client

/** The members of a JSON text that was read as an object before. */
function textsIn (text: string): ReadonlyMap<string, string> {
  const document = readJson(text)
  return document === null ? new Map() : memberTexts(document)
}
