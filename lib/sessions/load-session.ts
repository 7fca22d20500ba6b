import { randomUUID } from 'node:crypto'
import { TooManyCallsError, TooManyKeptCallsError } from '../errors.ts'
import { createCallSlot, slotMs } from './call-slot.ts'
import { upstreamField } from './fields.ts'
import type { SessionRedis, StoredFields } from './scripts.ts'
import type { LoadOptions, Session } from './session.ts'
import { recordFields, type SessionCodec } from './session-record.ts'
import { hashOfToken, type SessionRef } from './session-ref.ts'
import type { ValueFields, ValueRead } from './values.ts'

/**
 * Loads a session and restarts its idle TTL, in one round trip. A session that the Flask service wrote is converted.
 *
 * `null` covers "never existed", "expired", "another API key's" and "a wrong token"; callers must not tell them apart.
 * Rejects with TooManyCallsError when a call slot was wanted and all are taken, with TooManyKeptCallsError when a call
 * was to begin and the session has as many as it may.
 */
export type LoadSession = (ref: SessionRef, options?: LoadOptions) => Promise<Session | null>

export interface LoadSessionOptions {
  idleTtlSeconds: number
  /** How many calls of one session may run at once, over all workers. */
  maxConcurrency: number
  /** Replaces what was seen at a key by the session in it. Rejects with SessionUnreadableError when there is none. */
  convert: (ref: SessionRef, seen: string) => Promise<void>
  valueFields: ValueFields
}

/** More would hold up Redis for others, and Lua bounds how many values a function can take. */
const mostFieldsToLoad = 1_000

export function createLoadSession (redis: SessionRedis, codec: SessionCodec, options: LoadSessionOptions): LoadSession {
  const { scripts, inTime } = redis
  const { idleTtlSeconds, maxConcurrency, convert, valueFields } = options

  return async function load (ref, loadOptions = {}) {
    const { takeSlot = false, values = [], upstreams = [], claim = null } = loadOptions
    const slotId = takeSlot ? randomUUID() : null
    const reading = await inTime(scripts.loadSession(codec.keyOf(ref), {
      ttlSeconds: idleTtlSeconds,
      now: new Date(),
      tokenHash: tokenHashOf(ref),
      slot: slotId === null ? null : { id: slotId, holdMs: slotMs, mostSlots: maxConcurrency },
      claim,
      fields: [...recordFields, ...upstreams.map(upstreamField), ...fieldsToLoad(values)]
    }))
    if (reading.is === 'none') return null
    if (reading.is === 'busy') throw new TooManyCallsError(ref.id, maxConcurrency)
    if (reading.is === 'full') throw new TooManyKeptCallsError(ref.id, claim?.mostCalls ?? 0)
    if (reading.is === 'session') {
      const { fields, earlier = null } = reading
      const call = claim !== null && earlier === null ? { id: claim.id, lease: claim.lease } : null
      return await decode(ref, fields, { slotId: earlier === null ? slotId : null, call, earlier })
    }
    await convert(ref, reading.seen)
    return await load(ref, loadOptions)
  }

  /** A tool with more parameters than a script can read costs a round trip of its own. */
  function fieldsToLoad (values: readonly ValueRead[]): string[] {
    const fields = values.flatMap(valueFields.fieldsOf)
    return fields.length <= mostFieldsToLoad ? fields : []
  }

  async function decode (
    ref: SessionRef,
    fields: StoredFields,
    { slotId, ...calls }: Pick<Session, 'call' | 'earlier'> & { slotId: string | null }
  ): Promise<Session | null> {
    const key = codec.keyOf(ref)
    const slot = slotId === null ? null : createCallSlot(redis, key, { id: slotId, meta: fields.get('meta') ?? '' })
    let session: Session | null = null
    try {
      const record = codec.decode(ref, fields)
      session = record && { id: ref.id, key, slot, fields, ...record, ...calls }
    } finally {
      // Without a session the caller cannot release the slot.
      if (session === null) await slot?.release()
    }
    return session
  }
}

/** The hash of the token that a session must have; `null` where sessions need none. */
export const tokenHashOf = ({ token }: SessionRef) => token === undefined ? null : hashOfToken(token)
