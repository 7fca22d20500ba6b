import type { RedisClient } from '../redis/client.ts'
import { createAwaitCommand } from '../redis/command.ts'
import { openField, tryToOpen } from '../sessions/field-encryption.ts'
import type { EndedCall } from '../sessions/scripts.ts'
import { callEventsKey } from '../sessions/session-ref.ts'
import type { Session } from '../sessions/session.ts'
import {
  type CallHead, type CallKind, type CallState, createCallId, createLease, type HeldCall, leaseMs, parseHead
} from './call.ts'
import { type CallEvents, createCallEvents, eventsField } from './call-events.ts'
import { defineCallScripts } from './call-scripts.ts'
import { decodeAnswer, encodeAnswer, type RecordedAnswer } from './recorded-answer.ts'
import type { OpenCall, StoredCall } from './stored-call.ts'

export interface NewCall {
  id?: string
  state: 'queued' | 'input_required'
  kind: CallKind
  /** What it needs to begin or to go on. */
  data: string
  answer?: RecordedAnswer
  /** Hash of its idempotency key, and digest of what was asked. */
  claim?: { keyHash: string, digest: string } | null
}

/**
 * What becomes of a call that a worker holds. `released`: its tool has not acted, and nothing is kept of it. `queued`:
 * its tool has not acted, and another worker may begin it.
 */
export interface CallEnd {
  state: Exclude<CallState, 'working'> | 'released'
  data?: string
  answer?: RecordedAnswer
  /** Whether another call may have its idempotency key: its tool has not acted. */
  freesKey?: boolean
}

/**
 * The calls of sessions. They live in their session's hash and end with it. All of them reject with
 * StoreUnavailableError when Redis does not answer in time.
 */
export interface Calls {
  open: (session: Session, call: NewCall) => Promise<
    | { opened: CallHead & { id: string } }
    | { earlier: StoredCall }
    | { refused: 'session ended' | 'full' | 'too large' }
  >
  /**
   * Takes a call to run it; its first caller gets it. `null` when there is none of that kind in that state and round.
   * Rejects with SessionUnreadableError when its data do not open.
   */
  begin: (
    session: Session, id: string, from: { state: 'queued' | 'input_required', kind: CallKind, round?: number }
  ) => Promise<{ held: HeldCall, data: string } | null>
  /** Gives the state that it has then: still `working` when its data are too large to wait; `null` when it is gone. */
  settle: (session: Session, held: HeldCall, end: CallEnd) => Promise<CallState | 'released' | null>
  /** The end of a completed call, which is written together with its outputs: see WriteChanges. */
  completed: (session: Session, held: HeldCall, answer: RecordedAnswer) => EndedCall
  /** Renews the lease. Gives whether the caller has cancelled the call, and whether it is still this worker's. */
  renew: (session: Session, held: HeldCall) => Promise<'held' | 'cancelled' | 'lost'>
  read: (session: Session, id: string) => Promise<StoredCall | null>
  /** A call of a session that is not loaded: the session's idle TTL goes on, and nothing is opened. */
  peek: (sessionKey: string, id: string) => Promise<CallHead | null>
  list: (session: Session) => Promise<Array<CallHead & { id: string }>>
  /** Gives the call, and whether this has cancelled it: a call that is over stays as it is. */
  cancel: (session: Session, id: string) => Promise<{ call: CallHead, isDone: boolean } | null>
  /** A call as the load of a session found it. */
  opened: OpenCall
  /** What is said while accepted calls run. */
  events: CallEvents
}

export interface CallsOptions {
  /** Prefix of the sessions' keys. */
  keyPrefix: string
  /** How long Redis may take to answer (ms). */
  commandTimeoutMs: number
  /** How long a call is kept after it was opened or settled (ms), and one with a key from its beginning. */
  ttlMs: number
  idempotencyTtlMs: number
  /** Most calls of a session, and most bytes of their data and answers. */
  maxCalls: number
  maxBytes: number
}

/** How many calls of one session may wait for responses; the oldest makes room. */
const mostWaiting = 16

const dataField = (id: string) => `d:${id}`
const answerField = (id: string) => `r:${id}`

