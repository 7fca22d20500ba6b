import { ProtocolError, ProtocolErrorCode, SdkError, SdkErrorCode } from '@modelcontextprotocol/client'
import { CallerLeftError, McpCallError, McpTimeoutError } from '../../errors.ts'
import { createMask, type Mask } from '../../mask.ts'
import type { RequestDescription, RequestLimits } from './server-client.ts'

export const maxQuoteLength = 1_000

/** A request to a server that failed, whatever the server is reached through. */
export interface Attempt {
  serverName: string
  description: RequestDescription
  limits: RequestLimits
  mask: Mask
}

/**
 * The error of lib/errors.ts for a failure that explains itself; `null` for one that only the transport can explain.
 */
export function translate (error: unknown, { serverName, description, limits, mask }: Attempt): Error | null {
  const { what, refused } = description
  if (limits.signal.aborted) return new CallerLeftError()
  if (isTimeout(error)) return new McpTimeoutError(serverName, what, (error.data?.timeout ?? limits.timeoutMs) / 1000)
  if (!(error instanceof ProtocolError)) return null
  const cause = causeOf(error, mask)
  if (refused !== undefined && refusals.has(error.code)) return refused(sentenceOf(error, mask))
  return new McpCallError(serverName, `answered ${what} with an error: ${sentenceOf(error, mask)}`, { cause })
}

/** Codes by which a server refuses what it was given. */
const refusals = new Set<number>([ProtocolErrorCode.InvalidParams, ProtocolErrorCode.ResourceNotFound])

/** The data has the deadline that passed (ms), where the client had set it. */
export const isTimeout = (error: unknown): error is SdkError & { data?: { timeout?: number } } =>
  error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout

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
