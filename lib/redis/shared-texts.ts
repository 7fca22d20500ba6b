import type { RedisClient } from './client.ts'
import { createAwaitCommand } from './command.ts'

/** Texts that the workers share, for a while, by name. None of them is a session's. May reject. */
export interface SharedTexts {
  read: (name: string) => Promise<string | null>
  write: (name: string, text: string) => Promise<void>
  remove: (name: string) => Promise<void>
}

export interface SharedTextsOptions {
  /** Stands before each name. It is not the prefix of the sessions' own keys. */
  prefix: string
  ttlSeconds: number
  commandTimeoutMs: number
}

/** Texts at the keys `<prefix>:<name>`. */
export function createSharedTexts (
  redis: RedisClient, { prefix, ttlSeconds, commandTimeoutMs }: SharedTextsOptions
): SharedTexts {
  const ask = createAwaitCommand(commandTimeoutMs)
  const key = (name: string) => `${prefix}:${name}`
  return {
    read: name => ask(redis.get(key(name))),
    async write (name, text) {
      await ask(redis.set(key(name), text, 'EX', ttlSeconds))
    },
    async remove (name) {
      await ask(redis.unlink(key(name)))
    }
  }
}
