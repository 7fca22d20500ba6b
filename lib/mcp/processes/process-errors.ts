import { type CancelSignal, leftBefore, withDeadline } from '../../cancellation.ts'
import { McpCallError, McpStartError, McpStartTimeoutError } from '../../errors.ts'
import type { Mask } from '../../mask.ts'
import { actedIn, causeOf, maxQuoteLength, sentenceOf, translate } from '../client/errors.ts'
import { reasonOf, RequestTimeoutError, RpcError, UnusableAnswerError } from '../client/protocol-errors.ts'
import type { RequestDescription, RequestLimits } from '../client/server-client.ts'
import type { ProcessUser } from '../transports/process-user.ts'
import type { Exit, StdioTransport } from '../transports/stdio.ts'
import { endedBySignal, speaksOfPassingTrouble } from './passing-trouble.ts'

/** A process at which a request or a start failed. */
export interface FailedProcess {
  serverName: string
  transport: StdioTransport
  /** Absent: the service's own. */
  user?: ProcessUser | undefined
  mask: Mask
  /** See Attempt. */
  wayMask: () => Mask
  /** Several requests use it, so that its stderr may be about another one and is not quoted. */
  isShared: boolean
}

/** How long the end of a server that broke its pipe may take to be known (ms). */
const exitMs = 250

/**
 * Waits for the end of a server whose pipe broke. The pipe breaks before the process has ended, and people need to know
 * how it ended, and the last lines that it wrote.
 */
export async function awaitExit (transport: StdioTransport, error: unknown): Promise<void> {
  if (isOfRunningServer(error) || transport.pid === null) return
  await withDeadline(transport.ended, exitMs, () => new Error('it runs on')).catch(() => {}) // then the error must do
}

/** Whether a failure came of a server that answered, or of a deadline. */
const isOfRunningServer = (error: unknown) =>
  error instanceof RpcError || error instanceof UnusableAnswerError || error instanceof RequestTimeoutError

/**
 * The error of lib/errors.ts for a server that could not be started. It is retryable only where another try can help.
 */
export function startError (
  error: unknown, process: FailedProcess, startTimeoutMs: number, signal: CancelSignal
): Error {
  const { serverName, transport, mask } = process
  if (signal.aborted) return leftBefore()
  const lines = transport.stderrLines('first and last').map(mask)
  const quote = quoteOf(transport, shortened(lines))
  if (error instanceof RequestTimeoutError) return new McpStartTimeoutError(serverName, startTimeoutMs / 1000, quote)
  const retryable = mayPass(error, transport, lines)
  return Object.assign(explainStart(error, process, quote), { retryable })
}

function explainStart (
  error: unknown, { serverName, transport, user, mask }: FailedProcess, quote: string
): Error {
  const cause = causeOf(error, mask)
  if (error instanceof RpcError) {
    return new McpStartError(serverName, `refused the handshake: ${sentenceOf(error, mask)}${quote}`, { cause })
  }
  if (error instanceof UnusableAnswerError) {
    const sentence = `answered the handshake with what cannot be used: ${sentenceOf(error, mask)}${quote}`
    return new McpStartError(serverName, sentence, { cause })
  }
  if (transport.exit) {
    return new McpStartError(serverName, `ended before it was ready (${describeExit(transport.exit)})${quote}`)
  }
  const reason = sentenceOf(transport.failure ?? reasonOf(error), mask)
  const asUser = user === undefined ? '' : ` as user ${user.uid}`
  return new McpStartError(serverName, `could not be started${asUser}: ${reason}${quote}`, { cause })
}

/** Whether a failed start may go well another time: where the machine or the network was in the way, for a while. */
function mayPass (error: unknown, { exit, failure }: StdioTransport, lines: readonly string[]): boolean {
  if (error instanceof RpcError || error instanceof UnusableAnswerError) return false
  if (exit !== null) return endedBySignal(exit) || lines.some(speaksOfPassingTrouble)
  const { code } = (failure ?? reasonOf(error)) as NodeJS.ErrnoException
  return code !== undefined && speaksOfPassingTrouble(code)
}

/** The error of lib/errors.ts for a request that failed. */
export function callError (
  error: unknown, process: FailedProcess, description: RequestDescription, limits: RequestLimits
): Error {
  const { serverName, mask, wayMask } = process
  const attempt = { serverName, description, limits, mask, wayMask }
  const translated = translate(error, attempt) ?? explain(error, process, description)
  return Object.assign(translated, { acted: actedIn(error) })
}

/** The error for a failure that only the process can explain. */
function explain (
  error: unknown, { serverName, transport, mask, isShared }: FailedProcess, { what }: RequestDescription
): Error {
  const cause = causeOf(error, mask)
  if (transport.failure) {
    return new McpCallError(serverName, `broke off ${what}: ${sentenceOf(transport.failure, mask)}`, { cause })
  }
  if (transport.exit) {
    const quote = isShared ? '' : quoteStderr(transport, mask)
    return new McpCallError(serverName, `ended during ${what} (${describeExit(transport.exit)})${quote}`)
  }
  const reason = sentenceOf(reasonOf(error), mask)
  return new McpCallError(serverName, `did not answer ${what} as the protocol says: ${reason}`, { cause })
}

function quoteStderr (transport: StdioTransport, mask: Mask): string {
  // Each line is masked on its own: a long line was cut, and a mask knows a cut secret only at the end of a text.
  return quoteOf(transport, transport.stderrLines().map(mask).join('\n').slice(-maxQuoteLength))
}

function quoteOf ({ noiseLines }: StdioTransport, quote: string): string {
  const noise = noiseLines === 0 ? '' : ` (${noiseLines} lines on its stdout were no messages)`
  return quote === '' ? '' : `; it said${noise}: ${quote}`
}

/** The beginning and the end of what a server said: either may have the reason. */
function shortened (lines: readonly string[]): string {
  const text = lines.join('\n')
  if (text.length <= maxQuoteLength) return text
  const half = (maxQuoteLength - between.length) / 2
  const [start, end] = [text.slice(0, half), text.slice(-half)]
  // Whole lines, where that leaves something.
  const lastBreak = start.lastIndexOf('\n')
  const firstBreak = end.indexOf('\n')
  const beginning = lastBreak === -1 ? start : start.slice(0, lastBreak)
  const ending = firstBreak === -1 ? end : end.slice(firstBreak + 1)
  return [beginning, between, ending].join('').replace(/(\n…)+\n/g, between)
}

const between = '\n…\n'

function describeExit ({ code, signal }: Exit): string {
  return signal === null ? `exit code ${code}` : signal
}
