import type { AwaitCommand } from '../redis/command.ts'
import { tryToOpen } from '../sessions/field-encryption.ts'
import { callEventsKey } from '../sessions/session-ref.ts'
import type { Session } from '../sessions/session.ts'
import type { HeldCall } from './call.ts'
import type { CallScripts } from './call-scripts.ts'
import { createEventLog, type EventLog } from './event-log.ts'
import type { OpenCall, StoredCall } from './stored-call.ts'

/** What was said while a call ran. Its id is that of its entry in Redis. */
export interface CallEvent { id: string, event: string, json: string }

/**
 * A call as it was read, and events of it. The call has its answer once `isAll` says that no event is left. `after` is
 * where the next reading goes on.
 */
export interface EventsReading { call: StoredCall, events: CallEvent[], isAll: boolean, after: string }

/**
 * What servers say while accepted calls run: progress and log messages, for callers who read a call later or follow it
 * on another worker. A bounded number is kept in a key beside the session, sealed as its fields are; the oldest make
 * room. They expire with their call, or before: with what their session had left when they were last written or read.
 */
export interface CallEvents {
  /** Takes the events of a call that this worker runs. `onAdded` is called when some of them can be read. */
  log: (session: Session, held: HeldCall, on: { added: () => void, failure: (error: unknown) => void }) => EventLog
  /** The events behind `after`, as many as one reading gives; `null` when there is no such call. */
  read: (session: Session, id: string, after: string) => Promise<EventsReading | null>
}

export interface CallEventsOptions {
  keyPrefix: string
  /** How long a call is kept after its end (ms). */
  ttlMs: number
  inTime: AwaitCommand
  opened: OpenCall
}

/** Most events of one call, and most bytes of their data as they are stored. */
const mostEvents = 500
const mostBytes = 65_536

/** Most events of one reading. */
const mostRead = 100

export const eventsField = (call: string) => `e:${call}`

export function createCallEvents (scripts: CallScripts, options: CallEventsOptions): CallEvents {
  const { keyPrefix, ttlMs, inTime, opened } = options
  const keysOf = ({ key }: Session, call: string) => [key, callEventsKey(keyPrefix, key, call)] as const

  return {
    log (session, { id, lease }, on) {
      const keys = keysOf(session, id)
      return createEventLog({
        mostEvents,
        mostBytes,
        onAdded: on.added,
        onFailure: on.failure,
        async append (said) {
          const events = said.map(({ event, json }) => ({ event, data: session.seal.seal(eventsField(id), json) }))
          // One that is larger than all may be would only remove the others.
          const fitting = events.filter(({ data }) => data.length <= mostBytes)
          const args = { meta: session.meta, id, lease, ttlMs, mostEvents, mostBytes, events: fitting }
          return await inTime(scripts.appendEvents(keys, args), session.id) === 1
        }
      })
    },

    async read (session, id, after) {
      const args = { meta: session.meta, id, after, most: mostRead, ttlMs }
      const reply = await inTime(scripts.readEvents(keysOf(session, id), args), session.id)
      if (reply === null) return null
      const [head, answer, , ...texts] = reply
      const events: CallEvent[] = []
      for (let at = 0; at < texts.length; at += 3) {
        const [entry = '', event = '', data = ''] = texts.slice(at, at + 3)
        // One that somebody else has written is left out.
        const json = tryToOpen(session.seal, eventsField(id), data)
        if (json !== null) events.push({ id: entry, event, json })
      }
      return {
        call: opened(session, { id, head, answer }),
        events,
        isAll: texts.length < 3 * mostRead,
        after: texts.at(-3) ?? after
      }
    }
  }
}
