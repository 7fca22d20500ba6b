import { tellSession } from '../telemetry/channels.ts'
import type { SessionRedis, SettledEntry } from './scripts.ts'
import { sessionKey } from './session-ref.ts'

export interface ExpiryIndexOptions {
  keyPrefix: string
  /** How long a session lives at least once it was opened. */
  ttlSeconds: number
}

export interface ExpiryIndex {
  add: (id: string) => Promise<void>
  /**
   * A session's entry. With it `remove` removes that entry, and not the one of another session that was opened under
   * the same id since. `null` when there is none.
   */
  find: (id: string) => Promise<string | null>
  remove: (id: string, entry: string) => Promise<void>
  /**
   * Number of sessions. A session that expired unnoticed counts until its entry is looked at. `most` bounds how many
   * due entries are.
   */
  count: (most?: number) => Promise<number>
  /** Says that a session is in use, so that the index lives on. Seldom sends a command, and does not wait for it. */
  keep: () => void
}

/**
 * How many due entries a count looks at in one index, a count of all indexes looks at in all, and an opening looks at.
 * Each costs a command. When many sessions have expired at once, only some counts later the number is right.
 */
const countBatch = 50
const countAllBatch = 300
const addBatch = 10

/**
 * The sessions of one API key, or those of none: a sorted set, session id by the time (ms) before which the session
 * cannot have expired.
 *
 * Redis does not say how many keys begin with a prefix, and an access must not pay for it: only opening and ending a
 * session write here. So an entry may be due while its session lives, because accesses have pushed its expiry back.
 * Counting, and opening a session, look at some due entries: those of living sessions get their new time, the others
 * are removed. An entry is looked at about once in an idle TTL, and the set stays as large as the sessions are many,
 * without a timer that sweeps it.
 *
 * The index of an API key that was removed is settled by nobody. So an index ends by itself, two idle TTLs after it was
 * last settled or kept. A session in use is loaded at least once in an idle TTL, and a load keeps the index when that
 * was last done half an idle TTL ago. So the index outlives every session in it, and loads hardly pay for that.
 */
export function createExpiryIndex (
  { client: redis, scripts }: Pick<SessionRedis, 'client' | 'scripts'>,
  { keyPrefix, ttlSeconds }: ExpiryIndexOptions,
  client: string | null
): ExpiryIndex {
  // Not under the sessions' own prefix: `KEYS <prefix>:*` lists sessions and nothing else.
  const key = `mcp_index:${keyPrefix}${client === null ? '' : `#${client}`}`
  const lifeMs = 2 * ttlSeconds * 1000
  const keepEveryMs = ttlSeconds * 1000 / 2
  let keptAt = -Infinity

  async function settleEntries (entries: SettledEntry[]): Promise<number> {
    const startedAt = performance.now()
    const count = await scripts.settleExpiryIndex(key, { lifeMs, entries })
    keptAt = startedAt
    return count
  }

  async function settle (most: number): Promise<number> {
    const now = Date.now()
    const due = await redis.zrangebyscore(key, '-inf', now, 'WITHSCORES', 'LIMIT', 0, most)
    const entries = await Promise.all(pairs(due).map(async ([id, score]): Promise<SettledEntry> => {
      const remainingMs = await redis.pttl(sessionKey(keyPrefix, { client, id }))
      return [id, score, remainingMs > 0 ? now + remainingMs : null]
    }))
    const count = await settleEntries(entries)
    tellSession('expired', entries.filter(([, , until]) => until === null).length)
    return count
  }

  return {
    async add (id) {
      await redis.zadd(key, Date.now() + ttlSeconds * 1000, id)
      await settle(addBatch)
    },
    find: id => redis.zscore(key, id),
    async remove (id, entry) {
      await settleEntries([[id, entry, null]])
    },
    count: (most = countBatch) => settle(most),
    keep () {
      if (performance.now() - keptAt < keepEveryMs) return
      keptAt = performance.now() // others need not send it, too
      settleEntries([]).catch(() => { keptAt = -Infinity }) // the next load tries again
    }
  }
}

export interface ExpiryIndexes {
  of: (client: string | null) => ExpiryIndex
  /** Number of sessions in all of them. */
  count: () => Promise<number>
}

/** An index for each API key, and one for sessions that were opened without. `clients` names the API keys. */
export function createExpiryIndexes (
  redis: Pick<SessionRedis, 'client' | 'scripts'>,
  options: ExpiryIndexOptions & { clients: readonly string[] }
): ExpiryIndexes {
  const create = (client: string | null) => createExpiryIndex(redis, options, client)
  const indexes = new Map([null, ...options.clients].map(client => [client, create(client)]))
  return {
    of: client => indexes.get(client) ?? create(client),
    async count () {
      const most = Math.max(1, Math.min(countBatch, Math.floor(countAllBatch / indexes.size)))
      const counts = await Promise.all([...indexes.values()].map(index => index.count(most)))
      return counts.reduce((sum, count) => sum + count, 0)
    }
  }
}

function pairs (flat: string[]): Array<[string, string]> {
  return flat.flatMap((item, position) => position % 2 === 0 ? [[item, flat[position + 1] ?? '']] : [])
}
