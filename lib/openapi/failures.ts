import type { JsonObject } from '../json.ts'
import { type Operation, type OperationResponse, refTo } from './document.ts'
import { codesOf } from './failure-codes.ts'

/** The bodies of failures: of any request, and of one that calls a tool. */
export type FailureSchema = 'Failure' | 'CallFailure'

/** The same as problem details. */
export type ProblemSchema = 'Problem' | 'CallProblem'

const problems = { Failure: 'Problem', CallFailure: 'CallProblem' } as const satisfies
  Record<FailureSchema, ProblemSchema>

/**
 * A response that is a failure. This is the one place that says in which forms failures come. Its codes are in its
 * words and in no `enum`: a client must bear a new one.
 */
export const failureResponse = (
  description: string, schema: FailureSchema, codes: readonly string[]
): OperationResponse => ({
  description: codes.length === 0 ? description : `${description} ${codes.map(code => `\`${code}\``).join(', ')}.`,
  content: {
    'application/json': { schema: refTo(schema) },
    'application/problem+json': { schema: refTo(problems[schema]) }
  }
})

export interface FailureOptions {
  /** Callers need an API key. */
  needsKey: boolean
  /** A session, or a caller's address, may have so many requests a minute. */
  limitsRates: boolean
}

/**
 * An operation with all failures that it can have: its route's own, and those that hooks answer with before and after
 * it. Each refers to the one schema of its kind.
 */
export function withFailures (operation: Operation, { needsKey, limitsRates }: FailureOptions): Operation {
  const own = Object.entries(operation.responses)
  const failures = own.filter(([status]) => Number(status) >= 400)
  const schema = failures.some(([, response]) => isOfCall(response)) ? 'CallFailure' : 'Failure'
  const common = {
    ...(needsKey && { 401: 'The request has no valid API key.' }),
    403: 'A web page or a host name is not allowed.',
    ...(operation.requestBody !== undefined && { 413: 'The body is too large.' }),
    ...(limitsRates && { 429: 'There were too many requests within a minute.' }),
    500: 'Something went wrong in the service.',
    503: 'The service is shutting down.'
  }
  const sentences = new Map(failures.map(([status, { description }]) => [status, description]))
  for (const [status, sentence] of Object.entries(common)) {
    const known = sentences.get(status)
    sentences.set(status, known === undefined ? sentence : `${known} Or: ${lowerFirst(sentence)}`)
  }
  const failing = {
    ...operation,
    needsKey,
    limitsRates,
    isCall: schema === 'CallFailure',
    ownStatuses: new Set(failures.map(([status]) => status))
  }
  const described = [...sentences].map(([status, text]) =>
    [status, failureResponse(text, schema, codesOf(failing, status))] as const)
  // Keys that are numbers come in their order.
  const good = own.filter(([status]) => Number(status) < 400)
    .map(([status, response]) =>
      [status, schema === 'CallFailure' && status === '200' ? toolReply(response) : response])
  return { ...operation, responses: Object.fromEntries([...good, ...described]) }
}

/** The reply of any tool. */
const toolReply = ({ description }: OperationResponse): OperationResponse =>
  ({ description, content: { 'application/json': { schema: refTo('ToolReply') } } })

const lowerFirst = (text: string) => `${text.slice(0, 1).toLowerCase()}${text.slice(1)}`

function isOfCall ({ content = {} }: OperationResponse): boolean {
  return Object.values(content).some(({ schema: { properties } }) =>
    Object.hasOwn((properties ?? {}) as JsonObject, 'acted'))
}
