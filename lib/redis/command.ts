import { withDeadline } from '../cancellation.ts'
import { SessionUnreadableError, StoreUnavailableError } from '../errors.ts'
import { reasonOf } from './failure.ts'

/** Waits for a command; `id` is the session's whose key it touches. */
export type AwaitCommand = <Answer>(command: Promise<Answer>, id?: string) => Promise<Answer>

/**
 * What a command of Redis answers. Rejects with StoreUnavailableError when it fails or takes too long, with
 * SessionUnreadableError when there is no session at the key of one.
 */
export function createAwaitCommand (timeoutMs: number): AwaitCommand {
  return async (command, id) => {
    try {
      return await withDeadline(command, timeoutMs, () => new Error(`redis did not answer within ${timeoutMs} ms`))
    } catch (error) {
      const cause = new Error(reasonOf(error)) // and not the error itself, which carries what the command was given
      if (id !== undefined && cause.message.startsWith('WRONGTYPE')) throw new SessionUnreadableError(id, { cause })
      throw new StoreUnavailableError({ cause })
    }
  }
}
