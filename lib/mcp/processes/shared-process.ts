import { setTimeout as delay } from 'node:timers/promises'
import { type Alarm, clearAlarm, setAlarm } from '../../alarms.ts'
import { backoffMs } from '../../backoff.ts'
import { abortable, Cancellation, type CancelSignal, nativeSignal } from '../../cancellation.ts'
import { CallerLeftError, McpStartError } from '../../errors.ts'
import { inPhase } from '../../telemetry/channels.ts'
import type { ServerClient } from '../client/server-client.ts'
import type { StdioCommand } from '../transports/stdio.ts'
import { createProcessClient, endProcess, type ProcessOptions, type RunningProcess } from './process-client.ts'
import type { Turn } from './start-bounds.ts'
import type { ServerStarts } from './start-scheduler.ts'
import type { Ticket, Wish } from './start-ticket.ts'

export interface SharedProcessOptions extends ProcessOptions {
  /** A process that no request used for so long is ended (ms); the next request starts another. */
  idleMs: number
  starts: ServerStarts
  /** The process ended by itself. Another one is started `retryMs` later at the earliest. */
  onEnded: (retryMs: number) => void
}

export interface SharedProcess {
  /**
   * The client of the running process, which is started when there is none. Asks for the wish only where there is a
   * wait. Rejects as the wait of a {@link Ticket} does; a process that has begun to start goes on.
   */
  use: (wish: () => Wish) => Promise<ServerClient>
  /** Another request waits for the turn to start, too, if there is a wait. Rejects as `use` does. */
  join: (wish: Wish) => Promise<void>
  /** Ends one use. Each call of `use` needs one, also a rejected one. */
  leave: () => void
  close: () => Promise<void>
}

/** The process, and the place in the queue for its start. */
interface Current {
  ticket: Ticket<Turn>
  process: Promise<RunningProcess>
  /** The process once it has started. */
  running: RunningProcess | null
}

const startBackoff = { firstMs: 100, maxMs: 30_000 }
/** A process that lived for so long was no failed start: another one is started at once (ms). */
const healthyMs = 10_000
/** Longest pause that a request waits for (ms); a longer one is answered with an error. */
const waitMs = 1_000

/** One process for all requests of this worker, for a server that its operator declared safe to share. */
export function createSharedProcess (command: StdioCommand, options: SharedProcessOptions): SharedProcess {
  const { idleMs, starts, onEnded } = options
  let current: Current | null = null
  let users = 0
  let idleAlarm: Alarm | null = null
  let failures = 0
  let pauseEndsAt = 0
  /** Whether another try can help, as far as the last end says. */
  let retryable = true
  let closing: Promise<void> | null = null

  async function start (ticket: Ticket<Turn>): Promise<RunningProcess> {
    const turn = await ticket.turn
    const client = createProcessClient(command, { ...options, isShared: true })
    const process = { client, turn }
    try {
      // The start is for everybody: no single caller ends it by leaving.
      await turn.during(client.open(new Cancellation().signal), client)
    } catch (error) {
      retryable = !(error instanceof McpStartError) || error.retryable === true
      pause()
      await endProcess(process)
      throw error
    }
    client.ended().then(() => endProcess(process), () => {}) // `ended` never rejects
    return process
  }

  /** Each failure after the first doubles the pause before the next start. */
  function pause (): number {
    const pauseMs = backoffMs(failures, startBackoff)
    failures++
    pauseEndsAt = performance.now() + pauseMs
    return pauseMs
  }

  async function waitOutPause (signal: CancelSignal): Promise<void> {
    const leftMs = pauseEndsAt - performance.now()
    if (leftMs > waitMs) {
      const seconds = Math.ceil(leftMs / 1000)
      const sentence = `has ended ${failures} times in a row and is started again in ${seconds} s`
      throw Object.assign(new McpStartError(command.name, sentence), { retryable })
    }
    if (leftMs <= 0) return
    await delay(leftMs, undefined, { signal: nativeSignal(signal) }).catch(() => { throw new CallerLeftError() })
  }

  function startOrJoin (): Current {
    if (closing !== null) {
      throw new McpStartError(command.name, 'is not started any more: the service is closing')
    }
    // Nobody can join a ticket that all others have left, though that is heard of later.
    if (current !== null && current.ticket.state() !== 'abandoned') return current
    const ticket = starts.ticket()
    const attempt: Current = { ticket, process: start(ticket), running: null }
    current = attempt
    attempt.process.then(process => watch(attempt, process), () => {
      if (current === attempt) current = null
    })
    return attempt
  }

  /** Waits for the turn to start as this request may, then for the start as all of them. */
  async function running (wish: Wish): Promise<RunningProcess> {
    const { ticket, process } = startOrJoin()
    if (ticket.state() === 'waiting') await inPhase('queue', { server: command.name }, () => ticket.join(wish))
    return await process
  }

  /**
   * Notices the end of the process that is in use. A process that `end` let go may take its time, and is another one.
   */
  async function watch (attempt: Current, process: RunningProcess): Promise<void> {
    const { client, turn } = process
    const startedAt = performance.now()
    attempt.running = process
    turn.setIdle(users === 0)
    retryable = true // it started
    await client.ended()
    if (current !== attempt || closing !== null) return
    current = null
    if (performance.now() - startedAt > healthyMs) failures = 0
    onEnded(pause())
  }

  function end (): void {
    const ending = current
    current = null
    ending?.process.then(endProcess).catch(() => {}) // it did not start, so there is nothing to end
  }

  starts.onRoomNeeded(() => {
    if (users > 0 || !current?.running) return false
    end()
    return true
  })

  return {
    async use (wishOfRequest) {
      users++
      if (idleAlarm !== null) clearAlarm(idleAlarm)
      if (current?.running && closing === null) {
        current.running.turn.setIdle(false)
        return current.running.client
      }
      const wish = wishOfRequest()
      if (current === null) await waitOutPause(wish.signal)
      const { client } = await abortable(running(wish), wish.signal)
      return client
    },

    join: async wish => await current?.ticket.join(wish),

    leave () {
      users--
      if (users > 0 || closing !== null) return
      current?.running?.turn.setIdle(true)
      idleAlarm = setAlarm(idleMs, end)
    },

    close () {
      closing ??= (async () => {
        if (idleAlarm !== null) clearAlarm(idleAlarm)
        const last = await current?.process.catch(() => null) // it did not start, so there is nothing to end
        if (last) await endProcess(last)
      })()
      return closing
    }
  }
}
