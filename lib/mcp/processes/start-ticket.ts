import { type CancelSignal, leftBefore } from '../../cancellation.ts'
import { OverloadedError } from '../../errors.ts'
import type { Rank } from './start-queue.ts'

/** How somebody waits for a start. */
export interface Wish {
  rank: Rank
  /** Longest wait (ms); Infinity for as long as it takes. */
  waitMs: number
  /** Aborts when nobody waits any more. */
  signal: CancelSignal
}

/** A place in the queue. Several requests may wait at it for one start. */
export interface Ticket<Turn> {
  /** `abandoned` once nobody waits any more. */
  state: () => 'waiting' | 'given' | 'abandoned'
  /** Rejects when the last of those who waited has given up, with the error of that one. */
  readonly turn: Promise<Turn>
  /**
   * Waits at the same place, which moves ahead where the new wish is more urgent. Resolves when the start may begin.
   * Rejects with OverloadedError after `waitMs`, and with CallerLeftError when `signal` aborts; the others wait on.
   */
  join: (wish: Wish) => Promise<void>
}

/** The queue's side of a ticket. */
export interface OpenTicket<Turn> extends Ticket<Turn> {
  give: (turn: Turn) => void
  /** Ends the wait of all with OverloadedError. */
  refuse: (shortage: string) => void
}

export interface TicketOptions {
  /** What there is too little of, for the sentence of an OverloadedError. */
  shortage: () => string
  /** Somebody has joined. */
  onJoined: (wish: Wish) => void
  /** Nobody waits any more. */
  onEmpty: () => void
}

/** Longest time that Node's timers take (ms). */
const maxTimerMs = 2 ** 31 - 1

interface Settle<Value> { resolve: (value: Value) => void, reject: (reason: unknown) => void }
interface Waiter { resolve: () => void, giveUp: (error: Error) => void }

export function createTicket<Turn> ({ shortage, onJoined, onEmpty }: TicketOptions): OpenTicket<Turn> {
  let settle: Settle<Turn>
  const turn = new Promise<Turn>((resolve, reject) => { settle = { resolve, reject } })
  const waiters = new Set<Waiter>()
  let state: ReturnType<Ticket<Turn>['state']> = 'waiting'
  turn.catch(() => {}) // whoever waits has the error of `join`

  return {
    turn,
    state: () => state,

    join (wish) {
      const { waitMs, signal } = wish
      if (state !== 'waiting') return turn.then(() => {})
      return new Promise((resolve, reject) => {
        const onAbort = () => waiter.giveUp(leftBefore())
        const isLate = () => waiter.giveUp(new OverloadedError(`${shortage()} for ${waitMs / 1000} s`))
        const timer = waitMs <= maxTimerMs ? setTimeout(isLate, waitMs) : undefined
        function leave (): void {
          waiters.delete(waiter)
          clearTimeout(timer)
          signal.removeEventListener('abort', onAbort)
        }
        const waiter: Waiter = {
          resolve () {
            leave()
            resolve()
          },
          giveUp (error) {
            leave()
            reject(error)
            if (waiters.size > 0) return
            state = 'abandoned'
            settle.reject(error)
            onEmpty()
          }
        }
        waiters.add(waiter)
        signal.addEventListener('abort', onAbort, { once: true })
        if (signal.aborted) onAbort()
        else onJoined(wish)
      })
    },

    give (value) {
      state = 'given'
      settle.resolve(value)
      for (const waiter of waiters) waiter.resolve()
    },

    refuse (shortage) {
      for (const waiter of waiters) waiter.giveUp(new OverloadedError(shortage))
    }
  }
}
