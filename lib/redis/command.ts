import { clearAlarm, setAlarm } from '../alarms.ts'
import { SessionUnreadableError, StoreUnavailableError } from '../errors.ts'
import { reasonOf } from './failure.ts'

/** Waits for the answer to a command. `id` names the session whose key the command touches. */
export type AwaitCommand = <Answer>(command: Promise<Answer>, id?: string) => Promise<Answer>

/**
 * Bounds the wait for each command to `timeoutMs`. Rejects with StoreUnavailableError when a command fails or takes too
 * long, with SessionUnreadableError when the key of a session holds something else.
 */
export function createAwaitCommand (timeoutMs: number): AwaitCommand {
  return async (command, id) => {
    try {
      return await withAlarm(command, timeoutMs)
    } catch (error) {
      // Not the error itself: it carries the command's arguments, which may be credentials.
      const cause = new Error(reasonOf(error))
      if (id !== undefined && cause.message.startsWith('WRONGTYPE')) throw new SessionUnreadableError(id, { cause })
      throw new StoreUnavailableError({ cause })
    }
  }
}

function withAlarm<Answer> (command: Promise<Answer>, timeoutMs: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const alarm = setAlarm(timeoutMs, () => reject(new Error(`redis did not answer within ${timeoutMs} ms`)))
    command.then(answer => {
      clearAlarm(alarm)
      resolve(answer)
    }, error => {
      clearAlarm(alarm)
      reject(error)
    })
  })
}
