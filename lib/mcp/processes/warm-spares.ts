import { backoffMs } from '../../backoff.ts'
import { isServiceError } from '../../errors.ts'
import type { Release, Semaphore } from '../../semaphore.ts'
import { createServerClient, type ServerClient, type ServerConnection } from '../client/server-client.ts'
import type { StdioCommand } from '../transports/stdio.ts'
import { createProcessClient, type ProcessClient, type ProcessOptions, type RunningProcess } from './process-client.ts'

export interface WarmSparesOptions extends ProcessOptions {
  /** How many spares to hold ready. */
  maxReady: number
  /** A spare that was ready for so long is replaced (ms): files that it read at its start may have changed. */
  maxAgeMs: number
  /** Processes that may be alive, and that may be starting. A spare takes a slot of each, but never waits for one. */
  alive: Semaphore
  starting: Semaphore
  /** A spare could not be started, or ended before it was taken. The next one is started `retryMs` later. */
  onFailed: (error: unknown, retryMs: number) => void
}

export interface WarmSpares {
  readonly ready: number
  /** A spare, for one request and then to be closed; `null` when none is ready. */
  take: () => RunningProcess | null
  /** Starts the missing spares while no other server wants to start. Does not wait for them. */
  refill: () => void
  /** Ends all spares, and those that are starting. */
  close: () => Promise<void>
}

const retryBackoff = { firstMs: 1_000, maxMs: 60_000 }

/**
 * Servers that were started ahead of demand, and have served no request. A request takes one, uses it once, and it is
 * closed like any other. So no session reaches what another one left in a server's memory.
 */
export function createWarmSpares (command: StdioCommand, options: WarmSparesOptions): WarmSpares {
  const { maxReady, maxAgeMs, alive, starting, onFailed } = options
  const ready = new Map<ProcessClient, { release: Release, timer: NodeJS.Timeout }>()
  const working = new Set<Promise<void>>()
  let startingCount = 0
  let failures = 0
  let retryTimer: NodeJS.Timeout | null = null
  let isClosed = false

  function refill (): void {
    if (isClosed || retryTimer !== null || ready.size + startingCount >= maxReady) return
    // A spare must not make a request wait. It starts only while no other server does, and so one after the other.
    if (starting.held > 0) return
    const release = alive.tryAcquire()
    const started = release && starting.tryAcquire()
    if (release === null || started === null) return release?.()
    track(start(release).finally(() => {
      started()
      refill()
    }))
  }

  async function start (release: Release): Promise<void> {
    const client = createProcessClient(command, options)
    startingCount++
    try {
      await client.open(new AbortController().signal) // one of its own: a signal that all used would gather listeners
    } catch (error) {
      await dispose(client, release)
      if (!isClosed) retryLater(error)
      return
    } finally {
      startingCount--
    }
    // A request that queued meanwhile gets the slot: it could not know that a spare would come.
    if (isClosed || alive.queued > 0) return await dispose(client, release)
    const timer = setTimeout(() => replace(client), maxAgeMs)
    timer.unref()
    ready.set(client, { release, timer })
    client.ended.then(() => {
      if (ready.has(client)) replace(client, new Error(`a spare of MCP server ${client.serverName} ended by itself`))
    }, () => {}) // `ended` never rejects
  }

  /** Replaces a spare: at once when it is too old, after a pause when it ended by itself with an error. */
  function replace (client: ProcessClient, error?: Error): void {
    const spare = remove(client)
    if (spare === null) return
    track(dispose(client, spare.release))
    if (error === undefined) refill()
    else retryLater(error)
  }

  function remove (client: ProcessClient): RunningProcess | null {
    const spare = ready.get(client)
    if (spare === undefined) return null
    clearTimeout(spare.timer)
    ready.delete(client)
    return { client, release: spare.release }
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

  async function dispose (client: ProcessClient, release: Release): Promise<void> {
    await client.close()
    release()
  }

  function track (work: Promise<void>): void {
    working.add(work)
    work.finally(() => working.delete(work)).catch(() => {}) // nothing in it rejects
  }

  return {
    get ready () { return ready.size },

    take () {
      // The others have ended, and are replaced as soon as that is announced.
      const client = [...ready.keys()].find(({ isRunning }) => isRunning)
      if (client === undefined) return null
      failures = 0
      return remove(client)
    },

    refill,

    async close () {
      isClosed = true
      if (retryTimer !== null) clearTimeout(retryTimer)
      for (const client of [...ready.keys()]) replace(client)
      while (working.size > 0) await Promise.all(working)
    }
  }
}

/**
 * A spare as the client of its request. The spare may have ended just before. Then a request that it cannot have read
 * goes to another server, which is opened for that, once. Nothing can be done twice.
 */
export function retryOnDeadSpare (spare: ProcessClient, openAnother: () => Promise<ProcessClient>): ServerClient {
  let another: Promise<ProcessClient> | null = null

  const request: ServerConnection['request'] = async (description, limits, work) => {
    if (another !== null) return await (await another).connection.request(description, limits, work)
    try {
      return await spare.connection.request(description, limits, work)
    } catch (error) {
      const isUnread = isServiceError(error) && error.acted === 'no'
      if (spare.isRunning || !isUnread || limits.signal.aborted) throw error
      another ??= openAnother()
      return await (await another).connection.request(description, limits, work)
    }
  }

  return createServerClient({ ...spare.connection, request })
}
