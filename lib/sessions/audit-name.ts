import { createHmac, hash, randomBytes } from 'node:crypto'
import type { RedisClient } from '../redis/client.ts'
import type { AwaitCommand } from '../redis/command.ts'
import type { EncryptionKey } from './field-encryption.ts'

/** Names a session in the audit log. The name is the same for all workers, and useless without Redis. */
export type NameSession = (key: string) => string

/**
 * Loads the key that names sessions in the audit log, at `mcp_audit:<prefix>`; the first worker ever makes it.
 *
 * An id often suffices to use a session, so the log must not have it. It must not have a plain hash either, by which a
 * reader could check a guess. Rejects with StoreUnavailableError.
 *
 * @see https://redis.io/docs/latest/commands/set/ NX: of two workers that start at once, one makes it
 */
export async function loadSessionNamer (
  redis: RedisClient, keyPrefix: string, inTime: AwaitCommand
): Promise<NameSession> {
  const redisKey = `mcp_audit:${keyPrefix}`
  const read = () => inTime(redis.get(redisKey))
  const make = () => inTime(redis.set(redisKey, randomBytes(32).toString('base64url'), 'NX'))
  // Reads first: the service may also start while Redis takes no writes.
  const key = await read() ?? await make().then(read) ?? ''
  return sessionKey => shortDigest(key, sessionKey)
}

/**
 * 132 bits of a keyed SHA-256, in one pass: HMAC, which takes OpenSSL four times as long, guards a digest from being
 * extended, and one that is cut needs no such guard. Each tool call has two.
 */
const shortDigest = (key: string, text: string) => hash('sha256', key + text, 'base64url').slice(0, 22)

/** Which arguments a call had, for the audit log: equal texts have equal digests, on all workers. */
export type DigestArguments = (text: string) => string

/**
 * The digest has a key, so that a reader of the log cannot check a guess: many arguments are small. The key is the
 * first encryption key's, which Redis does not have; without one, it is the key that names sessions.
 */
export function createArgumentDigest (keys: readonly EncryptionKey[], nameSession: NameSession): DigestArguments {
  const [first] = keys
  const purpose = 'mcp-audit-arguments'
  const key = first === undefined
    ? nameSession(purpose)
    : createHmac('sha256', first.key).update(purpose).digest('base64url')
  return text => shortDigest(key, text)
}
