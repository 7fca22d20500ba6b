import { type CancelSignal, leftBefore } from './cancellation.ts'
import { OverloadedError } from './errors.ts'

export interface SemaphoreOptions {
  /** How many may hold it at once. */
  limit: number
  /** How many may wait for it. */
  maxQueued: number
  /** How long one may wait (ms). */
  queueTimeoutMs: number
  /** The shortage, for the error's sentence: `all MCP servers … are running`. */
  what: string
}

/** Releases what was acquired. May be called twice. */
export type Release = () => void

/** A counting semaphore with a bounded queue, first come first served. */
export interface Semaphore {
  /** How many hold it now. */
  readonly held: number
  /** How many wait for it now. */
  readonly queued: number
  /**
   * Waits until it is free. Rejects with OverloadedError when the queue is full or the wait took too long, with
   * CallerLeftError when `signal` aborts.
   */
  acquire: (signal: CancelSignal) => Promise<Release>
  /** Acquires it when it is free and nobody waits for it, else gives `null`. */
  tryAcquire: () => Release | null
}

interface Waiter { give: (release: Release) => void }

export function createSemaphore ({ limit, maxQueued, queueTimeoutMs, what }: SemaphoreOptions): Semaphore {
  const queue = new Set<Waiter>() // in the order of arrival; a waiter that gives up leaves from the middle
  let held = 0

  function hold (): Release {
    let isHeld = true
    held++
    return () => {
      if (!isHeld) return
      isHeld = false
      held--
      const [next] = queue
      if (next !== undefined) next.give(hold())
    }
  }

  function wait (signal: CancelSignal): Promise<Release> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        give (release) {
          leave()
          resolve(release)
        }
      }
      const onAbort = () => giveUp(leftBefore())
      const isLate = () => giveUp(new OverloadedError(`${what} for ${queueTimeoutMs / 1000} s`))
      const timer = setTimeout(isLate, queueTimeoutMs)
      signal.addEventListener('abort', onAbort, { once: true })
      queue.add(waiter)

      function leave (): void {
        queue.delete(waiter)
        clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
      }
      function giveUp (error: Error): void {
        leave()
        reject(error)
      }
    })
  }

  return {
    get held () { return held },
    get queued () { return queue.size },

    async acquire (signal) {
      if (signal.aborted) throw leftBefore()
      if (held < limit) return hold()
      if (queue.size >= maxQueued) throw new OverloadedError(`${what}, and ${queue.size} requests wait`)
      return await wait(signal)
    },

    tryAcquire: () => held < limit && queue.size === 0 ? hold() : null
  }
}
