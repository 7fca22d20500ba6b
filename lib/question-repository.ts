import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import { SessionUnreadableError } from './errors.ts'
import { isJsonObject, type JsonObject } from './json.ts'
import { createAwaitCommand } from './redis-command.ts'
import { sessionKey } from './session-fields.ts'
import type { Session } from './session-repository.ts'
import { defineSessionScripts } from './session-scripts.ts'

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
export interface QuestionRepository {
  /** Keeps a call; gives the token by which it goes on, once, or `null` when the session has ended. */
  keep: (session: Session, call: PendingCall) => Promise<string | null>
  /** The call, which nobody gets a second time; `null` when there is none under the token. */
  take: (session: Session, token: string) => Promise<PendingCall | null>
}

/** How many calls of one session may wait; the oldest makes room. */
const mostPending = 16

export function createQuestionRepository (client: Redis, { keyPrefix, commandTimeoutMs }: { keyPrefix: string, commandTimeoutMs: number }): QuestionRepository {
  const redis = defineSessionScripts(client)
  const ask = createAwaitCommand(commandTimeoutMs)

  return {
    async keep ({ id, generation }, call) {
      const token = randomBytes(24).toString('base64url')
      const isKept = await ask(redis.mcpAskQuestion(sessionKey(keyPrefix, id), generation, token, JSON.stringify(call), mostPending), id)
      return isKept === 1 ? token : null
    },

    async take ({ id, generation }, token) {
      const text = await ask(redis.mcpTakeQuestion(sessionKey(keyPrefix, id), generation, token), id)
      if (text === null) return null
      const call: unknown = JSON.parse(text)
      if (!isJsonObject(call) || !isJsonObject(call.args)) throw new SessionUnreadableError(id)
      return call as unknown as PendingCall // this service wrote it
    }
  }
}
