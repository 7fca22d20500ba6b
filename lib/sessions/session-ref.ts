import { hash, randomBytes } from 'node:crypto'
import { hashTagOf } from '../redis/hash-tag.ts'

/** The session that a request is about. */
export interface SessionRef {
  id: string
  /** Name of the API key that the request came with; `null` where the service needs none. */
  client: string | null
  /** Secret. The session's token; `undefined` where sessions need none. */
  token?: string | undefined
}

/**
 * The Redis key of a session. Operators list and look at these keys, so no other key may begin like them. The name of
 * an API key has no colon, so one API key never looks where another one has opened a session.
 */
export const sessionKey = (keyPrefix: string, { client, id }: Pick<SessionRef, 'client' | 'id'>) =>
  [keyPrefix, ...client === null ? [] : [client], id].join(':')

/**
 * The Redis key beside a session's, which holds its results: in a cluster the two are on one node, so that one script
 * may touch both.
 */
export function resultsKey (sessionKey: string): string {
  const tag = hashTagOf(sessionKey)
  return tag === sessionKey ? `mcp_results:{${tag}}` : `mcp_results:{${tag}}:${sessionKey}`
}

/** The Redis key of the events of a call, beside that of its session. No session's key begins like it. */
export const callEventsKey = (keyPrefix: string, sessionKey: string, call: string) =>
  `mcp_events:{${hashTagOf(sessionKey)}}:${keyPrefix}:${call}`

/** 192 random bits, which cannot be guessed. */
export const createSessionId = () => randomBytes(24).toString('base64url')

/** Secret: 256 random bits that allow the use of a session. */
export const createSessionToken = () => randomBytes(32).toString('base64url')

/**
 * The hash that is stored of a token. A random token needs neither salt nor stretching. The hash of an absent token is
 * one that no token has.
 */
export const hashOfToken = (token: string | undefined) =>
  token ? hash('sha256', token, 'base64url') : 'none'
