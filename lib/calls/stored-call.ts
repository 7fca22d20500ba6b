import { CallCancelledError, OutcomeUnknownError, ResultNotKeptError } from '../errors.ts'
import type { Session } from '../sessions/session.ts'
import type { CallHead } from './call.ts'
import type { RecordedAnswer } from './recorded-answer.ts'

/** A call as it was read. */
export interface StoredCall extends CallHead {
  id: string
  /** `null` where there is none, or none was kept. */
  answer: RecordedAnswer & { body: string } | null
  /** What a call that works said last of its progress: JSON text. Absent where nothing is known. */
  progress?: string
}

/** The answer of a call that is over. Throws the failure that says why there is none. */
export function answerOf ({ state, answer }: StoredCall): NonNullable<StoredCall['answer']> {
  if (state === 'unknown') throw new OutcomeUnknownError()
  if (state === 'cancelled') throw new CallCancelledError()
  if (answer === null) throw new ResultNotKeptError()
  return answer
}

/** Makes a call of what Redis has of it. */
export type OpenCall = (
  session: Session, stored: { id: string, head: string, answer: string | null }
) => StoredCall
