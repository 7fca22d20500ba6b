import { abortable, Cancellation, type CancelSignal, withDeadline } from '../cancellation.ts'
import { CallerLeftError } from '../errors.ts'
import type { Patience } from '../mcp/server.ts'

/** Longest time that Node's timers take (ms). Shared work has no deadline: each of its waiters has one. */
export const noTimeoutMs = 2 ** 31 - 1

/** One caller who waits for work that others may wait for, too. */
export interface Waiter {
  /** Aborts when the caller leaves. */
  signal: CancelSignal
  /** How long the caller waits (ms) once the request is sent to the server, or once it joins where that is later. */
  timeoutMs: number
  /** Creates the error for a caller whose time has passed. */
  late: () => Error
  /** How the caller waits until the request can be sent. */
  patience: Patience
}

/** The work's side of what its waiters do. */
export interface WorkControl {
  /** Aborts when no waiter is left. */
  signal: CancelSignal
  /** Tells that the request is sent: the waiters' time runs from now on. */
  onSent: () => void
  /** Sets who is told of each waiter that joins later. */
  onJoined: (listener: (waiter: Waiter) => void) => void
}

/** Work that is done once for all callers who wait for the same thing at the same time. Remembers no outcome. */
export interface SharedWork<Value> {
  /**
   * Joins the work that is under way for a key, or starts it, also where that has taken longer than the caller would
   * wait. The caller leaves the work by its own signal, with CallerLeftError, or by its own deadline; the others go on
   * waiting.
   */
  join: (key: string, waiter: Waiter, start: (control: WorkControl) => Promise<Value>) => Promise<Value>
  /** Lets later callers start anew. Callers who wait already keep what they wait for. */
  detach: () => void
}

interface Work<Value> {
  outcome: Promise<Value>
  sent: Promise<void>
  /** By `performance.now`; in the future before that. */
  sentAt: () => number
  waiting: number
  /** Whether it can still be aborted. */
  isRunning: boolean
  abort: () => void
  joined: (waiter: Waiter) => void
}

export function createSharedWork<Value> (): SharedWork<Value> {
  const current = new Map<string, Work<Value>>()

  function begin (key: string, start: (control: WorkControl) => Promise<Value>): Work<Value> {
    const controller = new Cancellation()
    let resolveSent = () => {}
    const sent = new Promise<void>(resolve => { resolveSent = resolve })
    let sentAt = Infinity
    const onSent = () => {
      sentAt = performance.now()
      resolveSent()
    }
    let joined: Work<Value>['joined'] = () => {}
    const onJoined: WorkControl['onJoined'] = listener => { joined = listener }
    const outcome = start({ signal: controller.signal, onSent, onJoined }).finally(() => end(key, work))
    outcome.catch(() => {}) // where all callers have left, nobody awaits it
    const work: Work<Value> = {
      outcome,
      sent,
      sentAt: () => sentAt,
      waiting: 0,
      isRunning: true,
      abort: () => controller.abort(),
      joined: waiter => joined(waiter)
    }
    current.set(key, work)
    return work
  }

  function end (key: string, work: Work<Value>): void {
    work.isRunning = false
    if (current.get(key) === work) current.delete(key)
  }

  /** The work to join. One that takes longer than the waiter would wait may hang, and joined on and on never end. */
  function joinable (key: string, { timeoutMs }: Waiter): Work<Value> | undefined {
    const known = current.get(key)
    return known !== undefined && performance.now() - known.sentAt() < timeoutMs ? known : undefined
  }

  return {
    async join (key, waiter, start) {
      const { signal, timeoutMs, late } = waiter
      if (signal.aborted) throw new CallerLeftError()
      const known = joinable(key, waiter)
      known?.joined(waiter)
      const work = known ?? begin(key, start)
      work.waiting++
      try {
        const outcome = abortable(work.outcome, signal)
        // Until the request is sent, the start of a server has deadlines of its own.
        await Promise.race([work.sent, outcome])
        return await withDeadline(outcome, timeoutMs, late)
      } finally {
        work.waiting--
        if (work.waiting === 0 && work.isRunning) {
          end(key, work)
          work.abort()
        }
      }
    },

    detach: () => current.clear()
  }
}
