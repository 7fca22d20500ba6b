import {
  type Acted, CallerLeftError, McpCallError, McpCapabilityError, McpTimeoutError
} from '../../errors.ts'
import { createMask, type Mask } from '../../mask.ts'
import { BoundError } from '../transports/bounds.ts'
import { NotSentError } from '../transports/text-transport.ts'
import { errorCodes } from './protocol.ts'
import { RequestTimeoutError, RpcError, UnusableAnswerError } from './protocol-errors.ts'
import type { RequestDescription, RequestLimits } from './server-client.ts'
import { failureIn, isOfTool, ToolFailedError } from './tool-failure.ts'

export const maxQuoteLength = 1_000

/** A request to a server that failed, whatever the server is reached through. */
export interface Attempt {
  serverName: string
  description: RequestDescription
  limits: RequestLimits
  mask: Mask
  /** Masks what is secret on the way to the server, and nothing of the session. */
  wayMask: () => Mask
}

/**
 * The error of lib/errors.ts for a failure that explains itself; `null` for one that only the transport can explain.
 */
export function translate (error: unknown, attempt: Attempt): Error | null {
  const { serverName, description, limits, mask } = attempt
  const { what, refused, mayFail } = description
  if (limits.signal.aborted) return new CallerLeftError()
  if (error instanceof ToolFailedError) return error
  if (error instanceof RequestTimeoutError) return timeoutError(error, attempt)
  if (error instanceof BoundError) return boundFailure(serverName, `broke off ${what}: ${error.message}`)
  if (error instanceof UnusableAnswerError) {
    const quote = sentenceOf(error, mask)
    const sentence = `gave an answer to ${what} that cannot be used: ${quote}`
    return new McpCallError(serverName, sentence, { cause: causeOf(error, mask) })
  }
  if (!(error instanceof RpcError)) return null
  const sentence = sentenceOf(error, mask)
  if (error.code === errorCodes.missingClientCapability) return new McpCapabilityError(serverName, sentence)
  if (refused !== undefined && refusals.has(error.code)) return refused(sentence)
  if (mayFail === true && isOfTool(error)) return new ToolFailedError(failureIn(error, attempt.wayMask()))
  return new McpCallError(serverName, `answered ${what} with an error: ${sentence}`, { cause: causeOf(error, mask) })
}

const ofBounds = new WeakSet<object>()

function boundFailure (serverName: string, sentence: string): Error {
  const failure = new McpCallError(serverName, sentence)
  ofBounds.add(failure)
  return failure
}

/** Whether a request failed because its server sent more than it may. Asked again at once, it would do the same. */
export const isOfBound = (error: unknown): error is Error => ofBounds.has(error as object)

function timeoutError (error: RequestTimeoutError, { serverName, description: { what }, limits }: Attempt): Error {
  const { timeoutMs, isOfSilence } = error
  // Of several requests the last one has only what the others have left of the deadline.
  if (!isOfSilence) return new McpTimeoutError(serverName, what, Math.max(timeoutMs, limits.timeoutMs) / 1000)
  const seconds = timeoutMs / 1000
  const message = `MCP server ${serverName} sent neither an answer to ${what} nor progress for ${seconds} s`
  return Object.assign(new McpTimeoutError(serverName, what, seconds), { message })
}

/** Codes by which a server refuses what it was given. */
const refusals = new Set<number>([errorCodes.invalidParams, errorCodes.resourceNotFound])

/** Codes by which a server says that it did not take the request. */
const notTaken = new Set<number>([
  errorCodes.parseError, errorCodes.invalidRequest, errorCodes.methodNotFound, errorCodes.headerMismatch,
  errorCodes.missingClientCapability, errorCodes.unsupportedVersion
])

/** Whether a server can have acted on a request that failed: `no` only where that is proven. */
export function actedIn (error: unknown): Acted {
  return error instanceof NotSentError || (error instanceof RpcError && notTaken.has(error.code)) ? 'no' : 'unknown'
}

export function sentenceOf (error: unknown, mask: Mask): string {
  const { code, message } = error as NodeJS.ErrnoException
  // A system error's message may repeat a command line or an address; its code (ENOENT, EACCES, ECONNREFUSED) says
  // what went wrong.
  return typeof code === 'string' && /^E[A-Z]+$/.test(code) ? code : mask(message).slice(0, maxQuoteLength)
}

/** An error's origin, for the log. A server's error may repeat its arguments, in its stack and data as well. */
export function causeOf (error: unknown, mask: Mask): Error {
  const { name, message, stack } = error as Error
  return Object.assign(new Error(mask(message)), { name, ...(stack !== undefined && { stack: mask(stack) }) })
}

export const maskOf = (...secrets: ReadonlyArray<readonly unknown[] | undefined>) =>
  createMask(secrets.flatMap(values => values ?? []))
