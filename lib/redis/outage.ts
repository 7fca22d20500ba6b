import { reasonOf } from './failure.ts'

export interface RedisEvents {
  /** The first failure of an outage; not the ones after it. */
  onLost: (error: Error) => void
  /** The end of one. */
  onRestored: () => void
}

export interface OutageOptions extends RedisEvents {
  /** Does what a healthy Redis can do; rejects when it cannot. */
  probe: () => Promise<unknown>
}

export interface Outage {
  /** Something failed that means Redis, and not one command. */
  failed: (error: unknown) => void
  /** From now on nothing is an outage. */
  stop: () => void
}

/** Nothing may have failed for so long before an outage is over: one that comes and goes is one. */
const quietMs = 2_000
const lookEveryMs = 500

/**
 * Knows when an outage begins and ends. One is more than a lost connection: a Redis that is loading, full, or a replica refuses
 * some commands and takes others. So it is not the next success that ends it, but a probe that writes.
 */
export function createOutage ({ probe, onLost, onRestored }: OutageOptions): Outage {
  let failedAt = 0
  let timer: NodeJS.Timeout | undefined
  let isStopped = false

  function failed (error: unknown): void {
    failedAt = performance.now()
    if (isStopped || timer !== undefined) return
    lookLater()
    onLost(new Error(reasonOf(error)))
  }

  function lookLater (): void {
    timer = setTimeout(look, lookEveryMs)
    timer.unref()
  }

  function look (): void {
    const before = failedAt
    if (performance.now() - before < quietMs) return lookLater()
    probe().then(() => {
      if (isStopped) return
      if (failedAt !== before) return lookLater()
      timer = undefined
      onRestored()
    }, () => {
      if (!isStopped) lookLater()
    })
  }

  return {
    failed,
    stop () {
      isStopped = true
      clearTimeout(timer)
    }
  }
}
