import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { findRedisServer, type RedisServer, startRedisServer, waysToGetRedis } from '../../scripts/redis-server.mjs'
import { makeFolder } from './folders.ts'

/** A Redis of the test's own: for a test that stops it, changes its settings, or looks at all that it holds. */
export async function startRedis (t: Test, args: string[] = []): Promise<RedisServer> {
  const binary = findRedisServer()
  if (binary === null) throw new Error(waysToGetRedis)
  const server = await startRedisServer({ binary, folder: await makeFolder(t), args })
  t.teardown(server.stop)
  return server
}

let ofThisFile: Promise<RedisServer> | undefined

/**
 * The Redis of the whole run, which scripts/test.mjs starts. Each test has a key prefix of its own, and nobody empties
 * it. A file that is run by itself starts one.
 */
export async function sharedRedisUrl (t: Test): Promise<string> {
  if (process.env.TEST_REDIS_URL !== undefined) return process.env.TEST_REDIS_URL
  ofThisFile ??= startRedis(rootOf(t))
  return (await ofThisFile).url
}

function rootOf (t: Test): Test {
  let test = t
  while (test.parent !== undefined) test = test.parent as Test
  return test
}

/** A client beside the service, to look at what it wrote. */
export async function redisClient (t: Test, url?: string): Promise<Redis> {
  const client = new Redis((url ?? (await sharedRedisUrl(t))).replace('unix://', ''))
  t.teardown(() => client.disconnect())
  return client
}

/** Whether a key was given so many seconds just now: a busy machine may read the TTL some seconds later. */
export async function isGiven (client: Redis, key: string, seconds: number): Promise<boolean> {
  const ttl = await client.ttl(key)
  return ttl <= seconds && ttl > seconds - 45
}
