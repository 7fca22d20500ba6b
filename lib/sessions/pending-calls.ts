import { randomBytes } from 'node:crypto'
import { SessionUnreadableError } from '../errors.ts'
import { isJsonObject, type JsonObject, parseJsonObject } from '../json.ts'
import type { RedisClient } from '../redis/client.ts'
import { openField } from './field-encryption.ts'
import { pendingCallField } from './fields.ts'
import { createSessionRedis } from './scripts.ts'
import type { Session } from './session.ts'

/** A tool call that waits for the caller's answers, because its server needs more input. */
export interface PendingCall {
  /** The tool's name, as callers know it. */
  tool: string
  /** The tool's name, as its server knows it. */
  name: string
  /** Arguments of the call, without credentials. */
  args: JsonObject
  /** Names of the credentials among the arguments. */
  secretNames: string[]
  /** The server's own state, to be returned to it unchanged. */
  state?: string
}

/**
 * Calls that wait for answers. They live in their session and end with it. Both methods reject with
 * StoreUnavailableError.
 */
export interface PendingCalls {
  /** Keeps a call, and gives the token by which it goes on, once. */
  keep: (session: Session, call: PendingCall) => Promise<{ token: string } | { refused: 'session ended' | 'too large' }>
  /**
   * Gives a call, once; `null` when none waits under the token. Rejects with SessionUnreadableError for a foreign
   * text.
   */
  take: (session: Session, token: string) => Promise<PendingCall | null>
}

/** How many calls of one session may wait; the oldest makes room. */
const mostPending = 16

export interface PendingCallsOptions {
  /** How long Redis may take to answer (ms). */
  commandTimeoutMs: number
  /** Most bytes of one session's waiting calls. */
  maxBytes: number
}

export function createPendingCalls (client: RedisClient, options: PendingCallsOptions): PendingCalls {
  const { commandTimeoutMs, maxBytes } = options
  const { scripts, inTime } = createSessionRedis(client, commandTimeoutMs)

  return {
    async keep ({ id, key, meta, seal }, call) {
      const token = randomBytes(24).toString('base64url')
      const text = seal.seal(pendingCallField(token), JSON.stringify(call))
      const args = { meta, token, call: text, mostCalls: mostPending, mostBytes: maxBytes }
      const isKept = await inTime(scripts.keepPendingCall(key, args), id)
      return isKept === 1 ? { token } : { refused: isKept === 0 ? 'session ended' : 'too large' }
    },

    async take ({ id, key, meta, seal }, token) {
      const text = await inTime(scripts.takePendingCall(key, { meta, token }), id)
      if (text === null) return null
      const call = parseJsonObject(openField(seal, pendingCallField(token), text, id))
      if (!isJsonObject(call?.args) || !Array.isArray(call.secretNames) || typeof call.tool !== 'string') {
        throw new SessionUnreadableError(id)
      }
      return call as unknown as PendingCall // this service wrote it
    }
  }
}
