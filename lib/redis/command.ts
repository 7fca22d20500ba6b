import { withDeadline } from '../cancellation.ts'
import { SessionUnreadableError, StoreUnavailableError } from '../errors.ts'
import { reasonOf } from './failure.ts'

/** Waits for the answer to a command. `id` names the session whose key the command touches. */
export type AwaitCommand = <Answer>(command: Promise<Answer>, id?: string) => Promise<Answer>

/**
 * Bounds the wait for each command to `timeoutMs`. Rejects with StoreUnavailableError when a command fails or takes too
 * long, with SessionUnreadableError when the key of a session holds something else.
 */
export function createAwaitCommand (timeoutMs: number): AwaitCommand {
  const late = () => new Error(`redis did not answer within ${timeoutMs} ms`)
  return (command, id) => withDeadline(command, timeoutMs, late).catch(error => {
    throw failureOf(reasonOf(error), id)
  })
}

/** Not the client's own error: it carries the command's arguments, which may be credentials. */
function failureOf (reason: string, id: string | undefined): Error {
  const cause = new Error(reason)
  return id !== undefined && reason.startsWith('WRONGTYPE')
    ? new SessionUnreadableError(id, { cause })
    : new StoreUnavailableError({ cause })
}
