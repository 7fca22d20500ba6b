import { reasonOf } from './failure.ts'

export interface RedisEvents {
  /** Called for the first failure of an outage, and not for the ones after it. */
  onLost: (error: Error) => void
  /** Called at the end of an outage. */
  onRestored: () => void
}

export interface OutageOptions extends RedisEvents {
  /** Does what a healthy Redis can do; rejects when Redis cannot. */
  probe: () => Promise<unknown>
}

export interface Outage {
  /** Reports a failure that is Redis's, and not one command's. */
  failed: (error: unknown) => void
  /** Ends the observation: no later failure is an outage. */
  stop: () => void
}

/** How long nothing may fail before an outage is over (ms). One that comes and goes is one outage. */
const quietMs = 2_000
const lookEveryMs = 500

/**
 * Knows when an outage begins and ends.
 *
 * An outage is more than a lost connection: a Redis that is loading, full, or a replica refuses some commands and takes
 * others. So the next success does not end it; a probe that writes does.
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
