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
  return (command, id) => new Promise((resolve, reject) => {
    const alarm = setAlarm(timeoutMs, () => reject(failureOf(`redis did not answer within ${timeoutMs} ms`, id)))
    command.then(answer => {
      clearAlarm(alarm)
      resolve(answer)
    }, error => {
      clearAlarm(alarm)
      reject(failureOf(reasonOf(error), id))
    })
  })
}

/** Not the client's own error: it carries the command's arguments, which may be credentials. */
function failureOf (reason: string, id: string | undefined): Error {
  const cause = new Error(reason)
  return id !== undefined && reason.startsWith('WRONGTYPE')
    ? new SessionUnreadableError(id, { cause })
    : new StoreUnavailableError({ cause })
}
