import { backoffMs } from '../../backoff.ts'
import { Cancellation } from '../../cancellation.ts'
import { isServiceError } from '../../errors.ts'
import { createServerClient, type ServerClient, type ServerConnection } from '../client/server-client.ts'
import type { StdioCommand } from '../transports/stdio.ts'
import {
  createProcessClient, endProcess, type ProcessClient, type ProcessOptions, type RunningProcess
} from './process-client.ts'
import type { Turn } from './start-bounds.ts'
import type { ServerStarts } from './start-scheduler.ts'

export interface WarmSparesOptions extends ProcessOptions {
  /** How many spares to hold ready. */
  maxReady: number
  /** A spare that was ready for so long is replaced (ms): files that it read at its start may have changed. */
  maxAgeMs: number
  /** A spare waits for its turn behind all requests, and ends when one needs its room. */
  starts: ServerStarts
  /** A spare could not be started, or ended before it was taken. The next one is started `retryMs` later. */
  onFailed: (error: unknown, retryMs: number) => void
}

export interface WarmSpares {
  readonly ready: number
  /** A spare, for one request and then to be closed; `null` when none is ready. */
  take: () => RunningProcess | null
  /** Has the missing spares started, each in its turn. Does not wait for them. */
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
  const { maxReady, maxAgeMs, starts, onFailed } = options
  const ready = new Map<ProcessClient, { turn: Turn, timer: NodeJS.Timeout }>()
  const working = new Set<Promise<void>>()
  const closing = new Cancellation()
  /** One start waits for its turn, or is under way. */
  let isStarting = false
  /** Ends the start that is under way. */
  let cancelStart: Cancellation | null = null
  let failures = 0
  let retryTimer: NodeJS.Timeout | null = null

  const isClosed = () => closing.signal.aborted

  starts.onRoomNeeded(endOne)

  function refill (): void {
    if (isClosed() || retryTimer !== null || isStarting || ready.size >= maxReady) return
    isStarting = true
    track(startOne().catch(error => {
      if (!isClosed()) retryLater(error)
    }).finally(() => {
      isStarting = false
      refill()
    }))
  }

  /** Rejects when the spare could not be started. */
  async function startOne (): Promise<void> {
    const { signal } = closing
    const turn = await starts.wait({ rank: 'spare', waitMs: Infinity, signal })
    const client = createProcessClient(command, options)
    const cancel = cancelStart = new Cancellation()
    if (isClosed()) cancel.abort()
    try {
      await turn.during(client.open(cancel.signal), client)
    } catch (error) {
      await endProcess({ client, turn })
      if (!cancel.signal.aborted) throw error
      return
    } finally {
      cancelStart = null
    }
    if (cancel.signal.aborted) return await endProcess({ client, turn })
    keep(client, turn)
  }

  function keep (client: ProcessClient, turn: Turn): void {
    const timer = setTimeout(() => replace(client), maxAgeMs)
    timer.unref()
    ready.set(client, { turn, timer })
    client.ended().then(() => {
      if (ready.has(client)) replace(client, new Error(`a spare of MCP server ${client.serverName} ended by itself`))
    }, () => {}) // `ended` never rejects
  }

  /** Replaces a spare: at once when it is too old, after a pause when it ended by itself with an error. */
  function replace (client: ProcessClient, error?: Error): void {
    const spare = remove(client)
    if (spare === null) return
    track(endProcess(spare).then(refill))
    if (error !== undefined) retryLater(error)
  }

  /** Ends a spare that is ready, or else the one that starts. Another one waits for its turn. */
  function endOne (): boolean {
    const [client] = ready.keys()
    if (client !== undefined) {
      replace(client)
      return true
    }
    if (cancelStart === null || cancelStart.signal.aborted) return false
    cancelStart.abort()
    return true
  }

  function remove (client: ProcessClient): RunningProcess | null {
    const spare = ready.get(client)
    if (spare === undefined) return null
    clearTimeout(spare.timer)
    ready.delete(client)
    return { client, turn: spare.turn }
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

  function track (work: Promise<void>): void {
    working.add(work)
    work.finally(() => working.delete(work)).catch(() => {}) // nothing in it rejects
  }

  return {
    get ready () { return ready.size },

    take () {
      // The others have ended, and are replaced as soon as that is announced.
      const client = [...ready.keys()].find(client => client.isRunning())
      const spare = client === undefined ? null : remove(client)
      if (spare === null) return null
      failures = 0
      spare.turn.setIdle(false)
      return spare
    },

    refill,

    async close () {
      closing.abort()
      cancelStart?.abort()
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
      if (spare.isRunning() || !isUnread || limits.signal.aborted) throw error
      another ??= openAnother()
      return await (await another).connection.request(description, limits, work)
    }
  }

  return createServerClient({ ...spare.connection, request })
}
