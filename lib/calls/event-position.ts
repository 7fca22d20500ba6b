import { type CallHead, isOver } from './call.ts'

/** How far a reader has come in the events of a call. */
export interface EventPosition {
  /** Id of the last event that is kept in Redis. */
  after: string
  /** The last event of all, where the reader has had it: `end`, or the question of a round. `null` where it has not. */
  last: string | null
}

export const firstPosition: EventPosition = { after: '0-0', last: null }

/** Completes "Last-Event-ID must be …". */
export const positionRule = 'the id of an event of this call'

/** `null` for a text that is no id of an event. More digits than these Redis does not take. */
export function parsePosition (text: string): EventPosition | null {
  const [, after, last = null] = /^(\d{1,19}-\d{1,19})(?:-(end|q\d{1,9}))?$/.exec(text) ?? []
  return after === undefined ? null : { after, last }
}

/** The last event that a call has now; `null` while there will be others. */
export function lastEventOf (call: Pick<CallHead, 'state' | 'round'>): string | null {
  if (isOver(call)) return 'end'
  return call.state === 'input_required' ? `q${call.round}` : null
}
