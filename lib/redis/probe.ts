import type { RedisClient } from './client.ts'

const write = "return redis.call('SET', KEYS[1], ARGV[1], 'EX', 60)"

/**
 * Does what a session needs: runs a script that writes. PING would not do: a Redis that is full, a replica, or a node that holds
 * no keys answers it. Rejects with Redis's error.
 */
export async function probeRedis (client: RedisClient, keyPrefix: string): Promise<void> {
  // Not under the sessions' own prefix: `KEYS <prefix>:*` lists sessions and nothing else.
  await client.eval(write, 1, `mcp_probe:${keyPrefix}`, new Date().toISOString())
}
