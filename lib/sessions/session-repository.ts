import { SessionUnreadableError, TooManySessionsError } from '../errors.ts'
import { type JsonObject, parseJsonObject } from '../json.ts'
import type { RedisClient } from '../redis/client.ts'
import { probeRedis } from '../redis/probe.ts'
import { callerOrigin } from '../value-origin.ts'
import type { NameSession } from './audit-name.ts'
import { createExpiryIndexes } from './expiry-index.ts'
import { tryToOpen } from './field-encryption.ts'
import { type NewSession, upstreamField } from './fields.ts'
import { readFlaskSession } from './flask-session.ts'
import { createLoadSession, type LoadSession, tokenHashOf } from './load-session.ts'
import { ownerOf } from './owner.ts'
import { type CountRequest, createCountRequest } from './request-rate.ts'
import { createSessionRedis } from './scripts.ts'
import { createSessionContents, type SessionContents, type SessionContentsOptions } from './session-contents.ts'
import {
  createSessionCodec, type KeyedOwner, type NewRecordOptions, type SessionCodecOptions
} from './session-record.ts'
import { callEventsKey, type SessionRef } from './session-ref.ts'
import { createValueFields, nameOfValue, type ValueOrigin } from './values.ts'
import { mostFields } from './write-changes.ts'

/**
 * The sessions, which live in Redis and nowhere else.
 *
 * Every method rejects with StoreUnavailableError when Redis does not answer in time, with SessionUnreadableError
 * when the key holds no session, or one that is sealed with a missing key.
 */
export interface SessionRepository extends SessionContents {
  /** Looks at a session's id. Touches nothing, not even the TTL. The reference's token does not matter here. */
  find: (ref: SessionRef) => Promise<FoundSession>
  /**
   * Puts a session in place of what was found. Gives the names of values that did not fit; `null`, and nothing written,
   * when something else is there by now. Rejects with TooManySessionsError when the API key has as many as it may.
   */
  create: (
    ref: SessionRef, session: NewSession, found: Pick<FoundSession, 'seen'>, token?: string
  ) => Promise<string[] | null>
  load: LoadSession
  countRequest: CountRequest
  /**
   * Ends a session, whatever is at the id. `null` when there was no readable one. `upstreams` names the MCP servers of
   * which it may have sessions.
   */
  remove: (ref: SessionRef, upstreams?: readonly string[]) => Promise<RemovedSession | null>
  /** The session's name in the log: the same for all workers, and useless without Redis. */
  nameForLog: (ref: SessionRef) => string
  /** About how many sessions there are, without scanning the keyspace; see createExpiryIndex. */
  count: () => Promise<number>
  /** Round trip to a Redis that can be written to (ms). */
  ping: () => Promise<number>
}

export interface FoundSession {
  /** Hashes of the session's owner, and their key; `null` where there is no session that can be read. */
  owner: KeyedOwner | null
  /** Says what is there, so that `create` replaces that and nothing else. */
  seen: string
  /** Hash of the session's token. */
  tokenHash: string | null
}

/** The part of a session that its end needs. */
export interface RemovedSession {
  /** Secret. */
  credentials: JsonObject
  /** Its sessions at MCP servers, by server, as `replaceUpstream` wrote them. */
  upstreams: ReadonlyMap<string, string>
}

export interface SessionRepositoryOptions extends
  Omit<SessionCodecOptions, 'valueFields'>, Omit<SessionContentsOptions, 'valueFields'> {
  /** There is one server, and its values and those of callers share their names; see values.ts. */
  sharesNames: boolean
  /** How long a session lives, however much it is used; 0 for no end. */
  maxLifetimeSeconds: number
  /** How many calls of one session may run at once, over all workers. */
  maxConcurrency: number
  sensitiveParams: readonly string[]
  /** How long Redis may take to answer (ms). */
  commandTimeoutMs: number
  /** Names of the API keys. */
  clients: readonly string[]
  maxSessionsPerClient: number
  /** See audit-name.ts. */
  nameSession: NameSession
}

interface ReplaceOptions extends Omit<NewRecordOptions, 'endsAt'> {
  limits: { mostBytes: number, mostFields: number }
}

/** The Flask service bounded nothing: what it kept is converted as a whole. */
const noLimits = { mostBytes: Number.MAX_SAFE_INTEGER, mostFields: Number.MAX_SAFE_INTEGER }

/**
 * A session is one hash, so two calls never overwrite each other's values.
 * @see https://redis.io/docs/latest/develop/data-types/hashes/
 */
