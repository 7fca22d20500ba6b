import type { RedisClient } from './client.ts'
import { createAwaitCommand } from './command.ts'

interface RateScripts {
  mcpCountRequest: (key: string, windowMs: number) => Promise<[current: number, remainingMs: number]>
}

/** KEYS[1] counter · ARGV[1] window (ms) → {requests in this window, what is left of it (ms)}. No counter is ever without an end. */
const countRequest = `
local current = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  left = tonumber(ARGV[1])
  redis.call('PEXPIRE', KEYS[1], left)
end
return {current, left}
`

export interface RateCounterOptions {
  keyPrefix: string
  commandTimeoutMs: number
  /** The first failure of a trouble; not the ones after it. */
  onTrouble: (error: Error) => void
  onRestored: () => void
}

/** Counts a request, for all workers together. Rejects with StoreUnavailableError. */
export type RateCounter = (name: string, windowMs: number) => Promise<{ current: number, ttl: number }>

/** Counters at `mcp_rate:<prefix>:<name>`: not under the sessions' own prefix. Each ends with its window. */
export function createRateCounter (client: RedisClient, { keyPrefix, commandTimeoutMs, onTrouble, onRestored }: RateCounterOptions): RateCounter {
  client.defineCommand('mcpCountRequest', { numberOfKeys: 1, lua: countRequest })
  const redis = client as RedisClient & RateScripts // defineCommand adds methods that its types cannot tell
  const ask = createAwaitCommand(commandTimeoutMs)
  let isInTrouble = false

  return async (name, windowMs) => {
    try {
      const [current, ttl] = await ask(redis.mcpCountRequest(`mcp_rate:${keyPrefix}:${name}`, windowMs))
      if (isInTrouble) onRestored()
      isInTrouble = false
      return { current, ttl }
    } catch (error) {
      if (!isInTrouble) onTrouble(error as Error)
      isInTrouble = true
      throw error
    }
  }
}
