import type { RedisClient } from './client.ts'
import { readScript } from './lua.ts'

const script = readScript(new URL('scripts/probe.lua', import.meta.url))

/**
 * Does what the use of a session needs: runs a script that writes. Rejects with Redis's error.
 *
 * PING would not do, because a Redis that is full, a replica, and a cluster's node without keys all answer it.
 */
export async function probeRedis (client: RedisClient, keyPrefix: string): Promise<void> {
  // Not under the sessions' own prefix: `KEYS <prefix>:*` lists sessions and nothing else.
  await client.eval(script, 1, `mcp_probe:${keyPrefix}`, new Date().toISOString())
}
