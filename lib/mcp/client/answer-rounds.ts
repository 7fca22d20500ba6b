import { NotSentError } from '../transports/text-transport.ts'
import { type InputRequests, inputRequestsIn, urlElicitationIn } from './input-requests.ts'
import type { Members, ProtocolClient, RequestOptions } from './protocol-client.ts'
import { ConnectionClosedError, UnusableAnswerError } from './protocol-errors.ts'
import type { RpcValue } from './rpc-message.ts'

/** Resumes a request that the server answered with input requests. */
export interface Continuation {
  /** Responses by the server's own keys: the JSON text of an object. */
  responses?: string
  /** The server's own state, to be given back unchanged: JSON text. */
  state?: string
  /** The task that goes on with the responses; see InputRequests. */
  task?: string
}

/** The answer to a request that a server may answer with input requests. */
export type Answer = { result: RpcValue } | { inputRequired: InputRequests }

/** How often in a row a server may answer with nothing but a state to be given back. */
const maxStateRounds = 10

/** Sends a request again while the server answers with nothing but a state to be given back. */
export async function askUntilAnswered (
  client: Pick<ProtocolClient, 'peer' | 'request'>,
  method: string,
  members: Members,
  options: RequestOptions,
  continuation: Continuation = {}
): Promise<Answer> {
  const own = [...members]
  const isModern = client.peer()?.era.kind === 'modern'
  let { responses, state } = continuation
  for (let round = 0; round <= maxStateRounds; round++) {
    const inputRequired = await send(round, [
      ...own,
      // A server of an older era is asked anew: what it requested was done elsewhere.
      ...(isModern && responses !== undefined ? [['inputResponses', responses] as const] : []),
      ...(isModern && state !== undefined ? [['requestState', state] as const] : [])
    ])
    if ('result' in inputRequired) return inputRequired
    const { requests, state: nextState } = inputRequired.inputRequired
    if (requests !== '{}' || nextState === undefined) return inputRequired
    responses = undefined
    state = nextState
  }
  throw new UnusableAnswerError(`it gave its state back ${maxStateRounds} times, and no result`)

  async function send (round: number, members: Members): Promise<Answer> {
    try {
      const result = await client.request(method, members, options)
      const requested = inputRequestsIn(result)
      return requested === null ? { result } : { inputRequired: requested }
    } catch (error) {
      // The server got an earlier round, so it may have acted.
      if (error instanceof NotSentError && round > 0) throw new ConnectionClosedError(String(error.cause))
      const requested = urlElicitationIn(error)
      if (requested === null) throw error
      return { inputRequired: requested }
    }
  }
}
