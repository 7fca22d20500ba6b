import { SessionUnreadableError } from '../errors.ts'
import { parseJsonObject } from '../json.ts'
import { readJson } from '../json-text.ts'
import { openField, tryToOpen } from './field-encryption.ts'
import { nameOfValue, upstreamField, valueField } from './fields.ts'
import type { SessionRedis, StoredFields } from './scripts.ts'
import type { Session } from './session.ts'
import {
  type CallRecord, encodeChanges, encodeValues, isSealedField, type RecordChanges, type SessionMeta
} from './session-record.ts'

/** The contents of a session that was loaded. Each method rejects as those of SessionRepository do. */
export interface SessionContents {
  /**
   * The cached values that exist, of those named: JSON texts by name. No round trip when all were read with the
   * session. `null` when the session has ended since it was loaded.
   */
  readValues: (session: Session, names: readonly string[]) => Promise<Map<string, string> | null>
  /**
   * Writes changes in one round trip, and restarts the idle TTL. The record of a call releases the call's slot.
   *
   * Gives the names of values that did not fit, which then have no older value either. `null`, and nothing written,
   * when the session has ended since it was loaded.
   */
  write: (session: Session, changes: Changes) => Promise<string[] | null>
  /** The session's own session at an MCP server, as it was written; no round trip when it was read with the session. */
  readUpstream: (session: Session, server: string) => Promise<StoredText | null>
  /**
   * Writes the session's own session at an MCP server in place of the one that was read, unless another one was written
   * since. `next` is `null` for none. Gives the one that is stored then; `null` when none is, or when ours has ended.
   */
  replaceUpstream: (
    session: Session, server: string, previous: StoredText | null, next: string | null
  ) => Promise<StoredText | null>
  /** Seals all fields of a stale session with the first key. Not an access. */
  reseal: (session: Session) => Promise<void>
  /** `null` when the session has ended since it was loaded. */
  describe: (session: Session) => Promise<SessionDescription | null>
}

export interface Changes extends RecordChanges {
  /** Cached values: JSON texts by name. */
  values?: ReadonlyMap<string, string>
}

/** A field as it is stored, and its text. */
export interface StoredText { stored: string, text: string }

/** A session as it may be shown, without what is in it. */
export interface SessionDescription {
  meta: SessionMeta
  idleLeftMs: number
  calls: number
  lastCall: CallRecord | null
  /** Bytes of all cached values, names included, as they are stored. */
  cachedBytes: number
  /** Bytes as stored, by name. */
  values: ReadonlyMap<string, number>
}

export interface SessionContentsOptions {
  idleTtlSeconds: number
  /** Most bytes of a session's cached values, names included. */
  maxBytes: number
}

/** Most fields of a session. A name and a short value take more memory in Redis than they have bytes. */
export const mostFields = 10_000

export function createSessionContents (redis: SessionRedis, options: SessionContentsOptions): SessionContents {
  const { client, scripts, inTime } = redis
  const { idleTtlSeconds, maxBytes } = options

  /** Fields as they are stored; `null` when the session has ended since it was loaded. */
  async function readFields (session: Session, names: readonly string[]): Promise<StoredFields | null> {
    const { id, key, meta, fields } = session
    if (names.every(name => fields.has(name))) return fields
    const [current, ...texts] = await inTime(client.hmget(key, 'meta', ...names), id)
    if (current !== meta) return null
    return new Map(names.map((name, position) => [name, texts[position] ?? null]))
  }

  return {
    async readValues (session, names) {
      const fields = await readFields(session, names.map(valueField))
      if (fields === null) return null
      const values = new Map<string, string>()
      for (const name of names) {
        const field = valueField(name)
        const stored = fields.get(field) ?? null
        if (stored === null) continue
        const text = openField(session.seal, field, stored, session.id)
        values.set(name, checkedValue(text, session.id))
      }
      return values
    },

    async write (session, { values = new Map(), ...changes }) {
      const slot = changes.call === undefined ? null : session.slot
      const leftOut = await inTime(scripts.writeSession(session.key, {
        meta: session.meta,
        ttlSeconds: idleTtlSeconds,
        now: new Date(),
        slotId: slot?.id ?? null,
        calls: changes.call === undefined ? 0 : 1,
        fields: encodeChanges(changes, session),
        values: encodeValues(values, session.seal),
        mostBytes: maxBytes,
        mostFields
      }))
      slot?.markReleased()
      return leftOut?.map(nameOfValue) ?? null
    },

    async readUpstream (session, server) {
      const field = upstreamField(server)
      const stored = (await readFields(session, [field]))?.get(field) ?? null
      return stored === null ? null : { stored, text: openField(session.seal, field, stored, session.id) }
    },

    async replaceUpstream ({ id, key, meta, seal }, server, previous, next) {
      const field = upstreamField(server)
      const before = previous?.stored ?? null
      const after = next === null ? null : seal.seal(field, next)
      const stored = await inTime(scripts.exchangeField(key, { meta, field, before, after }))
      return stored === null ? null : { stored, text: openField(seal, field, stored, id) }
    },

    async reseal ({ id, key, meta, seal }) {
      const stored = await inTime(client.hgetall(key), id)
      if (stored.meta !== meta) return
      const stale = Object.entries(stored).filter(([field, text]) => isSealedField(field) && !seal.isCurrent(text))
      // The credentials come last: they make a session stale, so an interrupted reseal is done again.
      stale.sort(([a], [b]) => Number(a === 'credentials') - Number(b === 'credentials'))
      for (const [field, before] of stale) {
        const text = tryToOpen(seal, field, before)
        // A field that does not open is reported when it is used; the others need not wait for it.
        if (text === null) continue
        await inTime(scripts.exchangeField(key, { meta, field, before, after: seal.seal(field, text) }))
      }
    },

    async describe ({ id, key, meta }) {
      const description = await inTime(scripts.describeSession(key, { meta }), id)
      if (description === null) return null
      const { idleLeftMs, bytes, calls, lastCall, values } = description
      return {
        meta: parseJsonObject(meta) as unknown as SessionMeta, // it was checked when the session was loaded
        idleLeftMs,
        calls: Number(calls ?? 0),
        lastCall: parseJsonObject(lastCall ?? '') as CallRecord | null, // this service wrote it
        cachedBytes: Number(bytes ?? 0),
        values
      }
    }
  }
}

/** A JSON text. Throws SessionUnreadableError, which says nothing of the text. */
function checkedValue (text: string, id: string): string {
  const document = readJson(text, 0)
  if (document === null) throw new SessionUnreadableError(id)
  return document.text
}