export function createCalls (client: RedisClient, options: CallsOptions): Calls {
  const { keyPrefix, commandTimeoutMs, ttlMs, idempotencyTtlMs, maxCalls, maxBytes } = options
  const scripts = defineCallScripts(client)
  const inTime = createAwaitCommand(commandTimeoutMs)

  /** '' for one that cannot be kept: it may be as large as a message. */
  function sealAnswer ({ seal }: Session, id: string, answer: RecordedAnswer | undefined): string {
    if (answer === undefined || answer.body.length > maxBytes) return ''
    return seal.seal(answerField(id), encodeAnswer(answer))
  }

  const opened: OpenCall = ({ seal }, { id, head, answer }) => {
    const text = answer === null || answer === '' ? null : tryToOpen(seal, answerField(id), answer)
    return { ...parseHead(head), id, answer: text === null ? null : decodeAnswer(text) }
  }

  /** A call ends with its session: what was read tells how long that still lives. */
  const withinSession = <Head extends CallHead>(head: Head, { endsAt }: Session, idleLeftMs: number): Head => ({
    ...head,
    expiresAt: Math.min(head.expiresAt, Date.now() + Math.max(idleLeftMs, 0), endsAt ?? Infinity)
  })

  return {
    async open (session, { id = createCallId(), state, kind, data, answer, claim }) {
      const reply = await inTime(scripts.open(session.key, {
        meta: session.meta,
        id,
        state,
        kind,
        ttlMs: claim ? Math.max(ttlMs, idempotencyTtlMs) : ttlMs,
        keyHash: claim?.keyHash ?? '-',
        digest: claim?.digest ?? '-',
        data: session.seal.seal(dataField(id), data),
        answer: sealAnswer(session, id, answer),
        mostCalls: maxCalls,
        mostWaiting,
        mostBytes: maxBytes
      }), session.id)
      if (reply === null) return { refused: 'session ended' }
      if (reply[0] === 'opened') return { opened: { ...parseHead(reply[1]), id } }
      if (reply[0] === 'full') return { refused: 'full' }
      if (reply[0] === 'large') return { refused: 'too large' }
      return { earlier: opened(session, { id: reply[1], head: reply[2], answer: reply[3] }) }
    },

    async begin (session, id, { state, kind, round }) {
      const lease = createLease()
      const args = { meta: session.meta, id, state, kind, round: round ?? '' as const, lease, leaseMs }
      const reply = await inTime(scripts.begin(session.key, args), session.id)
      if (reply === null || reply[0] === 0) return null
      const [, head, data] = reply
      return {
        held: { id, lease, round: parseHead(head).round },
        data: openField(session.seal, dataField(id), data, session.id)
      }
    },

    async settle (session, { id, lease }, { state, data, answer, freesKey = false }) {
      const head = await inTime(scripts.settle(session.key, {
        meta: session.meta,
        id,
        lease,
        state,
        ttlMs,
        data: data === undefined ? '' : session.seal.seal(dataField(id), data),
        answer: sealAnswer(session, id, answer),
        mostBytes: maxBytes,
        freesKey
      }), session.id)
      if (head === null) return null
      return head === '' ? 'released' : parseHead(head).state
    },

    completed: (session, { id, lease }, answer) =>
      ({ id, lease, state: 'completed', ttlMs, mostBytes: maxBytes, answer: sealAnswer(session, id, answer) }),

    async renew ({ id, key, meta }, held) {
      const reply = await inTime(scripts.renew(key, { meta, id: held.id, lease: held.lease, leaseMs }), id)
      return reply === 0 ? 'lost' : reply === 2 ? 'cancelled' : 'held'
    },

    async read (session, id) {
      const keys = [session.key, callEventsKey(keyPrefix, session.key, id)] as const
      const reply = await inTime(scripts.read(keys, { meta: session.meta, id }), session.id)
      if (reply === null) return null
      const [head, answer, idleLeftMs, text] = reply
      const progress = text === '' ? null : tryToOpen(session.seal, eventsField(id), text)
      const call = { ...opened(session, { id, head, answer }), ...(progress !== null && { progress }) }
      return withinSession(call, session, idleLeftMs)
    },

    async peek (sessionKey, id) {
      const keys = [sessionKey, callEventsKey(keyPrefix, sessionKey, id)] as const
      const reply = await inTime(scripts.read(keys, { meta: '', id }))
      return reply === null ? null : parseHead(reply[0])
    },

    async list (session) {
      const reply = await inTime(scripts.list(session.key, { meta: session.meta }), session.id)
      const [idleLeftMs = 0, ...texts] = reply ?? []
      return Array.from({ length: texts.length / 2 }, (_, index) => {
        const head = { ...parseHead(texts[2 * index + 1] ?? ''), id: texts[2 * index] ?? '' }
        return withinSession(head, session, idleLeftMs)
      })
    },

    async cancel ({ id, key, meta }, call) {
      const reply = await inTime(scripts.cancel(key, { meta, id: call }), id)
      return reply === null ? null : { call: parseHead(reply[0]), isDone: reply[1] === 1 }
    },

    opened,

    events: createCallEvents(scripts, { keyPrefix, ttlMs, inTime, opened })
  }
}
