import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { withDeadline } from './deadline.ts'
import { SessionUnreadableError, StoreUnavailableError, TooManyCallsError } from './errors.ts'
import { parseFlaskSession } from './flask-session.ts'
import { isJsonObject, type JsonObject } from './json.ts'
import { fieldsOf, type NewSession, splitFields, valueField } from './session-fields.ts'
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
  /** Values that were read when the session was loaded: JSON texts by name, `null` where there is none. */
  readonly texts?: ReadonlyMap<string, string | null>
}

export interface LoadOptions {
  /** For a tool call: a place among the session's running calls, held until it is given back. */
  takePlace?: boolean
  /** Names of values that will be wanted, so that `readValues` needs no round trip for them. */
  valueNames?: readonly string[]
}

/** What is remembered of a tool call; nothing that the caller or the tool said. */
export interface CallRecord {
  tool: string
  outcome: 'ok' | 'tool_error' | 'failed' | 'abandoned'
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
  /** Ends a session; true when there was one. */
  remove: (id: string) => Promise<boolean>
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
  const key = (id: string) => `${keyPrefix}:${id}`

  async function ask<Answer> (command: Promise<Answer>, id?: string): Promise<Answer> {
    try {
      return await withDeadline(command, commandTimeoutMs, () => new Error(`redis did not answer within ${commandTimeoutMs} ms`))
    } catch (cause) {
      if (id !== undefined && cause instanceof Error && cause.message.startsWith('WRONGTYPE')) throw new SessionUnreadableError(id, { cause })
      throw new StoreUnavailableError({ cause })
    }
  }

  /** Sessions, as they were loaded for a call, whose place was given back. */
  const placesGivenBack = new WeakSet<Session>()
  const index = createSessionIndex(redis, { keyPrefix, idleTtlSeconds, sessionKey: key })

  async function create (id: string, session: NewSession): Promise<void> {
    // The index first: an entry without a session is cleared away in time, a session without an entry would never be counted.
    await ask(index.add(id))
    await ask(redis.mcpReplaceSession(key(id), idleTtlSeconds, '', ...fieldsOf(session)))
  }

  async function load (id: string, options: LoadOptions = {}): Promise<Session | null> {
    const { takePlace = false, valueNames = [] } = options
    const place = takePlace ? randomUUID() : ''
    const reply = await ask(redis.mcpReadSession(key(id), idleTtlSeconds, new Date().toISOString(), place, placeMs, maxConcurrency, ...valueNames.map(valueField)))
    if (reply[0] !== 'flask') return toSession(id, reply, place, valueNames)
    const session = fromFlask(reply[1])
    if (session === null) throw new SessionUnreadableError(id)
    // Somebody else may convert or end the same session now; whoever is second looks again at what is there.
    await ask(index.add(id))
    await ask(redis.mcpReplaceSession(key(id), idleTtlSeconds, reply[1], ...fieldsOf(session.content, session.createdAt)))
    return await load(id, options)
  }

  function toSession (id: string, reply: Exclude<ReadReply, ['flask', string]>, place: string, valueNames: readonly string[]): Session | null {
    if (reply[0] === 'none') return null
    if (reply[0] === 'busy') throw new TooManyCallsError(id, maxConcurrency)
    if (reply[0] === 'foreign') throw new SessionUnreadableError(id)
    const [, generation, text, ...values] = reply
    const credentials = parseObject(text)
    if (credentials === null || parseObject(generation) === null) throw new SessionUnreadableError(id)
    const texts = new Map(valueNames.map((name, position) => [name, values[position] ?? null]))
    return { id, credentials, generation, texts, ...(place !== '' && { place }) }
  }

  function fromFlask (text: string) {
    const flask = parseFlaskSession(text)
    if (flask === null) return null
    return { createdAt: flask.createdAt, content: splitFields(flask.fields, sensitiveParams) }
  }

  async function readTexts (session: Session, names: readonly string[]): Promise<Map<string, string | null> | null> {
    const [generation, ...texts] = await ask(redis.hmget(key(session.id), 'meta', ...names.map(valueField)), session.id)
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
      const texts = names.every(name => session.texts?.has(name)) ? session.texts : await readTexts(session, names)
      if (!texts) return null
      return new Map(names.flatMap(name => {
        const text = texts.get(name)
        return typeof text === 'string' ? [[name, parseValue(text, session.id)]] : []
      }))
    },

    async write (session, values, call) {
      const fields = [...values].flatMap(([name, text]) => [valueField(name), text])
      const record = call === undefined ? '' : JSON.stringify(call)
      const written = await ask(redis.mcpWriteSession(
        key(session.id), session.generation, idleTtlSeconds, new Date().toISOString(), record, call === undefined ? '' : session.place ?? '', ...fields
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

    async remove (id) {
      const [removed] = await ask(Promise.all([redis.unlink(key(id)), index.remove(id)]))
      return removed > 0
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
