import { randomUUID } from 'node:crypto'
import { SessionNotFoundError, SessionUnreadableError, TooManyCallsError } from '../errors.ts'
import { parseJsonObject } from '../json.ts'
import { readJson } from '../json-text.ts'
import { type CallSlot, createCallSlot, slotMs } from './call-slot.ts'
import { openField, tryToOpen } from './field-encryption.ts'
import { upstreamField } from './fields.ts'
import type { SessionRedis, StoredFields } from './scripts.ts'
import type { Session } from './session.ts'
import { type CallRecord, isSealedField, type SessionMeta } from './session-record.ts'
import { type KeptValue, nameOfValue, describeOrigin, originField, type ValueOrigin, type ValueRead } from './values.ts'
import { createWriteChanges, portionsOf, type WriteChanges, type WriteChangesOptions } from './write-changes.ts'

/** The contents of a session that was loaded. Each method rejects as those of SessionRepository do. */
export interface SessionContents {
  /**
   * Takes one of the session's call slots, which bound what its requests ask of servers at once. Rejects with
   * TooManyCallsError when all are taken, with SessionNotFoundError when the session has ended since it was loaded.
   */
  takeSlot: (session: Session) => Promise<CallSlot>
  /**
   * The cached values that exist, of those that are read, in their order: one for each name. No round trip when all
   * were read with the session. `null` when the session has ended since it was loaded.
   */
  readValues: (session: Session, reads: readonly ValueRead[]) => Promise<Array<KeptValue | null> | null>
  write: WriteChanges
  /**
   * Removes the cached values of a name, whatever their origin. Gives their number; `null` when the session has ended
   * since it was loaded.
   */
  removeValues: (session: Session, name: string) => Promise<number | null>
  /** The session's own session at an MCP server, as it was written; no round trip when it was read with the session. */
  readUpstream: (session: Session, server: string) => Promise<StoredText | null>
  /**
   * Writes the session's own session at an MCP server in place of the one that was read, unless another one was written
   * since. `next` is `null` for none. Gives the one that is stored then; `null` when none is, or when ours has ended.
   */
  replaceUpstream: (
    session: Session, server: string, previous: StoredText | null, next: string | null
  ) => Promise<StoredText | null>
  /** Removes the session's own sessions at MCP servers, and gives those that were there: texts by server. */
  takeUpstreams: (session: Session, servers: readonly string[]) => Promise<Map<string, string>>
  /** Seals all fields of a stale session with the first key. Not an access. */
  reseal: (session: Session) => Promise<void>
  /** `null` when the session has ended since it was loaded. */
  describe: (session: Session) => Promise<SessionDescription | null>
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
  values: readonly ValueDescription[]
}

/** A cached value as it may be shown. */
export interface ValueDescription {
  name: string
  /** As stored. */
  bytes: number
  /** `null` where it is not known. */
  origin: ValueOrigin | null
}

export interface SessionContentsOptions extends WriteChangesOptions {
  /** How many call slots a session has. */
  maxConcurrency: number
}

/** How many fields one command reads: Redis serves nobody else meanwhile. */
const mostFieldsToRead = 1_000

export function createSessionContents (redis: SessionRedis, options: SessionContentsOptions): SessionContents {
  const { client, scripts, inTime } = redis
  const { maxConcurrency, valueFields } = options
  const write = createWriteChanges(redis, options)

  /** Fields as they are stored; `null` when the session has ended since it was loaded. */
  async function readFields (session: Session, names: readonly string[]): Promise<StoredFields | null> {
    const { id, key, meta, fields } = session
    if (names.every(name => fields.has(name))) return fields
    const read = new Map<string, string | null>()
    for (const portion of portionsOf(names, mostFieldsToRead)) {
      const [current, ...texts] = await inTime(client.hmget(key, 'meta', ...portion), id)
      if (current !== meta) return null
      portion.forEach((name, position) => read.set(name, texts[position] ?? null))
    }
    return read
  }

  async function readUpstream (session: Session, server: string): Promise<StoredText | null> {
    const field = upstreamField(server)
    const stored = (await readFields(session, [field]))?.get(field) ?? null
    return stored === null ? null : { stored, text: openField(session.seal, field, stored, session.id) }
  }

  const replaceUpstream: SessionContents['replaceUpstream'] = async (session, server, previous, next) => {
    const { id, key, meta, seal } = session
    const field = upstreamField(server)
    const before = previous?.stored ?? null
    const after = next === null ? null : seal.seal(field, next)
    const stored = await inTime(scripts.exchangeField(key, { meta, field, before, after }))
    return stored === null ? null : { stored, text: openField(seal, field, stored, id) }
  }

  return {
    async takeSlot ({ id, key, meta }) {
      const slotId = randomUUID()
      const taken = await inTime(scripts.takeCallSlot(key, { meta, slotId, slotMs, mostSlots: maxConcurrency }))
      if (taken === null) throw new SessionNotFoundError(id)
      if (taken === 0) throw new TooManyCallsError(id, maxConcurrency)
      return createCallSlot(redis, key, { id: slotId, meta })
    },

    async readValues (session, reads) {
      const fields = await readFields(session, reads.flatMap(valueFields.fieldsOf))
      if (fields === null) return null
      return reads.map(read => {
        const value = valueFields.pick(read, fields)
        if (value === null) return null
        const text = openField(session.seal, value.field, value.stored, session.id)
        return { text: checkedValue(text, session.id), origin: value.origin }
      })
    },

    write,

    async removeValues ({ id, key, meta }, name) {
      return await inTime(scripts.removeValues(key, { meta, name }), id)
    },

    readUpstream,
    replaceUpstream,

    async takeUpstreams (session, servers) {
      const taken = new Map<string, string>()
      await Promise.all(servers.map(async server => {
        const found = await readUpstream(session, server)
        // One that another request has replaced meanwhile was begun with the new credentials, or goes by its endpoint.
        if (found === null || await replaceUpstream(session, server, found, null) !== null) return
        taken.set(server, found.text)
      }))
      return taken
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
        const after = seal.seal(field, text)
        await inTime(scripts.exchangeField(key, { meta, field, before, after }))
        const origin = { field: originField(field), text: stored[originField(field)] }
        if (origin.text === undefined) continue
        const renewed = valueFields.renewOrigin(field, { before, after }, origin.text)
        await inTime(scripts.exchangeField(key, { meta, field: origin.field, before: origin.text, after: renewed }))
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
        values: values.map(({ field, bytes, origin }) =>
          ({ name: nameOfValue(field), bytes, origin: describeOrigin(origin) }))
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
