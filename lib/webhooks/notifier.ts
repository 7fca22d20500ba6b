import { type Backoff, backoffMs } from '../backoff.ts'
import { type CallHead, isOver } from '../calls/call.ts'
import { oneAtATime } from '../one-at-a-time.ts'
import { type DueNotice, type DueNotices, firstNotice, type WatchedCall } from './due-notices.ts'
import { createNotice, type Notice } from './notice.ts'
import type { Receiver } from './receivers-file.ts'
import type { Sent } from './send-notice.ts'

/** Tells receivers of calls that are over: each at least once, as long as the call is kept. */
export interface Notifier {
  /** From now on, the end of a call is told, whatever becomes of this worker. Rejects with StoreUnavailableError. */
  watch: (call: WatchedCall) => Promise<void>
  /** A watched call is over, or waits for responses. Never rejects. */
  hasEnded: (call: WatchedCall) => Promise<void>
  /** Looks for notices that are due, now or once the look before is done. */
  look: () => void
  /** Looks no more. */
  stop: () => void
  /** Resolves when nothing is being sent any more. */
  settled: () => Promise<void>
}

export interface NotifierOptions {
  due: DueNotices
  receiverOf: (name: string) => Receiver | undefined
  /** Gives `null` for a call that is gone. Must not restart its session's idle TTL. */
  headOf: (call: WatchedCall) => Promise<CallHead | null>
  send: (receiver: Receiver, notice: Notice) => Promise<Sent>
  /** Gets what became of a notice that was not taken. `null` for one that will never be. */
  onNotTaken: (notice: DueNotice, reason: NotTaken, nextMs: number | null) => void
  /** Pauses before a notice is sent again. */
  pauses?: Backoff
}

export type NotTaken = Exclude<Sent, { outcome: 'taken' | 'gone' }> | { outcome: 'gone' | 'no receiver' | 'call gone' }

/** As docs/api.md says. */
const defaultPauses: Backoff = { firstMs: 5_000, maxMs: 3_600_000 }
/** Pauses of all that this worker sends to a receiver that cannot be reached. */
const receiverPauses: Backoff = { firstMs: 1_000, maxMs: 60_000 }
/** How many notices a worker sends at once. */
const mostAtOnce = 16
/** A call that is not over is looked at after a quarter of its age, within these bounds (ms). */
const [soonestMs, latestMs] = [1_000, 30_000]

export function createNotifier (
  { due, receiverOf, headOf, send, onNotTaken, pauses = defaultPauses }: NotifierOptions
): Notifier {
  const sending = new Set<Promise<void>>()
  /** Receivers that could not be reached: how often in a row, and until when nothing is sent to them. */
  const troubled = new Map<string, { failures: number, until: number }>()
  let isStopped = false
  // An outage of Redis is reported elsewhere, and the next look comes soon.
  const look = oneAtATime(lookOnce)

  async function lookOnce (): Promise<void> {
    if (isStopped) return
    const free = mostAtOnce - sending.size
    if (free <= 0) return
    const taken = await due.take(free)
    for (const notice of taken) {
      // What fails here fails by Redis. The notice is due again after a while.
      const work = tell(notice).catch(() => {}).finally(() => {
        sending.delete(work)
        if (taken.length === free) look()
      })
      sending.add(work)
    }
  }

  async function tell (notice: DueNotice): Promise<void> {
    const receiver = receiverOf(notice.receiver)
    if (receiver === undefined) return await giveUp(notice, { outcome: 'no receiver' })
    const head = await headOf(notice)
    if (head === null) return await giveUp(notice, { outcome: 'call gone' })
    const waitMs = waitFor(head, notice)
    if (waitMs > 0) await due.put(notice, notice, waitMs)
    else await sendTo(receiver, notice, head)
  }

  /** How long until there may be something to tell, and somebody who hears it (ms). */
  function waitFor (head: CallHead, { receiver }: DueNotice): number {
    const now = Date.now()
    const hasEnded = isOver(head) || head.state === 'input_required'
    if (!hasEnded) return Math.min(Math.max((now - head.createdAt) / 4, soonestMs), latestMs)
    return (troubled.get(receiver)?.until ?? 0) - now
  }

  async function sendTo (receiver: Receiver, notice: DueNotice, head: CallHead): Promise<void> {
    const since = notice.since ?? Date.now()
    const sent = await send(receiver, createNotice({ ...head, id: notice.call }, since))
    noteReceiver(notice.receiver, sent)
    if (sent.outcome === 'gone') return await giveUp(notice, { outcome: 'gone' })
    if (sent.outcome === 'taken') {
      await due.put(notice, null, 0)
      return
    }
    const failures = notice.failures + 1
    const asked = sent.outcome === 'refused' ? sent.retryAfterMs : 0
    const nextMs = Math.min(Math.max(backoffMs(failures, pauses), asked), pauses.maxMs)
    onNotTaken(notice, sent, nextMs)
    await due.put(notice, { ...notice, failures, since }, nextMs)
  }

  function noteReceiver (name: string, { outcome }: Sent): void {
    if (outcome !== 'unreachable') {
      troubled.delete(name)
      return
    }
    const { failures, until } = troubled.get(name) ?? { failures: 0, until: 0 }
    const now = Date.now()
    if (until > now) return // one of several that were sent at once
    troubled.set(name, { failures: failures + 1, until: now + backoffMs(failures + 1, receiverPauses) })
  }

  async function giveUp (notice: DueNotice, reason: NotTaken): Promise<void> {
    if (await due.put(notice, null, 0)) onNotTaken(notice, reason, null)
  }

  return {
    async watch (call) {
      await due.put(null, firstNotice(call), soonestMs)
    },
    async hasEnded (call) {
      const notice = firstNotice(call)
      await due.put(notice, notice, 0).catch(() => {}) // it is looked at later, too
      look()
    },
    look,
    stop () {
      isStopped = true
    },
    async settled () {
      while (sending.size > 0) await Promise.all(sending)
    }
  }
}
