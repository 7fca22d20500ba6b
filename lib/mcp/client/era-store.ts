import type { RedisClient } from '../../redis/client.ts'
import type { EraStore } from './protocol-era.ts'
import { createAwaitCommand } from '../../redis/command.ts'

export interface EraStoreOptions {
  keyPrefix: string
  commandTimeoutMs: number
}

/**
 * A server that was upgraded speaks its old era, too, and would be asked in it for ever: after a day, it is asked
 * again (s).
 */
const ttlSeconds = 86_400

/** What the workers know of the servers' eras, at `mcp_era:<prefix>:<server>`: not under the sessions' own prefix. */
export function createEraStore (redis: RedisClient, { keyPrefix, commandTimeoutMs }: EraStoreOptions): EraStore {
  const ask = createAwaitCommand(commandTimeoutMs)
  const key = (server: string) => `mcp_era:${keyPrefix}:${server}`
  return {
    read: server => ask(redis.get(key(server))),
    async write (server, text) {
      await ask(redis.set(key(server), text, 'EX', ttlSeconds))
    },
    async remove (server) {
      await ask(redis.unlink(key(server)))
    }
  }
}
