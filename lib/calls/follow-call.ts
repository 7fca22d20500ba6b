import type { CancelSignal } from '../cancellation.ts'
import type { CallEvent, EventsReading } from './call-events.ts'
import { type EventPosition, lastEventOf } from './event-position.ts'
import type { StoredCall } from './stored-call.ts'

export interface FollowOptions {
  /** The call and its events behind one; `null` when it is gone. */
  read: (after: string) => Promise<EventsReading | null>
  /** Calls `ring` when there may be something new. Gives how to end that. A notice may be lost. */
  listen: (ring: () => void) => () => void
  /** Passes an event on, and resolves when the next one may come. */
  deliver: (event: CallEvent) => Promise<void>
  /** Ends it all. */
  signal: CancelSignal
}

/** A notice may be lost, so a call is looked at again after this (ms). */
const lookEveryMs = 1_000

/**
 * Passes on the events of a call from a position on, in their order and each once, until the call is over or requests
 * input that the reader does not know of. Gives the call as it is then, and the id of its last event; `null` when the
 * call is gone, or `signal` has aborted.
 */
export async function followCall (
  { after, last }: EventPosition, { read, listen, deliver, signal }: FollowOptions
): Promise<{ call: StoredCall, id: string } | null> {
  let isDue = false
  let wake = () => {}
  const ring = () => {
    isDue = true
    wake()
  }
  const stopListening = listen(ring)
  signal.addEventListener('abort', ring)
  try {
    while (!signal.aborted) {
      isDue = false
      const reading = await read(after)
      if (reading === null) return null
      const { call, events, isAll } = reading
      for (const event of events) {
        if (signal.aborted) return null
        await deliver(event)
      }
      after = reading.after
      if (!isAll) continue
      const now = lastEventOf(call)
      if (now !== null && now !== last) return { call, id: `${after}-${now}` }
      if (!isDue) {
        await new Promise<void>(resolve => {
          const timer = setTimeout(resolve, lookEveryMs)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
    }
    return null
  } finally {
    stopListening()
    signal.removeEventListener('abort', ring)
  }
}
