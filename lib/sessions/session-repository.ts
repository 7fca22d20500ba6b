import { randomUUID } from 'node:crypto'
import type { NameSession } from './audit-name.ts'
import { SessionUnreadableError, TooManyCallsError, TooManySessionsError } from '../errors.ts'
import { parseJsonObject } from '../json.ts'
import type { RedisClient } from '../redis/client.ts'
import { createAwaitCommand } from '../redis/command.ts'
import { probeRedis } from '../redis/probe.ts'
import { type CallRecord, type Changes, type FoundSession, type LoadOptions, type RemovedSession, type Session, type SessionRef, type SessionDescription, type StoredText, hashOfToken } from './session.ts'
import { createSessionCodec, metaOf, openField, parseValue, type SessionCodecOptions, textIn } from './session-record.ts'
import { isSealedField, type NewSession, sessionKey, upstreamField, valueField } from './fields.ts'
import { createSessionIndex } from './expiry-index.ts'
import { ownerOf } from './owner.ts'
import { defineSessionScripts } from './scripts.ts'

/**
 * The sessions, which live nowhere else.
 *
 * Every method rejects with StoreUnavailableError when Redis does not answer in time, with SessionUnreadableError when what is at
 * the key is no session, or is sealed with a key that is not there.
 */
export interface SessionRepository {
  /** What is at a claim's id. Touches nothing, not even the TTL. A claim's token does not matter here. */
  find: (claim: SessionRef) => Promise<FoundSession>
  /**
   * Puts a session in place of what was found. Gives the names of values that did not fit; `null`, and nothing written, when something else is
   * there by now. Rejects with TooManySessionsError when the API key has as many as it may.
   */
  create: (claim: SessionRef, session: NewSession, instead: Pick<FoundSession, 'seen'>, token?: string) => Promise<string[] | null>
  /**
   * Loads a session and restarts its idle TTL, in one round trip. A session that the Flask service wrote is converted.
   *
   * `null` covers "never existed", "expired", "another API key's" and "a wrong token"; callers must not tell them apart. Rejects
   * with TooManyCallsError when a place was asked for and all are taken.
   */
  load: (claim: SessionRef, options?: LoadOptions) => Promise<Session | null>
  /** Seals with the first key what was not: to be done with a session that is stale. Not an access. */
  reseal: (session: Session) => Promise<void>
  /** Holds the session's place for another `placeMs`; to be called more often than that while a call runs. Not an access. */
  renewPlace: (session: Session) => Promise<void>
  /** Gives the session's place back, unless that was done. */
  givePlaceBack: (session: Session) => Promise<void>
  /** The cached values that exist, of those named; no round trip when all were read with the session. `null` when the session has ended since it was loaded. */
  readValues: (session: Session, names: readonly string[]) => Promise<Map<string, unknown> | null>
  /**
   * Writes changes in one round trip, and restarts the idle TTL. Gives the names of values that did not fit, which then have no older value
   * either; `null`, and nothing written, when the session has ended since it was loaded.
   */
  write: (session: Session, changes: Changes) => Promise<string[] | null>
  /** The session's own session at an MCP server, as it was written; no round trip when it was read with the session. */
  readUpstream: (session: Session, server: string) => Promise<StoredText | null>
  /** Writes it, in place of what was read, unless there is something else by now. Gives what is there then; `null` when the session has ended. */
  replaceUpstream: (session: Session, server: string, previous: StoredText | null, next: string) => Promise<StoredText | null>
  /** `null` when the session has ended since it was loaded. */
  describe: (session: Session) => Promise<SessionDescription | null>
  /** Ends a session, whatever is at the id. `null` when there was no readable one. `upstreams` names the servers of which it may have sessions. */
  remove: (claim: SessionRef, upstreams?: readonly string[]) => Promise<RemovedSession | null>
  /** What the log calls the session of a claim: the same for all workers, and of no use to whoever has only the log. */
  nameForLog: (claim: SessionRef) => string
  /** About how many sessions there are, without scanning the keyspace; see createSessionIndex. */
  count: () => Promise<number>
  /** Round trip to a Redis that can be written to (ms). */
  ping: () => Promise<number>
}

