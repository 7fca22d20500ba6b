import { randomBytes } from 'node:crypto'
import type { RedisClient } from '../redis/client.ts'
import { SessionUnreadableError } from '../errors.ts'
import { isJsonObject, type JsonObject, parseJsonObject } from '../json.ts'
import { createAwaitCommand } from '../redis/command.ts'
import type { Session } from './session.ts'
import { openField } from './session-record.ts'
import { pendingCallField } from './fields.ts'
import { defineSessionScripts } from './scripts.ts'

/** A tool call that its server answered with questions. */
export interface PendingCall {
  /** As callers know the tool, and as its server does. */
  tool: string
  name: string
  /** What the tool was called with, without credentials. */
  args: JsonObject
  /** Names of the credentials that it was called with. */
  secretNames: string[]
  /** The server's own state, to be given back as it is. */
  state?: string
}

/** Calls that wait for answers. They live in their session, and end with it. Both reject with StoreUnavailableError. */
export interface PendingCalls {
  /** Keeps a call; gives the token by which it goes on, once. */
  keep: (session: Session, call: PendingCall) => Promise<{ token: string } | { refused: 'session ended' | 'too large' }>
  /** The call, which nobody gets a second time; `null` when there is none under the token. */
  take: (session: Session, token: string) => Promise<PendingCall | null>
}

/** How many calls of one session may wait; the oldest makes room. */
const mostPending = 16

export interface PendingCallsOptions {
  /** How long Redis may take to answer (ms). */
  commandTimeoutMs: number
  /** Of all calls of one session that wait. */
  maxBytes: number
}

export function createPendingCalls (client: RedisClient, { commandTimeoutMs, maxBytes }: PendingCallsOptions): PendingCalls {
  const redis = defineSessionScripts(client)
  const ask = createAwaitCommand(commandTimeoutMs)

  return {
    async keep ({ id, key, meta, seal }, call) {
      const token = randomBytes(24).toString('base64url')
      const text = seal.seal(pendingCallField(token), JSON.stringify(call))
      const isKept = await ask(redis.mcpAskQuestion(key, meta, token, text, mostPending, maxBytes), id)
      return isKept === 1 ? { token } : { refused: isKept === 0 ? 'session ended' : 'too large' }
    },

    async take ({ id, key, meta, seal }, token) {
      const text = await ask(redis.mcpTakeQuestion(key, meta, token), id)
      if (text === null) return null
      const call = parseJsonObject(openField(seal, pendingCallField(token), text, id))
      if (!isJsonObject(call?.args) || !Array.isArray(call.secretNames) || typeof call.tool !== 'string') throw new SessionUnreadableError(id)
      return call as unknown as PendingCall // this service wrote it
    }
  }
}
