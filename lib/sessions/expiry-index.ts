import type { RedisClient } from '../redis/client.ts'
import type { SessionScripts } from './scripts.ts'

export interface SessionIndexOptions {
  /** Where the index is in Redis. */
  key: string
  /** How long a session lives at least once it was opened. */
  ttlSeconds: number
  /** The Redis key of a session. */
  sessionKey: (id: string) => string
}

export interface SessionIndex {
  add: (id: string) => Promise<void>
  /** Says how a session is entered, so that `remove` removes that entry, and not one of another session that was opened under the same id since. */
  find: (id: string) => Promise<string | null>
  remove: (id: string, entry: string) => Promise<void>
  /** Number of sessions. Ones that expired unnoticed count until their turn to be looked at has come. */
  count: () => Promise<number>
}

/** How many due entries one /health, and one /init, looks at. */
const countBatch = 1_000
const addBatch = 10

/**
 * Which sessions there are: a sorted set, session id by the time (ms) before which it cannot have expired.
 *
 * Redis does not say how many keys begin with a prefix, and accesses must not pay for it: only opening and ending a session
 * write here. So an entry may be due while its session lives, because accesses have pushed its expiry back. Whoever counts,
 * or opens a session, looks at some due entries: gives those that live their new time, and removes the others. An entry
 * is looked at about once in an idle TTL, and the set stays as large as the sessions are many, with nothing to sweep it.
 */
export function createSessionIndex (redis: RedisClient & SessionScripts, options: SessionIndexOptions): SessionIndex {
  const { key, ttlSeconds, sessionKey } = options

  async function settle (most: number): Promise<number> {
    const now = Date.now()
    const due = await redis.zrangebyscore(key, '-inf', now, 'WITHSCORES', 'LIMIT', 0, most)
    const entries = await Promise.all(pairs(due).map(async ([id, score]) => {
      const remainingMs = await redis.pttl(sessionKey(id))
      return [id, score, remainingMs > 0 ? now + remainingMs : '']
    }))
    return await redis.mcpSettleIndex(key, ...entries.flat())
  }

  return {
    async add (id) {
      await redis.zadd(key, Date.now() + ttlSeconds * 1000, id)
      await settle(addBatch)
    },
    find: id => redis.zscore(key, id),
    async remove (id, entry) {
      await redis.mcpSettleIndex(key, id, entry, '')
    },
    count: () => settle(countBatch)
  }
}

function pairs (flat: string[]): Array<[string, string]> {
  return flat.flatMap((item, position) => position % 2 === 0 ? [[item, flat[position + 1] ?? '']] : [])
}
