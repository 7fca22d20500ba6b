import { abortable, Cancellation, type CancelSignal } from '../../cancellation.ts'
import { createSemaphore, type Release, type Semaphore } from '../../semaphore.ts'
import { inPhase } from '../../telemetry/channels.ts'

export interface RequestBoundsOptions {
  /** How many requests one server may have at once. */
  maxOfServer: number
  /** How many requests all servers together may have at once. */
  maxTotal: number
  /** How many requests may wait for one server, and how long each (ms). */
  maxQueued: number
  queueTimeoutMs: number
}

/** The requests of now. */
export interface RequestCounts {
  /** How many the servers have. */
  running: number
  /** How many wait for their turn. */
  waiting: number
}

/** Bounds the requests that this worker has at MCP servers over HTTP. */
export interface RequestBounds {
  counts: () => RequestCounts
  /** The bound of one server, and of all together. */
  forServer: (name: string) => RequestBound
}

export interface RequestBound {
  /**
   * Waits until the server may get one more request. Rejects with OverloadedError when the queue is full or the wait
   * took too long, with CallerLeftError when `signal` aborts. Nothing is held then.
   */
  acquire: (signal: CancelSignal) => Promise<Release>
}

/**
 * Bounds the requests of each server and of all together, so that a server that hangs uses up its own share only.
 *
 * A request waits for its server's share first. Whoever waits for the rest holds nothing of another server.
 */
export function createRequestBounds (options: RequestBoundsOptions): RequestBounds {
  const { maxOfServer, maxTotal, ...queue } = options
  const what = `all ${maxTotal} requests that MCP servers with a url may get at once are running`
  const total = createSemaphore({ ...queue, limit: maxTotal, what })
  let waiting = 0

  async function acquireBoth (own: Semaphore, signal: CancelSignal): Promise<Release> {
    // Most find both free, and wait for nothing.
    const releaseOwn = (signal.aborted ? null : own.tryAcquire()) ?? await own.acquire(signal)
    try {
      const releaseTotal = total.tryAcquire() ?? await total.acquire(signal)
      return () => {
        releaseTotal()
        releaseOwn()
      }
    } catch (error) {
      releaseOwn()
      throw error
    }
  }

  return {
    counts: () => ({ running: total.held, waiting }),

    forServer (name) {
      const what = `all ${maxOfServer} requests that MCP server ${name} may get at once are running`
      const own = createSemaphore({ ...queue, limit: maxOfServer, what })
      return {
        async acquire (signal) {
          waiting++
          try {
            return await inPhase('queue', { server: name }, () => acquireBoth(own, signal))
          } finally {
            waiting--
          }
        }
      }
    }
  }
}

/** The turns of one request of ours at one server. */
export interface Turns {
  /** Does `work` once the server may get one more request. Rejects as RequestBound.acquire does, and as `work` does. */
  take: <Value>(signal: CancelSignal, work: () => Promise<Value>) => Promise<Value>
  /** Gives back what is still held. Never rejects. */
  end: () => Promise<void>
}

/**
 * A turn for each request that is sent. Between them nothing is held: a request of ours that uses several servers never
 * waits for one while it holds the turn of another. Only when a stream has been opened, its turn is held until the end.
 */
export function createTurns (bound: RequestBound, hasStream: () => boolean): Turns {
  let held: Release | null = null
  let isEnded = false
  return {
    async take (signal, work) {
      if (held !== null) return await work()
      const release = await bound.acquire(signal)
      try {
        return await work()
      } finally {
        if (held === null && !isEnded && hasStream()) held = release
        else release()
      }
    },
    async end () {
      isEnded = true
      held?.()
      held = null
    }
  }
}

/**
 * One turn from the first request until the end, for a transport whose stream is open all that time: the stream costs
 * the server a connection, also while no request is under way.
 */
export function createStreamTurns (bound: RequestBound): Turns {
  const ending = new Cancellation()
  let turn: Promise<Release> | null = null

  async function hold (): Promise<Release> {
    try {
      // Not the signal of a request: others of this client may wait for the same turn.
      return await bound.acquire(ending.signal)
    } catch (error) {
      turn = null
      throw error
    }
  }

  return {
    async take (signal, work) {
      turn ??= hold()
      await abortable(turn, signal)
      return await work()
    },
    async end () {
      ending.abort()
      const last = turn
      turn = null
      await last?.then(release => release(), () => {}) // whoever waited for it has this error
    }
  }
}
