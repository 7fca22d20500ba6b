import { SessionUnreadableError } from '../errors.ts'
import { memberTexts, objectText, readJson } from '../json-text.ts'
import type { RedisClient } from '../redis/client.ts'
import { openField } from '../sessions/field-encryption.ts'
import { createSessionRedis } from '../sessions/scripts.ts'
import type { Session } from '../sessions/session.ts'
import { type CallKind, createCallId, type HeldCall, parseToken, tokenOf } from './call.ts'
import type { Calls } from './call-store.ts'

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
  /** The task that goes on with the responses, as the client of its server wrote it. */
  task?: string
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
 * Calls and other requests that wait for answers: calls in the state `input_required`, which live in their session and
 * end with it. Both methods reject with StoreUnavailableError.
 */
export interface PendingCalls {
  /**
   * Keeps a request, and gives the token by which it goes on, once. `held` is the call that it belongs to, where there
   * is one. The answer, which names both, is recorded with it.
   */
  keep: <Kind extends CallKind>(
    session: Session, kind: Kind, request: PendingRequests[Kind], answer: Answering, held?: HeldCall | null
  ) => Promise<{ body: string } | { refused: 'session ended' | 'full' | 'too large' }>
  /**
   * Gives a request, once, and the call that a tool's is; `null` when none of its kind waits under the token. Rejects
   * with SessionUnreadableError for a foreign text.
   */
  take: <Kind extends CallKind>(
    session: Session, kind: Kind, token: string | { id: string }
  ) => Promise<{ request: PendingRequests[Kind], held: HeldCall | null } | null>
}

/** The body that says which input is required, from the token and the id of the call. */
export type Answering = (token: string, id: string) => string

export function createPendingCalls (client: RedisClient, calls: Calls, commandTimeoutMs: number): PendingCalls {
  const { scripts, inTime } = createSessionRedis(client, commandTimeoutMs)

  /** A call that a worker of an older version kept, which had fields of its own. */
  async function takeOlder ({ id, key, meta, seal }: Session, kind: CallKind, token: string): Promise<string | null> {
    if (olderKindOf(token) !== kind) return null // it stays there for the route that it belongs to
    const text = await inTime(scripts.takePendingCall(key, { meta, token }), id)
    return text === null ? null : openField(seal, olderField(token), text, id)
  }

  return {
    async keep (session, kind, request, answering, held) {
      const id = held?.id ?? createCallId()
      const body = answering(tokenOf(id, (held?.round ?? 0) + 1), id)
      const answer = { statusCode: 202, headers: {}, body }
      const call = { state: 'input_required', data: encode(request), answer } as const
      if (held != null) {
        const state = await calls.settle(session, held, call)
        if (state === 'input_required') return { body }
        return { refused: state === null ? 'session ended' : 'too large' }
      }
      const kept = await calls.open(session, { ...call, id, kind })
      if ('opened' in kept) return { body }
      return { refused: 'refused' in kept ? kept.refused : 'too large' } // no key, so there is no earlier one
    },

    async take (session, kind, token) {
      const named = typeof token === 'string' ? parseToken(token) : token
      if (named === null) {
        const text = typeof token === 'string' ? await takeOlder(session, kind, token) : null
        return text === null ? null : { request: decode(kind, text) ?? unreadable(session.id), held: null }
      }
      const begun = await calls.begin(session, named.id, { ...named, state: 'input_required', kind })
      if (begun === null) return null
      const request = decode(kind, begun.data) ?? unreadable(session.id)
      return { request, held: kind === 'tool' ? begun.held : null }
    }
  }
}

const olderField = (token: string) => `q:${token}`

function olderKindOf (token: string): CallKind {
  if (token.startsWith('resource.')) return 'resource'
  return token.startsWith('prompt.') ? 'prompt' : 'tool'
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
