import { withDeadline } from '../../cancellation.ts'
import { CallerLeftError, McpCallError, McpStartError, McpStartTimeoutError } from '../../errors.ts'
import type { Mask } from '../../mask.ts'
import { actedIn, causeOf, maxQuoteLength, sentenceOf, translate } from '../client/errors.ts'
import { reasonOf, RequestTimeoutError, RpcError, UnusableAnswerError } from '../client/protocol-errors.ts'
import type { RequestDescription, RequestLimits } from '../client/server-client.ts'
import type { ProcessUser } from '../transports/process-user.ts'
import type { Exit, StdioTransport } from '../transports/stdio.ts'

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

/** The error of lib/errors.ts for a server that could not be started. */
export function startError (
  error: unknown, { serverName, transport, user, mask }: FailedProcess, startTimeoutMs: number, signal: AbortSignal
): Error {
  if (signal.aborted) return new CallerLeftError()
  const quote = quoteStderr(transport, mask)
  const cause = causeOf(error, mask)
  if (error instanceof RequestTimeoutError) return new McpStartTimeoutError(serverName, startTimeoutMs / 1000, quote)
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
  const quote = transport.stderrLines().map(mask).join('\n').slice(-maxQuoteLength)
  const { noiseLines } = transport
  const noise = noiseLines === 0 ? '' : ` (${noiseLines} lines on its stdout were no messages)`
  return quote === '' ? '' : `; it said${noise}: ${quote}`
}

function describeExit ({ code, signal }: Exit): string {
  return signal === null ? `exit code ${code}` : signal
}
