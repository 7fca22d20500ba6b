import { createHmac, randomBytes } from 'node:crypto'
import type { RedisClient } from '../redis/client.ts'
import type { AwaitCommand } from '../redis/command.ts'

/** Names a session in the audit log: the same for all workers, and of no use to whoever has the log and not Redis. */
export type NameSession = (key: string) => string

/**
 * Loads the key that names sessions in the audit log, at `mcp_audit:<prefix>`; the first worker ever makes it.
 *
 * An id is often all that is needed to use a session, so the log must not have it, nor a plain hash, which tells who can guess. Rejects with
 * StoreUnavailableError.
 *
 * @see https://redis.io/docs/latest/commands/set/ NX: of two workers that start at once, one makes it
 */
export async function loadSessionNamer (redis: RedisClient, keyPrefix: string, ask: AwaitCommand): Promise<NameSession> {
  const place = `mcp_audit:${keyPrefix}`
  const read = () => ask(redis.get(place))
  const make = () => ask(redis.set(place, randomBytes(32).toString('base64url'), 'NX'))
  // Read first: a Redis that takes no writes just now is no reason not to start.
  const key = await read() ?? await make().then(read) ?? ''
  return sessionKey => createHmac('sha256', key).update(sessionKey).digest('base64url').slice(0, 22)
}
