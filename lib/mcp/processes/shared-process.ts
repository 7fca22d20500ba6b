import { setTimeout as delay } from 'node:timers/promises'
import { backoffMs } from '../../backoff.ts'
import { abortable } from '../../cancellation.ts'
import { CallerLeftError, McpStartError } from '../../errors.ts'
import type { Semaphore } from '../../semaphore.ts'
import type { ServerClient } from '../client/server-client.ts'
import type { StdioCommand } from '../transports/stdio.ts'
import { createProcessClient, type ProcessOptions, type RunningProcess } from './process-client.ts'

export interface SharedProcessOptions extends ProcessOptions {
  /** A process that no request used for so long is ended (ms); the next request starts another. */
  idleMs: number
  alive: Semaphore
  starting: Semaphore
  /** The process ended by itself. Another one is started `retryMs` later at the earliest. */
  onEnded: (retryMs: number) => void
}

export interface SharedProcess {
  /**
   * The client of the running process, which is started when there is none. Rejects with CallerLeftError when `signal`
   * aborts; the process stays.
   */
  use: (signal: AbortSignal) => Promise<ServerClient>
  /** Ends one use. Each call of `use` needs one, also a rejected one. */
  leave: () => void
  close: () => Promise<void>
}

const startBackoff = { firstMs: 100, maxMs: 30_000 }
/** A process that lived for so long was no failed start: another one is started at once (ms). */
const healthyMs = 10_000
/** Longest pause that a request waits for (ms); a longer one is answered with an error. */
const waitMs = 1_000

/** One process for all requests of this worker, for a server that its operator declared safe to share. */
export function createSharedProcess (command: StdioCommand, options: SharedProcessOptions): SharedProcess {
  const { idleMs, alive, starting, onEnded } = options
  let current: Promise<RunningProcess> | null = null
  let users = 0
  let idleTimer: NodeJS.Timeout | null = null
  let failures = 0
  let pauseEndsAt = 0
  /** Whether another try can help, as far as the last end says. */
  let retryable = true
  let closing: Promise<void> | null = null

  async function start (): Promise<RunningProcess> {
    // The start is for everybody: no single caller ends it by leaving.
    const { signal } = new AbortController()
    const release = await alive.acquire(signal)
    const client = createProcessClient(command, { ...options, isShared: true })
    try {
      const started = await starting.acquire(signal)
      await client.open(signal).finally(started)
    } catch (error) {
      retryable = !(error instanceof McpStartError) || error.retryable === true
      pause()
      await client.close()
      release()
      throw error
    }
    const process = { client, release }
    client.ended.then(() => dispose(process), () => {}) // `ended` never rejects
    return process
  }

  /** Ends a process with its group, and releases its slot. May be called twice. */
  async function dispose ({ client, release }: RunningProcess): Promise<void> {
    await client.close()
    release()
  }

  /** Each failure after the first doubles the pause before the next start. */
  function pause (): number {
    const pauseMs = backoffMs(failures, startBackoff)
    failures++
    pauseEndsAt = performance.now() + pauseMs
    return pauseMs
  }

  async function waitOutPause (signal: AbortSignal): Promise<void> {
    const leftMs = pauseEndsAt - performance.now()
    if (leftMs > waitMs) {
      const seconds = Math.ceil(leftMs / 1000)
      const sentence = `has ended ${failures} times in a row and is started again in ${seconds} s`
      throw Object.assign(new McpStartError(command.name, sentence), { retryable })
    }
    if (leftMs > 0) await delay(leftMs, undefined, { signal }).catch(() => { throw new CallerLeftError() })
  }

  async function running (): Promise<RunningProcess> {
    if (closing !== null) {
      throw new McpStartError(command.name, 'is not started any more: the service is closing')
    }
    if (current === null) {
      const attempt = current = start()
      attempt.then(process => watch(attempt, process), () => { if (current === attempt) current = null })
    }
    return await current
  }

  /**
   * Notices the end of the process that is in use. A process that `end` let go may take its time, and is another one.
   */
  async function watch (attempt: Promise<RunningProcess>, { client }: RunningProcess): Promise<void> {
    const startedAt = performance.now()
    retryable = true // it started
    await client.ended
    if (current !== attempt || closing !== null) return
    current = null
    if (performance.now() - startedAt > healthyMs) failures = 0
    onEnded(pause())
  }

  function end (): void {
    const ending = current
    current = null
    ending?.then(dispose).catch(() => {}) // it did not start, so there is nothing to end
  }

  return {
    async use (signal) {
      users++
      if (idleTimer !== null) clearTimeout(idleTimer)
      if (current === null) await waitOutPause(signal)
      const { client } = await abortable(running(), signal)
      return client
    },

    leave () {
      users--
      if (users > 0 || closing !== null) return
      idleTimer = setTimeout(end, idleMs)
      idleTimer.unref()
    },

    close () {
      closing ??= (async () => {
        if (idleTimer !== null) clearTimeout(idleTimer)
        const last = await current?.catch(() => null) // it did not start, so there is nothing to end
        if (last) await dispose(last)
      })()
      return closing
    }
  }
}
