import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { findRedisServer, type RedisServer, startRedisServer, waysToGetRedis } from '../../scripts/redis-server.mjs'

/** A Redis of the test's own. */
export async function startRedis (t: Test, args: string[] = []): Promise<RedisServer> {
  const binary = findRedisServer()
  if (binary === null) throw new Error(waysToGetRedis)
  const folder = await mkdtemp(join(tmpdir(), 'mcp-test-redis-'))
  const server = await startRedisServer({ binary, folder, args })
  t.teardown(async () => {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  })
  return server
}

let shared: Promise<RedisServer> | undefined

/** The Redis that the tests of one file share, each with a key prefix of its own. `t` is the file's root test. */
export function sharedRedis (t: Test): Promise<RedisServer> {
  shared ??= startRedis(rootOf(t))
  return shared
}

function rootOf (t: Test): Test {
  let test = t
  while (test.parent !== undefined) test = test.parent as Test
  return test
}

/** A client beside the service, to look at what it wrote. */
export async function redisClient (t: Test, url?: string): Promise<Redis> {
  const client = new Redis((url ?? (await sharedRedis(t)).url).replace('unix://', ''))
  t.teardown(() => client.disconnect())
  return client
}
