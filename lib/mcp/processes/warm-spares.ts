import { backoffMs } from '../../backoff.ts'
import type { Semaphore, Release } from '../../semaphore.ts'
import { createProcessClient, type ProcessClient, type ProcessOptions } from './process-client.ts'
import type { StdioCommand } from '../transports/stdio.ts'

export interface WarmSparesOptions extends ProcessOptions {
  /** How many spares to hold ready; 0 for none. */
  most: number
  /** A spare that nobody took for so long is replaced (ms): what it read at its start may have changed. */
  maxAgeMs: number
  /** Processes that may be alive, and may be starting: a spare takes a place of each as any server does, but never waits for one. */
  alive: Semaphore
  starting: Semaphore
  /** A spare could not be started, or ended before it was taken; the next try is `retryMs` later. */
  onFailed: (error: unknown, retryMs: number) => void
}

/** A server that is ready, and the place that it takes among those alive. */
export interface ReadyServer { manager: ProcessClient, release: Release }

export interface WarmSpares {
  readonly ready: number
  /** A spare, for one request and then to be closed; `null` when none is ready. */
  take: () => ReadyServer | null
  /** Starts spares where some are missing and nobody else wants to start a server. Does not wait for them. */
  refill: () => void
  /** Ends all spares, and those that are starting. */
  close: () => Promise<void>
}

const retryBackoff = { firstMs: 1_000, maxMs: 60_000 }

/**
 * Servers that were started ahead of demand and have never served anyone: a request takes one, uses it once, and it is
 * closed like any other. So what one session leaves in a server's memory is as unreachable for the next as with a cold start.
 * A command of `null` is a server that cannot be started before its request is known.
 */
export function createWarmSpares (command: StdioCommand | null, options: WarmSparesOptions): WarmSpares {
  const { most, maxAgeMs, alive, starting, onFailed } = options
  const ready = new Map<ProcessClient, { release: Release, timer: NodeJS.Timeout }>()
  const working = new Set<Promise<void>>()
  let startingCount = 0
  let failures = 0
  let retryTimer: NodeJS.Timeout | null = null
  let isClosed = false

  function refill (): void {
    if (command === null || isClosed || retryTimer !== null || ready.size + startingCount >= most) return
    // A spare must not make a request wait: it starts only while no other server does, so one after the other, too.
    if (starting.held > 0) return
    const release = alive.tryAcquire()
    const started = release && starting.tryAcquire()
    if (release === null || started === null) return release?.()
    track(start(command, release).finally(() => {
      started()
      refill()
    }))
  }

  async function start (command: StdioCommand, release: Release): Promise<void> {
    const manager = createProcessClient(command, options)
    startingCount++
    try {
      await manager.open(new AbortController().signal) // nobody's; one that is kept would gather listeners
    } catch (error) {
      await dispose(manager, release)
      if (!isClosed) retryLater(error)
      return
    } finally {
      startingCount--
    }
    // A request that queued while this one started gets its place: it could not know that a spare would come.
    if (isClosed || alive.queued > 0) return await dispose(manager, release)
    const timer = setTimeout(() => replace(manager), maxAgeMs)
    timer.unref()
    ready.set(manager, { release, timer })
    manager.ended.then(() => {
      if (ready.has(manager)) replace(manager, new Error(`a spare of MCP server ${manager.serverName} ended by itself`))
    }, () => {}) // `ended` never rejects
  }

  /** A spare that is too old, or with an error one that ended by itself. */
  function replace (manager: ProcessClient, error?: Error): void {
    const spare = remove(manager)
    if (spare === null) return
    track(dispose(manager, spare.release))
    if (error === undefined) refill()
    else retryLater(error)
  }

  function remove (manager: ProcessClient): { release: Release } | null {
    const spare = ready.get(manager)
    if (spare === undefined) return null
    clearTimeout(spare.timer)
    ready.delete(manager)
    return spare
  }

  /** Each failure doubles the pause, so that a broken server is not started in a loop. */
  function retryLater (error: unknown): void {
    const retryMs = backoffMs(++failures, retryBackoff)
    onFailed(error, retryMs)
    retryTimer ??= setTimeout(() => {
      retryTimer = null
      refill()
    }, retryMs)
    retryTimer.unref()
  }

  async function dispose (manager: ProcessClient, release: Release): Promise<void> {
    await manager.close()
    release()
  }

  function track (work: Promise<void>): void {
    working.add(work)
    work.finally(() => working.delete(work)).catch(() => {}) // nothing in it rejects
  }

  return {
    get ready () { return ready.size },

    take () {
      for (const manager of ready.keys()) {
        if (!manager.isRunning) continue // its end is on its way to us
        const spare = remove(manager)
        failures = 0
        if (spare !== null) return { manager, release: spare.release }
      }
      return null
    },

    refill,

    async close () {
      isClosed = true
      if (retryTimer !== null) clearTimeout(retryTimer)
      for (const manager of [...ready.keys()]) replace(manager)
      while (working.size > 0) await Promise.all(working)
    }
  }
}
