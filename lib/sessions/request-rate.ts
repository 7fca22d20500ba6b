import { tokenHashOf } from './load-session.ts'
import type { SessionRedis } from './scripts.ts'
import type { SessionCodec } from './session-record.ts'
import type { SessionRef } from './session-ref.ts'

export interface Rate {
  windowMs: number
  /** How many requests a window has. */
  most: number
}

/**
 * Counts a request for a session, for all workers together; `ttl` is what is left of the window (ms). Touches neither
 * the idle TTL nor a call slot.
 *
 * `null` without a session, and for a wrong token: nothing is counted then. So a caller who knows only the id of
 * another's session does not use up its rate. A session of the Flask service counts once it is converted.
 */
export type CountRequest = (ref: SessionRef, rate: Rate) => Promise<{ current: number, ttl: number } | null>

export function createCountRequest ({ scripts, inTime }: SessionRedis, codec: SessionCodec): CountRequest {
  return async (ref, rate) => {
    const counted = await inTime(scripts.countRequest(codec.keyOf(ref), { tokenHash: tokenHashOf(ref), ...rate }))
    return counted && { current: counted[0], ttl: counted[1] }
  }
}
