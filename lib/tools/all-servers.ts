import {
  InternalError, InvalidCredentialsError, isServiceError, NoServerError, TooManyCallsError
} from '../errors.ts'

export interface Answers<Answer> {
  /** In the order of the servers. */
  answers: Array<{ server: string, answer: Answer }>
  /** Why the others gave none, for the reply: a sentence by server, under `errors`; nothing when all answered. */
  errors: { errors?: Record<string, string> }
  /** Names of those that are not known yet. */
  pending: string[]
}

/** What a server offers is still being found out. */
export class PendingServerError extends Error {
  override name = 'PendingServerError'
}

/**
 * Requests something of all servers at once. A server that fails leaves the others' answers as they are.
 *
 * When all fail, this rejects: with the error of the only server, with an error that is about the session and so the
 * same for all, or with NoServerError, which has all sentences.
 */
export async function requestAll<Server extends { name: string }, Answer> (
  servers: readonly Server[], request: (server: Server) => Promise<Answer>
): Promise<Answers<Answer>> {
  const outcomes = await Promise.allSettled(servers.map(request))
  const answers: Array<{ server: string, answer: Answer }> = []
  const failures: Array<[server: string, reason: unknown]> = []
  const pending: string[] = []
  servers.forEach(({ name: server }, position) => {
    const outcome = outcomes[position]
    if (outcome?.status === 'fulfilled') answers.push({ server, answer: outcome.value })
    else if (outcome?.reason instanceof PendingServerError) pending.push(server)
    else failures.push([server, outcome?.reason])
  })
  if (answers.length + pending.length === 0 && failures.length === 1) throw failures[0]?.[1]
  const refusal = failures.find(([, reason]) =>
    reason instanceof InvalidCredentialsError || reason instanceof TooManyCallsError)
  if (answers.length + pending.length === 0 && refusal !== undefined) throw refusal[1]
  const errors = Object.fromEntries(failures.map(([server, reason]) => [server, sentenceOf(reason)]))
  if (answers.length + pending.length === 0 && failures.length > 0) {
    const retryable = failures.some(([, reason]) => isServiceError(reason) && reason.retryable === true)
    throw Object.assign(new NoServerError(Object.values(errors).join('; ')), { retryable })
  }
  return { answers, pending, errors: failures.length === 0 ? {} : { errors } }
}

const sentenceOf = (error: unknown) => isServiceError(error) ? error.message : new InternalError().message