export interface SessionRepositoryOptions extends SessionCodecOptions {
  idleTtlSeconds: number
  /** Of a session, however much it is used; 0 for no end. */
  maxLifetimeSeconds: number
  /** Of a session's cached values, names included. */
  maxBytes: number
  /** How many calls of one session may run at once, over all workers. */
  maxConcurrency: number
  /** How long Redis may take to answer (ms). */
  commandTimeoutMs: number
  /** Names of the API keys. */
  clients: readonly string[]
  /** See lib/audit-key.ts. */
  nameSession: NameSession
  maxSessionsPerClient: number
}

/** How long a running call's place holds without being renewed (ms); the places of a worker that died come free after it. */
export const placeMs = 15_000

/** Of a session. A name and a short value take more room in Redis than they have bytes. */
const mostFields = 10_000

/** @see {@link https://redis.io/docs/latest/develop/data-types/hashes/} one hash a session: two calls never overwrite each other's values */
export function createSessionRepository (client: RedisClient, options: SessionRepositoryOptions): SessionRepository {
  const { keyPrefix, idleTtlSeconds, maxLifetimeSeconds, maxBytes, maxConcurrency, commandTimeoutMs, clients, maxSessionsPerClient } = options
  const redis = defineSessionScripts(client)
  const ask = createAwaitCommand(commandTimeoutMs)
  const codec = createSessionCodec(options)
  const { keyOf } = codec
  const wantedHash = ({ token }: SessionRef) => token === undefined ? '' : hashOfToken(token)

  /** Sessions, as they were loaded for a call, whose place was given back. */
  const placesGivenBack = new WeakSet<Session>()

  const ttlSeconds = maxLifetimeSeconds === 0 ? idleTtlSeconds : Math.min(idleTtlSeconds, maxLifetimeSeconds)
  const indexFor = (client: string | null) => createSessionIndex(redis, {
    // Not under the sessions' own prefix: `KEYS <prefix>:*` lists sessions and nothing else.
    key: `mcp_index:${keyPrefix}${client === null ? '' : `#${client}`}`,
    ttlSeconds,
    sessionKey: id => sessionKey(keyPrefix, client, id)
  })
  const indexes = new Map([null, ...clients].map(client => [client, indexFor(client)]))
  const indexOf = (client: string | null) => indexes.get(client) ?? indexFor(client)

  /** Puts a session's fields in place of what is there; false when something else is. */
  async function replace (key: string, seen: string, fields: string[]): Promise<boolean> {
    const now = Date.now()
    const ends = maxLifetimeSeconds === 0 ? '' : now + maxLifetimeSeconds * 1000
    return await ask(redis.mcpReplaceSession(key, idleTtlSeconds, now, ends, seen, ...fields)) === 1
  }

  async function load (claim: SessionRef, options: LoadOptions = {}): Promise<Session | null> {
    const { takePlace = false, valueNames = [], upstreams = [] } = options
    const names = [...valueNames.map(valueField), ...upstreams.map(upstreamField)]
    const place = takePlace ? randomUUID() : ''
    const now = new Date()
    const reply = await ask(redis.mcpReadSession(
      keyOf(claim), idleTtlSeconds, now.toISOString(), now.getTime(), wantedHash(claim), place, placeMs, maxConcurrency, ...names
    ))
    if (reply[0] === 'none') return null
    if (reply[0] === 'busy') throw new TooManyCallsError(claim.id, maxConcurrency)
    if (reply[0] === 'session') {
      const [, meta, credentials, ends, ...texts] = reply
      const stored = { meta, credentials, ends, fields: new Map(names.map((name, position) => [name, texts[position] ?? null])) }
      let session: Session | null = null
      try {
        session = codec.decode(claim, stored, place)
      } finally {
        // Who gets no session cannot give its place back.
        if (session === null && place !== '') await ask(redis.mcpPlace(keyOf(claim), meta, place, ''))
      }
      return session
    }
    const flask = codec.fromFlask(claim, reply[1])
    if (flask === null) throw new SessionUnreadableError(claim.id)
    // Somebody else may convert or end the same session now; whoever is second looks again at what is there.
    await ask(indexOf(claim.client).add(claim.id))
    const { fields } = codec.encode(claim, flask.content, { maxBytes: Infinity, createdAt: flask.createdAt })
    await replace(keyOf(claim), reply[1], fields)
    return await load(claim, options)
  }

  /** As they are stored; `null` when the session has ended since it was loaded. */
  async function readFields ({ id, key, meta, fields }: Session, names: readonly string[]): Promise<ReadonlyMap<string, string | null> | null> {
    if (names.every(name => fields.has(name))) return fields
    const [there, ...texts] = await ask(redis.hmget(key, 'meta', ...names), id)
    if (there !== meta) return null
    return new Map(names.map((name, position) => [name, texts[position] ?? null]))
  }

  return {
    load,

    async find (claim) {
      const reply = await ask(redis.mcpReadSession(keyOf(claim), '', '', 0, '', '', 0, 0, 'owner', 'token'))
      if (reply[0] === 'session') {
        const [, meta, credentials, , owner = null, tokenHash = null] = reply
        return { owner: codec.ownerIn(claim, { meta, credentials }, owner), seen: `hash:${meta}`, tokenHash }
      }
      const seen = reply[0] === 'other' ? reply[1] : ''
      const flask = codec.fromFlask(claim, seen)
      return { owner: flask && { ...ownerOf(flask.content.identity, ''), key: '' }, seen, tokenHash: null }
    },

    async create (claim, session, { seen }, token) {
      const { client, id } = claim
      const index = indexOf(client)
      if (client !== null && seen === '' && await ask(index.count()) >= maxSessionsPerClient) throw new TooManySessionsError(client, maxSessionsPerClient)
      const { fields, leftOut } = codec.encode(claim, session, { maxBytes, token })
      // The index first: an entry without a session is cleared away in time, a session without an entry would never be counted.
      await ask(index.add(id))
      return await replace(keyOf(claim), seen, fields) ? leftOut : null
    },

    async reseal ({ id, key, meta, seal }) {
      const stored = await ask(redis.hgetall(key), id)
      if (stored.meta !== meta) return
      const stale = Object.entries(stored).filter(([field, text]) => isSealedField(field) && !seal.isCurrent(text))
      // Last what tells that there is something to be done: whoever is interrupted leaves it to be done.
      stale.sort(([a], [b]) => Number(a === 'credentials') - Number(b === 'credentials'))
      for (const [field, text] of stale) {
        const opened = textIn(seal, field, text)
        // One that does not open is told of when it is wanted; the others need not wait for it.
        if (opened !== null) await ask(redis.mcpExchangeField(key, meta, field, text, seal.seal(field, opened)))
      }
    },

    async readValues (session, names) {
      const fields = await readFields(session, names.map(valueField))
      if (fields === null) return null
      return new Map(names.flatMap(name => {
        const text = fields.get(valueField(name))
        return typeof text === 'string' ? [[name, parseValue(openField(session.seal, valueField(name), text, session.id), session.id)]] : []
      }))
    },

    async write (session, { values = new Map(), call, identity, token }) {
      const { key, meta, seal } = session
      const now = new Date()
      const others = Object.entries({
        last_accessed: now.toISOString(),
        ...(call !== undefined && { last_call: JSON.stringify(call) }),
        ...(identity !== undefined && {
          credentials: seal.seal('credentials', JSON.stringify(identity.credentials)),
          owner: seal.seal('owner', JSON.stringify(ownerOf(identity, meta)))
        }),
        ...(token !== undefined && { token: hashOfToken(token) })
      })
      const fields = [...values].flatMap(([name, text]) => [valueField(name), seal.seal(valueField(name), text)])
      const [place, calls] = call === undefined ? ['', 0] : [session.place ?? '', 1]
      const [isWritten, ...leftOut] = await ask(redis.mcpWriteSession(
        key, meta, idleTtlSeconds, now.getTime(), place, calls, maxBytes, mostFields, others.length, ...others.flat(), ...fields
      ))
      if (call !== undefined) placesGivenBack.add(session)
      return isWritten === 1 ? leftOut.map(nameOfValue) : null
    },

    async renewPlace ({ key, meta, place }) {
      if (place !== undefined) await ask(redis.mcpPlace(key, meta, place, placeMs))
    },

    async givePlaceBack (session) {
      if (session.place === undefined || placesGivenBack.has(session)) return
      placesGivenBack.add(session)
      await ask(redis.mcpPlace(session.key, session.meta, session.place, ''))
    },

    async readUpstream (session, server) {
      const field = upstreamField(server)
      const stored = (await readFields(session, [field]))?.get(field) ?? null
      return stored === null ? null : { stored, text: openField(session.seal, field, stored, session.id) }
    },

    async replaceUpstream ({ id, key, meta, seal }, server, previous, next) {
      const field = upstreamField(server)
      const stored = await ask(redis.mcpExchangeField(key, meta, field, previous?.stored ?? '', seal.seal(field, next)))
      return stored === null ? null : { stored, text: openField(seal, field, stored, id) }
    },

    async describe (session) {
      const description = await ask(redis.mcpDescribeSession(session.key, session.meta), session.id)
      if (description === null) return null
      const [idleLeftMs, , bytes, calls, lastCall, ...sizes] = description
      return {
        meta: metaOf(session),
        idleLeftMs,
        calls: Number(calls ?? 0),
        lastCall: parseJsonObject(lastCall ?? '') as CallRecord | null, // this service wrote it
        cachedBytes: Number(bytes ?? 0),
        values: new Map(sizes.flatMap((name, position) => position % 2 === 0 ? [[String(name), Number(sizes[position + 1])] as const] : []))
      }
    },

    async remove (claim, servers = []) {
      const index = indexOf(claim.client)
      const [there, entry] = await ask(Promise.all([redis.mcpReadSession(keyOf(claim), '', '', 0, '', '', 0, 0), index.find(claim.id)]))
      if (there[0] === 'session' && !codec.isOf(claim, there[1])) return null
      const fields = ['credentials', ...servers.map(upstreamField)]
      const [removed, meta, text, ...texts] = await ask(redis.mcpRemoveSession(keyOf(claim), wantedHash(claim), ...fields))
      if (removed === 1 && entry !== null) await ask(index.remove(claim.id, entry))
      const open = (field: string, text: string | null | undefined) =>
        typeof meta === 'string' && typeof text === 'string' ? codec.open(claim, meta, field, text) : null
      const credentials = parseJsonObject(open('credentials', text) ?? '')
      if (credentials === null) return null
      const upstreams = servers.flatMap((server, position) => {
        const opened = open(upstreamField(server), texts[position])
        return opened === null ? [] : [[server, opened] as const]
      })
      return { credentials, upstreams: new Map(upstreams) }
    },

    nameForLog: claim => options.nameSession(keyOf(claim)),

    async count () {
      const counts = await ask(Promise.all([...indexes.values()].map(index => index.count())))
      return counts.reduce((sum, count) => sum + count, 0)
    },

    async ping () {
      const start = performance.now()
      await ask(probeRedis(client, keyPrefix))
      return performance.now() - start
    }
  }
}

const nameOfValue = (field: string) => field.slice(valueField('').length)
