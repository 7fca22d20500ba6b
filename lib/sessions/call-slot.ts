import type { SessionRedis } from './scripts.ts'

/** How long a slot is held without being renewed (ms). The slots of a worker that died come free after it. */
export const slotMs = 15_000

/**
 * The slot of a running call, or of another request that a server is asked for: a session has a bounded number of them,
 * over all workers.
 */
export interface CallSlot {
  readonly id: string
  /** How often to renew the slot while the call runs (ms). */
  readonly renewEveryMs: number
  /** Holds the slot for longer, unless it was released. Not an access. Rejects with StoreUnavailableError. */
  renew: () => Promise<void>
  /** Releases the slot, unless that was done. Rejects with StoreUnavailableError. */
  release: () => Promise<void>
  /** Notes that another script releases the slot. Where it fails, `release` does it after all. */
  releasedBy: (script: Promise<unknown>) => void
}

/** A slot that was taken when the session was loaded. */
export function createCallSlot (
  { scripts, inTime }: SessionRedis, key: string, { id, meta }: { id: string, meta: string }
): CallSlot {
  let released: Promise<unknown> | null = null

  return {
    id,
    renewEveryMs: slotMs / 3,

    async renew () {
      if (released === null) await inTime(scripts.renewCallSlot(key, { meta, slotId: id, slotMs }))
    },

    async release () {
      if (released !== null && await released.then(() => true, () => false)) return
      released = inTime(scripts.releaseCallSlot(key, { meta, slotId: id }))
      await released
    },

    releasedBy (script) {
      released = script
    }
  }
}
