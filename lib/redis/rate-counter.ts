import type { RedisClient } from './client.ts'
import { createAwaitCommand } from './command.ts'
import { defineScript } from './lua.ts'

export interface RateCounterOptions {
  keyPrefix: string
  commandTimeoutMs: number
}

/**
 * Counts a request, for all workers together. `ttl` is what is left of the window (ms). Rejects with
 * StoreUnavailableError.
 */
export type RateCounter = (name: string, windowMs: number) => Promise<{ current: number, ttl: number }>

type CountReply = [current: number, leftMs: number]

/** Counters at `mcp_rate:<prefix>:<name>`: not under the sessions' own prefix. Each ends with its window. */
export function createRateCounter (client: RedisClient, options: RateCounterOptions): RateCounter {
  const { keyPrefix, commandTimeoutMs } = options
  const file = new URL('scripts/count-request.lua', import.meta.url)
  const countRequest = defineScript<{ windowMs: number }, CountReply>(client, file, ({ windowMs }) => [windowMs])
  const inTime = createAwaitCommand(commandTimeoutMs)

  return async (name, windowMs) => {
    const [current, ttl] = await inTime(countRequest(`mcp_rate:${keyPrefix}:${name}`, { windowMs }))
    return { current, ttl }
  }
}
