import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { SessionUnreadableError, TooManyCallsError } from './errors.ts'
import { parseFlaskSession } from './flask-session.ts'
import { isJsonObject, type JsonObject } from './json.ts'
import { createAwaitCommand } from './redis-command.ts'
import { fieldsOf, type NewSession, sessionKey, splitFields, upstreamField, valueField } from './session-fields.ts'
import { createSessionIndex } from './session-index.ts'
import { defineSessionScripts, type ReadReply } from './session-scripts.ts'

export interface Session {
  readonly id: string
  /** Secret. The fields of /init that are credentials. */
  readonly credentials: JsonObject
  /** Tells this session from any other that is opened under the same id later. */
  readonly generation: string
  /** The place that a tool call took among the session's running calls; given back by `write`, `givePlaceBack`, or by lapsing. */
  readonly place?: string
  /** Fields that were read when the session was loaded: their texts, `null` where there is none. */
  readonly fields?: ReadonlyMap<string, string | null>
}

export interface LoadOptions {
  /** For a tool call: a place among the session's running calls, held until it is given back. */
  takePlace?: boolean
  /** Names of values that will be wanted, so that `readValues` needs no round trip for them. */
  valueNames?: readonly string[]
  /** MCP servers whose sessions will be wanted, so that `readUpstream` needs no round trip for them. */
  upstreams?: readonly string[]
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

/**
 * The sessions, which live nowhere else.
 *
 * Every method rejects with StoreUnavailableError when Redis does not answer in time.
 */
export interface SessionRepository {
  /** Puts a session in place of whatever is at the id. */
  create: (id: string, session: NewSession) => Promise<void>
  /**
   * Loads a session and restarts its idle TTL, in one round trip. A session that the Flask service wrote is converted.
   *
   * `null` covers "never existed" and "expired"; callers must not tell them apart. Rejects with SessionUnreadableError
   * when the value at the key is no session, with TooManyCallsError when a place was asked for and all are taken.
   */
  load: (id: string, options?: LoadOptions) => Promise<Session | null>
  /** Holds the session's place for another `placeMs`; to be called more often than that while a call runs. Not an access. */
  renewPlace: (session: Session) => Promise<void>
  /** Gives the session's place back, unless that was done. */
  givePlaceBack: (session: Session) => Promise<void>
  /** The owner of the session at the id; `null` when there is no readable one. Touches nothing, not even the TTL. */
  findOwner: (id: string) => Promise<string | null>
  /** The cached values that exist, of those named; no round trip when all were read with the session. `null` when the session has ended since it was loaded. */
  readValues: (session: Session, names: readonly string[]) => Promise<Map<string, unknown> | null>
  /**
   * Keeps values (JSON texts by name) and the record of a call, in one round trip, and restarts the idle TTL. With a record
   * it also gives the call's place back: the call is over.
   * False, and nothing written, when the session has ended since it was loaded.
   */
  write: (session: Session, values: ReadonlyMap<string, string>, call?: CallRecord) => Promise<boolean>
  /** The session's own session at an MCP server, as it was written; no round trip when it was read with the session. */
  readUpstream: (session: Session, server: string) => Promise<string | null>
  /** Writes it, in place of what was read, unless there is something else by now. Gives what is there then; `null` when the session has ended. */
  replaceUpstream: (session: Session, server: string, previous: string | null, next: string) => Promise<string | null>
  /** Ends a session, whatever is at the id. `null` when there was no readable one. `upstreams` names the servers of which it may have sessions. */
  remove: (id: string, upstreams?: readonly string[]) => Promise<RemovedSession | null>
  /** About how many sessions there are, without scanning the keyspace; see createSessionIndex. */
  count: () => Promise<number>
  /** Round trip to Redis (ms). */
  ping: () => Promise<number>
}

export interface SessionRepositoryOptions {
  keyPrefix: string
  idleTtlSeconds: number
  sensitiveParams: readonly string[]
  /** How long Redis may take to answer (ms). */
  commandTimeoutMs: number
  /** How many calls of one session may run at once, over all workers. */
  maxConcurrency: number
}

/** How long a running call's place holds without being renewed (ms); the places of a worker that died come free after it. */
export const placeMs = 15_000

/** @see {@link https://redis.io/docs/latest/develop/data-types/hashes/} one hash a session: two calls never overwrite each other's values */
export function createSessionRepository (client: Redis, options: SessionRepositoryOptions): SessionRepository {
  const { keyPrefix, idleTtlSeconds, sensitiveParams, commandTimeoutMs, maxConcurrency } = options
  const redis = defineSessionScripts(client)
  const key = (id: string) => sessionKey(keyPrefix, id)

  const ask = createAwaitCommand(commandTimeoutMs)

  /** Sessions, as they were loaded for a call, whose place was given back. */
  const placesGivenBack = new WeakSet<Session>()
  const index = createSessionIndex(redis, { keyPrefix, idleTtlSeconds, sessionKey: key })

  async function create (id: string, session: NewSession): Promise<void> {
    // The index first: an entry without a session is cleared away in time, a session without an entry would never be counted.
    await ask(index.add(id))
    await ask(redis.mcpReplaceSession(key(id), idleTtlSeconds, '', ...fieldsOf(session)))
  }

  async function load (id: string, options: LoadOptions = {}): Promise<Session | null> {
    const { takePlace = false, valueNames = [], upstreams = [] } = options
    const fields = [...valueNames.map(valueField), ...upstreams.map(upstreamField)]
    const place = takePlace ? randomUUID() : ''
    const reply = await ask(redis.mcpReadSession(key(id), idleTtlSeconds, new Date().toISOString(), place, placeMs, maxConcurrency, ...fields))
    if (reply[0] !== 'flask') return toSession(id, reply, place, fields)
    const session = fromFlask(reply[1])
    if (session === null) throw new SessionUnreadableError(id)
    // Somebody else may convert or end the same session now; whoever is second looks again at what is there.
    await ask(index.add(id))
    await ask(redis.mcpReplaceSession(key(id), idleTtlSeconds, reply[1], ...fieldsOf(session.content, session.createdAt)))
    return await load(id, options)
  }

  function toSession (id: string, reply: Exclude<ReadReply, ['flask', string]>, place: string, names: readonly string[]): Session | null {
    if (reply[0] === 'none') return null
    if (reply[0] === 'busy') throw new TooManyCallsError(id, maxConcurrency)
    if (reply[0] === 'foreign') throw new SessionUnreadableError(id)
    const [, generation, text, ...values] = reply
    const credentials = parseObject(text)
    if (credentials === null || parseObject(generation) === null) throw new SessionUnreadableError(id)
    const fields = new Map(names.map((name, position) => [name, values[position] ?? null]))
    return { id, credentials, generation, fields, ...(place !== '' && { place }) }
  }

  function fromFlask (text: string) {
    const flask = parseFlaskSession(text)
    if (flask === null) return null
    return { createdAt: flask.createdAt, content: splitFields(flask.fields, sensitiveParams) }
  }

  /** `null` when the session has ended since it was loaded. */
  async function readFields (session: Session, names: readonly string[]): Promise<ReadonlyMap<string, string | null> | null> {
    const { fields } = session
    if (fields !== undefined && names.every(name => fields.has(name))) return fields
    const [generation, ...texts] = await ask(redis.hmget(key(session.id), 'meta', ...names), session.id)
    if (generation !== session.generation) return null
    return new Map(names.map((name, position) => [name, texts[position] ?? null]))
  }

  return {
    create,
    load,

    async findOwner (id) {
      const reply = await ask(redis.mcpReadSession(key(id), '', '', '', 0, 0))
      if (reply[0] === 'session') {
        const owner = parseObject(reply[2]) && parseObject(reply[1])?.owner
        return typeof owner === 'string' ? owner : null
      }
      return reply[0] === 'flask' ? fromFlask(reply[1])?.content.owner ?? null : null
    },

    async readValues (session, names) {
      const fields = await readFields(session, names.map(valueField))
      if (fields === null) return null
      return new Map(names.flatMap(name => {
        const text = fields.get(valueField(name))
        return typeof text === 'string' ? [[name, parseValue(text, session.id)]] : []
      }))
    },

    async write (session, values, call) {
      const fields = [...values].flatMap(([name, text]) => [valueField(name), text])
      const record = call === undefined ? [] : ['last_call', JSON.stringify(call)]
      const [place, calls] = call === undefined ? ['', 0] : [session.place ?? '', 1]
      const written = await ask(redis.mcpWriteSession(
        key(session.id), session.generation, idleTtlSeconds, place, calls, 'last_accessed', new Date().toISOString(), ...record, ...fields
      ))
      if (call !== undefined) placesGivenBack.add(session)
      return written === 1
    },

    async renewPlace (session) {
      if (session.place !== undefined) await ask(redis.mcpPlace(key(session.id), session.generation, session.place, placeMs))
    },

    async givePlaceBack (session) {
      if (session.place === undefined || placesGivenBack.has(session)) return
      placesGivenBack.add(session)
      await ask(redis.mcpPlace(key(session.id), session.generation, session.place, ''))
    },

    async readUpstream (session, server) {
      const fields = await readFields(session, [upstreamField(server)])
      return fields?.get(upstreamField(server)) ?? null
    },

    async replaceUpstream (session, server, previous, next) {
      return await ask(redis.mcpExchangeField(key(session.id), session.generation, upstreamField(server), previous ?? '', next))
    },

    async remove (id, servers = []) {
      const fields = ['credentials', ...servers.map(upstreamField)]
      const [[, text, ...texts]] = await ask(Promise.all([redis.mcpRemoveSession(key(id), ...fields), index.remove(id)]))
      const credentials = typeof text === 'string' ? parseObject(text) : null
      if (credentials === null) return null
      const upstreams = servers.flatMap((server, position) => typeof texts[position] === 'string' ? [[server, texts[position]] as const] : [])
      return { credentials, upstreams: new Map(upstreams) }
    },

    count: () => ask(index.count()),

    async ping () {
      const start = performance.now()
      await ask(redis.ping())
      return performance.now() - start
    }
  }
}

function parseValue (text: string, id: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new SessionUnreadableError(id, { cause })
  }
}

function parseObject (text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : null
  } catch {
    return null // not ours: the caller reports the session as unreadable
  }
}
