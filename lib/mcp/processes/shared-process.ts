import { backoffMs } from '../../backoff.ts'
import { setTimeout as delay } from 'node:timers/promises'
import { CallerLeftError, McpStartError } from '../../errors.ts'
import { abortable } from '../../cancellation.ts'
import type { Semaphore } from '../../semaphore.ts'
import type { ServerClient } from '../client/server-client.ts'
import { createProcessClient, type ProcessOptions } from './process-client.ts'
import type { StdioCommand } from '../transports/stdio.ts'
import type { ReadyServer } from './warm-spares.ts'

export interface SharedServerOptions extends ProcessOptions {
  /** A server that nobody used for so long is ended (ms); the next request starts it again. */
  idleMs: number
  alive: Semaphore
  starting: Semaphore
  /** The server ended by itself; it is not started again before `retryMs` have passed. */
  onEnded: (retryMs: number) => void
}

export interface SharedServer {
  /** The running server, started when it is not. Rejects with CallerLeftError when `signal` aborts, which ends no server. */
  use: (signal: AbortSignal) => Promise<ServerClient>
  /** Says that one user is done, also one whose `use` was rejected. */
  leave: () => void
  close: () => Promise<void>
}

const startBackoff = { firstMs: 100, maxMs: 30_000 }
/** A server that lived so long was no failure to start: it is started again at once. */
const healthyMs = 10_000
/** Pauses up to this long are waited out, longer ones are answered with an error (ms). */
const waitMs = 1_000

/** One process for all requests of this worker, for a server that its operator declared safe to share. */
export function createSharedServer (command: StdioCommand, options: SharedServerOptions): SharedServer {
  const { idleMs, alive, starting, onEnded } = options
  let current: Promise<ReadyServer> | null = null
  let users = 0
  let idleTimer: NodeJS.Timeout | null = null
  let failures = 0
  let pauseEndsAt = 0
  let closing: Promise<void> | null = null

  async function start (): Promise<ReadyServer> {
    // The start is for all who will use it: no single caller ends it by leaving.
    const { signal } = new AbortController()
    const release = await alive.acquire(signal)
    const manager = createProcessClient(command, { ...options, isShared: true })
    try {
      const started = await starting.acquire(signal)
      await manager.open(signal).finally(started)
    } catch (error) {
      pause()
      await manager.close()
      release()
      throw error
    }
    manager.ended.then(() => manager.close()).then(release, () => {}) // neither rejects
    return { manager, release }
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
    if (leftMs > waitMs) throw new McpStartError(command.name, `has ended ${failures} times in a row and is started again in ${Math.ceil(leftMs / 1000)} s`)
    if (leftMs > 0) await delay(leftMs, undefined, { signal }).catch(() => { throw new CallerLeftError() })
  }

  async function running (): Promise<ReadyServer> {
    if (closing !== null) throw new McpStartError(command.name, 'is not started any more: the service is closing')
    if (current === null) {
      const attempt = current = start()
      attempt.then(server => watch(attempt, server), () => { if (current === attempt) current = null })
    }
    return await current
  }

  /** Notices the end of the server that is in use. One that `end` has let go of, and that takes its time, is none. */
  async function watch (attempt: Promise<ReadyServer>, { manager }: ReadyServer): Promise<void> {
    const startedAt = performance.now()
    await manager.ended
    if (current !== attempt || closing !== null) return
    current = null
    if (performance.now() - startedAt > healthyMs) failures = 0
    onEnded(pause())
  }

  function end (): void {
    const ending = current
    current = null
    ending?.then(({ manager }) => manager.close()).catch(() => {}) // it did not start: nothing to end
  }

  return {
    async use (signal) {
      users++
      if (idleTimer !== null) clearTimeout(idleTimer)
      if (current === null) await waitOutPause(signal)
      const { manager } = await abortable(running(), signal)
      return manager
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
        const last = await current?.catch(() => null) // it did not start: nothing to end
        await last?.manager.close()
      })()
      return closing
    }
  }
}