export function createSessionRepository (client: RedisClient, options: SessionRepositoryOptions): SessionRepository {
  const { keyPrefix, idleTtlSeconds, maxLifetimeSeconds, maxBytes, sensitiveParams } = options
  const redis = createSessionRedis(client, options.commandTimeoutMs)
  const { scripts, inTime } = redis
  const valueFields = createValueFields(options)
  const codec = createSessionCodec({ ...options, valueFields })
  const { keyOf } = codec
  const ttlSeconds = maxLifetimeSeconds === 0 ? idleTtlSeconds : Math.min(idleTtlSeconds, maxLifetimeSeconds)
  const indexes = createExpiryIndexes(redis, { keyPrefix, ttlSeconds, clients: options.clients })

  /** Gives the fields of values that did not fit; `null` when something else than what was seen is there. */
  async function replace (ref: SessionRef, seen: string, session: NewSession, { limits, ...record }: ReplaceOptions) {
    const now = new Date()
    const endsAt = maxLifetimeSeconds === 0 ? null : now.getTime() + maxLifetimeSeconds * 1000
    const written = codec.encode(ref, session, { ...record, endsAt })
    const args = { seen, ttlSeconds: idleTtlSeconds, now, endsAt, ...written, ...limits }
    return await inTime(scripts.createSession(keyOf(ref), args))
  }

  async function convert (ref: SessionRef, seen: string): Promise<void> {
    const flask = readFlaskSession(ref, seen, sensitiveParams)
    if (flask === null) throw new SessionUnreadableError(ref.id)
    await inTime(indexes.of(ref.client).add(ref.id))
    // Another worker may convert or end this session now. The one that comes second changes nothing.
    await replace(ref, seen, flask.session, { createdAt: flask.createdAt, limits: noLimits, valueOrigin: null })
  }

  const loadSession = createLoadSession(redis, codec, { ...options, valueFields, convert })

  return {
    ...createSessionContents(redis, { ...options, valueFields }),
    countRequest: createCountRequest(redis, codec),

    async load (ref, loadOptions) {
      const session = await loadSession(ref, loadOptions)
      if (session !== null) indexes.of(ref.client).keep()
      return session
    },

    async find (ref) {
      const names = ['meta', 'credentials', 'owner', 'token']
      const reading = await inTime(scripts.peekSession(keyOf(ref), { fields: names }))
      if (reading.is === 'session') {
        const { fields } = reading
        const tokenHash = fields.get('token') ?? null
        return { owner: codec.decodeOwner(ref, fields), seen: `hash:${fields.get('meta')}`, tokenHash }
      }
      const seen = reading.is === 'other' ? reading.seen : ''
      const flask = readFlaskSession(ref, seen, sensitiveParams)
      return { owner: flask && { ...ownerOf(flask.session.identity, ''), key: '' }, seen, tokenHash: null }
    },

    async create (ref, session, { seen }, token) {
      const { client, id } = ref
      const index = indexes.of(client)
      if (client !== null && seen === '' && await inTime(index.count()) >= options.maxSessionsPerClient) {
        throw new TooManySessionsError(client, options.maxSessionsPerClient)
      }
      // The index first: an entry without a session is cleared away in time, a session without an entry is never
      // counted.
      await inTime(index.add(id))
      const valueOrigin: ValueOrigin = { server: callerOrigin, as: 'init', at: new Date().toISOString() }
      const limits = { mostBytes: maxBytes, mostFields }
      const leftOut = await replace(ref, seen, session, { token, limits, valueOrigin })
      return leftOut?.map(nameOfValue) ?? null
    },

    async remove (ref, servers = []) {
      const key = keyOf(ref)
      const index = indexes.of(ref.client)
      const peek = scripts.peekSession(key, { fields: ['meta', 'credentials'] })
      const [reading, entry] = await inTime(Promise.all([peek, index.find(ref.id)]))
      if (reading.is === 'session' && !codec.isOpenedBy(ref, reading.fields.get('meta') ?? '')) return null
      const names = ['meta', 'credentials', 'call_ids', ...servers.map(upstreamField)]
      const args = { tokenHash: tokenHashOf(ref), fields: names }
      const { removed, fields } = await inTime(scripts.removeSession(key, args))
      // Nothing is added to them once their session is gone.
      const calls = fields.get('call_ids')?.match(/(?<!\S)c_\S+/g) ?? []
      if (calls.length > 0) await inTime(client.unlink(calls.map(call => callEventsKey(keyPrefix, key, call))))
      if (removed === 1 && entry !== null) await inTime(index.remove(ref.id, entry))

      const meta = fields.get('meta') ?? null
      if (meta === null) return null
      const seal = codec.sealOf(ref, meta)
      const open = (field: string) => {
        const text = fields.get(field) ?? null
        return text === null ? null : tryToOpen(seal, field, text)
      }
      const credentials = parseJsonObject(open('credentials') ?? '')
      if (credentials === null) return null
      const upstreams = servers.flatMap(server => {
        const text = open(upstreamField(server))
        return text === null ? [] : [[server, text] as const]
      })
      return { credentials, upstreams: new Map(upstreams) }
    },

    nameForLog: ref => options.nameSession(keyOf(ref)),
    count: () => inTime(indexes.count()),

    async ping () {
      const start = performance.now()
      await inTime(probeRedis(client, keyPrefix))
      return performance.now() - start
    }
  }
}
