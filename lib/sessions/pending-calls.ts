import { randomBytes } from 'node:crypto'
import { SessionUnreadableError } from '../errors.ts'
import { memberTexts, objectText, readJson } from '../json-text.ts'
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
  /** Arguments of the call, but for some: the JSON text of an object. */
  args: string
  /** Names of the arguments that are left out: they are taken from the session's credentials and the operator again. */
  secretNames: string[]
  /** Names of the arguments that the session has filled in. */
  filled?: string[]
  /** The server's own state, to be returned to it unchanged: JSON text. */
  state?: string
}

/** A resource whose server needs more input before it is read. */
export interface PendingRead {
  server: string
  uri: string
  state?: string
}

/** A prompt whose server needs more input before it gives it. */
export interface PendingPrompt {
  /** The prompt's name, as callers know it. */
  prompt: string
  /** The JSON text of an object. */
  args: string
  state?: string
}

/** Requests that may wait for answers, by their kind. */
export interface PendingRequests {
  tool: PendingCall
  resource: PendingRead
  prompt: PendingPrompt
}

/**
 * Calls and other requests that wait for answers. They live in their session and end with it. Both methods reject with
 * StoreUnavailableError.
 */
export interface PendingCalls {
  /** Keeps a request, and gives the token by which it goes on, once. */
  keep: <Kind extends keyof PendingRequests>(
    session: Session, kind: Kind, request: PendingRequests[Kind]
  ) => Promise<{ token: string } | { refused: 'session ended' | 'too large' }>
  /**
   * Gives a request, once; `null` when none of its kind waits under the token. Rejects with SessionUnreadableError for
   * a foreign text.
   */
  take: <Kind extends keyof PendingRequests>(
    session: Session, kind: Kind, token: string
  ) => Promise<PendingRequests[Kind] | null>
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
    async keep ({ id, key, meta, seal }, kind, request) {
      const token = `${tokenPrefixes[kind]}${randomBytes(24).toString('base64url')}`
      const text = seal.seal(pendingCallField(token), encode(request))
      const args = { meta, token, call: text, mostCalls: mostPending, mostBytes: maxBytes }
      const isKept = await inTime(scripts.keepPendingCall(key, args), id)
      return isKept === 1 ? { token } : { refused: isKept === 0 ? 'session ended' : 'too large' }
    },

    async take ({ id, key, meta, seal }, kind, token) {
      if (kindOf(token) !== kind) return null // it stays there for the route that it belongs to
      const text = await inTime(scripts.takePendingCall(key, { meta, token }), id)
      if (text === null) return null
      return decode(kind, openField(seal, pendingCallField(token), text, id)) ?? unreadable(id)
    }
  }
}

/** The kind of a request is in its token, which nobody can change: a field opens under its own name only. */
const tokenPrefixes: Readonly<Record<keyof PendingRequests, string>> = {
  tool: '', resource: 'resource.', prompt: 'prompt.'
}

function kindOf (token: string): keyof PendingRequests {
  if (token.startsWith(tokenPrefixes.resource)) return 'resource'
  return token.startsWith(tokenPrefixes.prompt) ? 'prompt' : 'tool'
}

/** Members that are JSON texts already. */
const texts = new Set(['args', 'state'])

const encode = (request: object): string => objectText(Object.entries(request)
  .map(([name, value]) => [name, texts.has(name) ? String(value) : JSON.stringify(value)] as const))

const requiredTypes: { readonly [Kind in keyof PendingRequests]: Readonly<Record<string, RegExp>> } = {
  tool: { tool: /^"/, name: /^"/, args: /^\{/, secretNames: /^\[/ },
  resource: { server: /^"/, uri: /^"/ },
  prompt: { prompt: /^"/, args: /^\{/ }
}

function decode<Kind extends keyof PendingRequests> (kind: Kind, text: string): PendingRequests[Kind] | null {
  const document = readJson(text)
  const members = document === null ? new Map<string, string>() : memberTexts(document)
  const isComplete = Object.entries(requiredTypes[kind]).every(([name, type]) => type.test(members.get(name) ?? ''))
  if (!isComplete) return null
  const entries = Array.from(members, ([name, text]) => [name, texts.has(name) ? text : JSON.parse(text) as unknown])
  return Object.fromEntries(entries) as PendingRequests[Kind] // this service wrote it
}

function unreadable (id: string): never {
  throw new SessionUnreadableError(id)
}
