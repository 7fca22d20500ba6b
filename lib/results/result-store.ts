import { UnknownResultError } from '../errors.ts'
import { parseJsonObject } from '../json.ts'
import type { RedisClient } from '../redis/client.ts'
import { createAwaitCommand } from '../redis/command.ts'
import { type FieldSeal, SealError, tryToOpen } from '../sessions/field-encryption.ts'
import type { Session } from '../sessions/session.ts'
import { resultsKey } from '../sessions/session-ref.ts'
import { createReference, isReference, type ResultContent, type ResultHead } from './result.ts'
import { defineResultScripts } from './result-scripts.ts'

export interface KeptResult extends ResultHead {
  ref: string
  /** ms since 1970, by the clock of Redis. Each reading puts it off; it may end before, with its session. */
  expiresAt: number
}

export interface StoredResult extends ResultHead {
  ref: string
  /**
   * Its bytes from `start` to before `end`, a piece at a time. Rejects with UnknownResultError when newer results have
   * taken its place meanwhile.
   */
  read: (start?: number, end?: number) => AsyncGenerator<Buffer, void>
}

/** Why a result is not kept. */
export type NotKept = 'session-ended' | 'too-large' | 'displaced'

/**
 * The results that sessions keep. They live in a hash beside their session's, and end with it. All of them reject with
 * StoreUnavailableError when Redis does not answer in time.
 */
export interface Results {
  keep: (session: Session, content: ResultContent) => Promise<{ kept: KeptResult } | { refused: NotKept }>
  /**
   * The result of a reference, which lives on. `null` when the session has none, or it does not open: callers must not
   * tell these apart.
   */
  open: (session: Session, ref: string) => Promise<StoredResult | null>
}

export interface ResultsOptions {
  /** How long Redis may take to answer (ms). */
  commandTimeoutMs: number
  /** How long a result is kept after it was kept, or last read (ms). */
  ttlMs: number
  /** Most results of a session, and most bytes of them. */
  maxResults: number
  maxBytes: number
}

/** A result is sealed in pieces of so many bytes, so that a part of it is opened alone. */
const pieceBytes = 262_144

/** How many pieces one command writes: Redis serves nobody else meanwhile, and the worker has them in memory. */
const mostPiecesToWrite = 4

const headField = (ref: string) => `x:${ref}`
const pieceField = (ref: string, number: number) => `x:${ref}:${number}`

function opened (seal: FieldSeal, field: string, stored: Buffer): Buffer {
  try {
    return seal.openBytes(field, stored)
  } catch (error) {
    throw error instanceof SealError ? new UnknownResultError('') : error
  }
}

export function createResults (client: RedisClient, options: ResultsOptions): Results {
  const { commandTimeoutMs, ttlMs, maxResults, maxBytes } = options
  const scripts = defineResultScripts(client)
  const inTime = createAwaitCommand(commandTimeoutMs)

  async function * read (
    { id, seal }: Session, key: string, { ref, bytes }: ResultHead & { ref: string }, start = 0, end = bytes
  ): AsyncGenerator<Buffer, void> {
    for (let number = Math.floor(start / pieceBytes); number * pieceBytes < end; number++) {
      const field = pieceField(ref, number)
      const stored = await inTime(client.hgetBuffer(key, field), id)
      if (stored === null) throw new UnknownResultError('')
      const from = number * pieceBytes
      yield opened(seal, field, stored).subarray(Math.max(start - from, 0), end - from)
    }
  }

  return {
    async keep (session, { kind, type, content }) {
      const { id, key: sessionKey, meta, seal } = session
      const key = resultsKey(sessionKey)
      if (content.length > maxBytes) return { refused: 'too-large' }
      const ref = createReference()
      const head: ResultHead = { kind, type, bytes: content.length }
      const pieceCount = Math.max(Math.ceil(content.length / pieceBytes), 1)
      let expiresAt = 0
      for (let first = 0; first < pieceCount; first += mostPiecesToWrite) {
        const count = Math.min(mostPiecesToWrite, pieceCount - first)
        const reply = await inTime(scripts.keep([sessionKey, key], {
          meta,
          ref,
          ttlMs,
          mostResults: maxResults,
          mostBytes: maxBytes,
          bytes: content.length,
          pieceCount,
          head: first + count < pieceCount ? '' : seal.seal(headField(ref), JSON.stringify(head)),
          first,
          pieces: Array.from({ length: count }, (_, index) => {
            const start = (first + index) * pieceBytes
            return seal.sealBytes(pieceField(ref, first + index), content.subarray(start, start + pieceBytes))
          })
        }), id)
        if (reply === null) return { refused: 'session-ended' }
        if (reply[0] !== 'kept') return { refused: reply[0] === 'large' ? 'too-large' : 'displaced' }
        expiresAt = Number(reply[1])
      }
      return { kept: { ...head, ref, expiresAt } }
    },

    async open (session, ref) {
      const { id, key: sessionKey, meta, seal } = session
      const key = resultsKey(sessionKey)
      if (!isReference(ref)) return null
      const stored = await inTime(scripts.read([sessionKey, key], { meta, ref, ttlMs }), id)
      const text = stored === null ? null : tryToOpen(seal, headField(ref), stored)
      const head = text === null ? null : parseJsonObject(text) as ResultHead | null // this service wrote it
      if (head === null) return null
      return { ...head, ref, read: (start, end) => read(session, key, { ...head, ref }, start, end) }
    }
  }
}
