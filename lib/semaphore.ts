import { CallerLeftError, OverloadedError } from './errors.ts'

export interface PlacesOptions {
  /** How many may be held at once. */
  most: number
  /** How many may wait. */
  mostWaiting: number
  /** How long one may wait (ms). */
  timeoutMs: number
  /** What there are too many of, for the sentence. */
  what: string
}

/** Gives a place back. May be called twice. */
export type Release = () => void

export interface Places {
  readonly taken: number
  readonly waiting: number
  /**
   * A place, first come first served. Rejects with OverloadedError when too many wait already or none came free in time,
   * with CallerLeftError when `signal` aborts.
   */
  take: (signal: AbortSignal) => Promise<Release>
  /** A place when one is free and nobody waits for it, else `null`. */
  tryTake: () => Release | null
}

interface Waiter { give: (release: Release) => void }

/** A bounded number of places, and a bounded queue for them. */
export function createPlaces ({ most, mostWaiting, timeoutMs, what }: PlacesOptions): Places {
  const queue = new Set<Waiter>() // in the order of arrival; a waiter that gives up leaves from the middle
  let taken = 0

  function occupy (): Release {
    let isHeld = true
    taken++
    return () => {
      if (!isHeld) return
      isHeld = false
      taken--
      const [next] = queue
      if (next !== undefined) next.give(occupy())
    }
  }

  function wait (signal: AbortSignal): Promise<Release> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        give (release) {
          leave()
          resolve(release)
        }
      }
      const onAbort = () => giveUp(new CallerLeftError())
      const timer = setTimeout(() => giveUp(new OverloadedError(`${what} for ${timeoutMs / 1000} s`)), timeoutMs)
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
    get taken () { return taken },
    get waiting () { return queue.size },

    async take (signal) {
      if (signal.aborted) throw new CallerLeftError()
      if (taken < most) return occupy()
      if (queue.size >= mostWaiting) throw new OverloadedError(`${what}, and ${queue.size} requests wait`)
      return await wait(signal)
    },

    tryTake: () => taken < most && queue.size === 0 ? occupy() : null
  }
}
