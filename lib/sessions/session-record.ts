import { SessionUnreadableError } from '../errors.ts'
import { parseFlaskSession } from './flask-session.ts'
import { type JsonObject, parseJsonObject } from '../json.ts'
import { createSealing, type EncryptionKey, type FieldSeal } from './field-encryption.ts'
import { type FoundSession, hashOfToken, type Session, type SessionRef } from './session.ts'
import { createMeta, type NewSession, type SessionMeta, sessionKey, splitFields, valueField } from './fields.ts'
import { type Owner, ownerOf, parseOwner } from './owner.ts'

export interface SessionCodecOptions {
  keyPrefix: string
  sensitiveParams: readonly string[]
  /** Secret. None: nothing is sealed. */
  encryptionKeys: readonly EncryptionKey[]
}

/** What was read of a session, as Redis has it. */
export interface StoredSession {
  meta: string
  credentials: string
  /** End of its lifetime (ms since 1970). */
  ends: string | null
  fields: ReadonlyMap<string, string | null>
}

/** Between a session and what Redis has of it. Does no I/O. */
export interface SessionCodec {
  keyOf: (claim: SessionRef) => string
  /** All fields of a new session with their texts. Values that are more than `maxBytes` together are left out; their names are given. */
  encode: (claim: SessionRef, session: NewSession, options: EncodeOptions) => { fields: string[], leftOut: string[] }
  /** `null` for one of another API key's. Throws SessionUnreadableError. */
  decode: (claim: SessionRef, stored: StoredSession, place: string) => Session | null
  /** The owner of a session; `null` where it cannot be read. */
  ownerIn: (claim: SessionRef, stored: Pick<StoredSession, 'meta' | 'credentials'>, owner: string | null) => FoundSession['owner']
  /** Whether a session was opened with the API key of the claim. */
  isOf: (claim: SessionRef, meta: string) => boolean
  /** A session of the Flask service, in what the scripts say is there; `null` for anything else. That service knew no API keys. */
  fromFlask: (claim: SessionRef, seen: string) => { createdAt: string | undefined, content: NewSession } | null
  /** What is left of a session that was removed; `null` where that cannot be read. */
  open: (claim: SessionRef, meta: string, field: string, text: string) => string | null
}

export interface EncodeOptions {
  maxBytes: number
  token?: string | undefined
  /** ISO 8601, UTC; now when left out. */
  createdAt?: string | undefined
}

/** How the scripts begin what they say of a key that is a string. */
const stringSeen = 'string:'

export function createSessionCodec ({ keyPrefix, sensitiveParams, encryptionKeys }: SessionCodecOptions): SessionCodec {
  const sealOf = createSealing(encryptionKeys)
  const keyOf = ({ client, id }: SessionRef) => sessionKey(keyPrefix, client, id)

  return {
    keyOf,

    encode (claim, { identity, values }, { maxBytes, token, createdAt }) {
      const meta = createMeta(claim.client, createdAt)
      const { seal } = sealOf(keyOf(claim), meta)
      const sealed = (field: string, text: string) => [field, seal(field, text)] as const
      const kept: string[] = []
      const leftOut: string[] = []
      let bytes = 0
      for (const [name, text] of values) {
        const [field, stored] = sealed(valueField(name), text)
        const size = Buffer.byteLength(field) + Buffer.byteLength(stored)
        if (bytes + size <= maxBytes) {
          kept.push(field, stored)
          bytes += size
        } else {
          leftOut.push(name)
        }
      }
      const own = {
        meta,
        ...(token !== undefined && { token: hashOfToken(token) }),
        last_accessed: new Date().toISOString(),
        calls: '0',
        bytes: String(bytes)
      }
      const credentials = sealed('credentials', JSON.stringify(identity.credentials))
      const owner = sealed('owner', JSON.stringify(ownerOf(identity, meta)))
      return { fields: [...Object.entries(own).flat(), ...credentials, ...owner, ...kept], leftOut }
    },

    decode (claim, { meta, credentials: text, ends, fields }, place) {
      const { id } = claim
      const parsedMeta = parseJsonObject(meta)
      if (parsedMeta !== null && !isOf(claim, parsedMeta)) return null
      const key = keyOf(claim)
      const seal = sealOf(key, meta)
      const credentials = parseJsonObject(openField(seal, 'credentials', text, id))
      if (credentials === null || parsedMeta === null) throw new SessionUnreadableError(id)
      return {
        id,
        key,
        credentials,
        meta,
        seal,
        isStale: !seal.isCurrent(text),
        endsAt: ends === null ? null : Number(ends),
        fields,
        ...(place !== '' && { place })
      }
    },

    ownerIn (claim, { meta, credentials }, owner) {
      const seal = sealOf(keyOf(claim), meta)
      const parsedMeta = parseJsonObject(meta)
      const opened = parseJsonObject(textIn(seal, 'credentials', credentials) ?? '')
      if (parsedMeta === null || opened === null) return null
      if (!isOf(claim, parsedMeta)) return { credentials: '', user: '', key: meta } // nobody's who claims it so
      const known = owner === null ? ownerByCredentials(opened, meta) : parseOwner(textIn(seal, 'owner', owner) ?? '')
      return known && { ...known, key: meta }
    },

    isOf: (claim, meta) => isOf(claim, parseJsonObject(meta) ?? {}),

    fromFlask ({ client }, seen) {
      const flask = client === null && seen.startsWith(stringSeen) ? parseFlaskSession(seen.slice(stringSeen.length)) : null
      return flask && { createdAt: flask.createdAt, content: splitFields(flask.fields, sensitiveParams) }
    },

    open: (claim, meta, field, text) => textIn(sealOf(keyOf(claim), meta), field, text)
  }
}

/** An id may look like an API key's name and an id, where there were no API keys when it was opened. */
const isOf = ({ client }: SessionRef, meta: JsonObject) => (meta.client ?? null) === client

/** Of a session of a version that kept no owner beside them. */
const ownerByCredentials = (credentials: JsonObject, key: string): Owner =>
  ownerOf({ apiUrl: credentials.apiUrl, jwtToken: credentials.jwtToken, credentials }, key)

/** `null` for what does not open. */
export function textIn (seal: FieldSeal, field: string, text: string): string | null {
  try {
    return seal.open(field, text)
  } catch {
    return null
  }
}

/** Throws SessionUnreadableError, its cause a SealError. */
export function openField (seal: FieldSeal, field: string, text: string, id: string): string {
  try {
    return seal.open(field, text)
  } catch (cause) {
    throw new SessionUnreadableError(id, { cause })
  }
}

/** Throws SessionUnreadableError, which says nothing of the text. */
export function parseValue (text: string, id: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new SessionUnreadableError(id)
  }
}

export const metaOf = ({ meta }: Pick<Session, 'meta'>) => parseJsonObject(meta) as unknown as SessionMeta // it was checked when it was loaded
