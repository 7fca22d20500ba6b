import { createHash, randomBytes } from 'node:crypto'
import type { JsonObject } from '../json.ts'
import type { FieldSeal } from './field-encryption.ts'
import type { NewSession, SessionMeta } from './fields.ts'
import type { Owner } from './owner.ts'

/** What a request says of the session that it is about. */
export interface SessionRef {
  id: string
  /** Name of the API key that the request came with; `null` where the service asks for none. */
  client: string | null
  /** Secret. The session's token; `undefined` where sessions need none. */
  token?: string | undefined
}

/** A session as it was loaded. */
export interface Session {
  readonly id: string
  /** Where it is in Redis. */
  readonly key: string
  /** Secret. The fields of /init that are credentials. */
  readonly credentials: JsonObject
  /** Its `meta`, which tells it from any other that is opened under the same id later. */
  readonly meta: string
  readonly seal: FieldSeal
  /** Whether it was sealed with an older key, or before there was one. */
  readonly isStale: boolean
  /** End of its whole lifetime (ms since 1970); `null` for none. */
  readonly endsAt: number | null
  /** The place that a tool call took among the session's running calls; given back by `write`, `givePlaceBack`, or by lapsing. */
  readonly place?: string
  /** Fields that were read when the session was loaded: their texts as they are stored, `null` where there is none. */
  readonly fields: ReadonlyMap<string, string | null>
}

export interface LoadOptions {
  /** For a tool call: a place among the session's running calls, held until it is given back. */
  takePlace?: boolean
  /** Names of values that will be wanted, so that `readValues` needs no round trip for them. */
  valueNames?: readonly string[]
  /** MCP servers whose sessions will be wanted, so that `readUpstream` needs no round trip for them. */
  upstreams?: readonly string[]
}

/** What is at an id. */
export interface FoundSession {
  /** Hashes of its owner, and the key that they were made with; `null` where there is no session that can be read. */
  owner: Owner & { key: string } | null
  /** Says what is there, so that `create` can replace that and nothing else. */
  seen: string
  /** Hash of its token. */
  tokenHash: string | null
}

/** What a session leaves to be done when it is over. */
export interface RemovedSession {
  /** Secret. */
  credentials: JsonObject
  /** Its sessions at MCP servers, by server, as `replaceUpstream` wrote them. */
  upstreams: ReadonlyMap<string, string>
}

/** What is remembered of a tool call; nothing that the caller or the tool said. */
export interface CallRecord {
  tool: string
  outcome: 'ok' | 'tool_error' | 'input_required' | 'failed' | 'abandoned'
  duration_ms: number
  /** ISO 8601, UTC. */
  at: string
}

export interface Changes {
  /** Cached values: JSON texts by name. */
  values?: ReadonlyMap<string, string>
  /** A call that is over: its place is given back. */
  call?: CallRecord
  /** Other credentials, of the same owner. */
  identity?: NewSession['identity']
  /** Another token. */
  token?: string | undefined
}

/** What a session looks like from outside, without what is in it. */
export interface SessionDescription {
  meta: SessionMeta
  idleLeftMs: number
  calls: number
  lastCall: CallRecord | null
  /** Of all cached values, names included, as they are stored. */
  cachedBytes: number
  /** Bytes as stored, by name. */
  values: ReadonlyMap<string, number>
}

/** A field as it is stored, and what it says. */
export interface StoredText { stored: string, text: string }

/** A session's token: 256 random bits. Whoever has it may use the session. */
export const createSessionToken = () => randomBytes(32).toString('base64url')

/** What is stored of it. Random as it is, it needs neither salt nor stretching. An absent one has a hash that no token has. */
export const hashOfToken = (token: string | undefined) => token ? createHash('sha256').update(token).digest('base64url') : 'none'

/** An id that nobody guesses: 192 random bits. */
export const createSessionId = () => randomBytes(24).toString('base64url')
