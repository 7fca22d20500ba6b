import {
  type Acted, CallerLeftError, McpCallError, McpStartError, McpStartTimeoutError, StoreUnavailableError,
  UpstreamUnauthorizedError
} from '../../errors.ts'
import { parseJsonObject } from '../../json.ts'
import type { Mask } from '../../mask.ts'
import { actedIn, causeOf, maskOf, maxQuoteLength, sentenceOf, translate } from '../client/errors.ts'
import { reasonOf, RequestTimeoutError, RpcError, UnusableAnswerError } from '../client/protocol-errors.ts'
import type { RequestDescription, RequestLimits } from '../client/server-client.ts'
import { HttpError } from '../transports/http-request.ts'
import { StreamEndedError } from '../transports/http-transport.ts'
import { quoteOf } from '../transports/quote.ts'
import { NotSentError } from '../transports/text-transport.ts'
import { factsIn } from './refusal.ts'

export interface HttpErrorsOptions {
  serverName: string
  startTimeoutMs: number
  /** Values that no sentence may hold, beside the secrets of a request. */
  secrets: readonly string[]
  /** Host and port of the proxy on the way to the server. */
  proxy: string | null
}

/** Translates failures of a server over HTTP into errors of lib/errors.ts. */
export interface HttpErrors {
  /** For a failure to connect. */
  startError: (error: unknown, limits: RequestLimits) => Error
  /** For a failure of a request. */
  callError: (error: unknown, description: RequestDescription, limits: RequestLimits) => Error
}

/** `sessionSecrets` gives what is secret in the server's own sessions. */
export function createHttpErrors (
  { serverName, startTimeoutMs, secrets, proxy }: HttpErrorsOptions, sessionSecrets: () => readonly string[]
): HttpErrors {
  const maskFor = (limits: RequestLimits) => maskOf(secrets, sessionSecrets(), limits.secrets)

  function unauthorized (error: unknown): Error | null {
    return refusesCredentials(error) ? new UpstreamUnauthorizedError(serverName, error.status) : null
  }

  function explainStart (error: unknown, limits: RequestLimits): Error {
    if (limits.signal.aborted) return new CallerLeftError()
    if (error instanceof StoreUnavailableError) return error // from our store of sessions, not from the server
    if (error instanceof RequestTimeoutError) return new McpStartTimeoutError(serverName, startTimeoutMs / 1000, '')
    const mask = maskFor(limits)
    const sentence = `${startVerbFor(error, proxy)}: ${sentenceFor(error, mask)}`
    const failed = new McpStartError(serverName, sentence, { cause: causeOf(error, mask) })
    return unauthorized(error) ?? Object.assign(failed, { retryable: mayPass(reasonOf(error)) })
  }

  function explain (error: unknown, description: RequestDescription, limits: RequestLimits): Error {
    const mask = maskFor(limits)
    const wayMask = () => maskOf(secrets, sessionSecrets())
    const known = translate(error, { serverName, description, limits, mask, wayMask }) ?? unauthorized(error)
    if (known !== null) return known
    if (error instanceof NotSentError) return explainStart(error, limits)
    const sentence = `${verbFor(error)} ${description.what}: ${sentenceFor(error, mask)}`
    return new McpCallError(serverName, sentence, { cause: causeOf(error, mask) })
  }

  const factsOf = (error: unknown, limits: RequestLimits) =>
    error instanceof HttpError ? factsIn(error, maskFor(limits)) : {}

  return {
    startError: (error, limits) =>
      Object.assign(explainStart(error, limits), { acted: 'no' }, factsOf(error, limits)),
    callError: (error, description, limits) =>
      Object.assign(explain(error, description, limits), { acted: actedOn(error) }, factsOf(error, limits))
  }
}

/** Words of a refusal that is about who asks. */
const ofCredentials = /auth|credential|token|permission|privilege|scope|api[-_ ]?key|password|log[-_ ]?in|sign[-_ ]?in/i

/**
 * Whether a refusal is of the credentials. A firewall, or a server that was called by another host name, says 403, too,
 * and knows nothing of them.
 */
function refusesCredentials (error: unknown): error is HttpError {
  if (!(error instanceof HttpError)) return false
  const { status, headers, text } = error
  if (status !== 403) return status === 401
  return headers['www-authenticate'] !== undefined || (parseJsonObject(text) !== null && ofCredentials.test(text))
}

/** Statuses of a request that was refused unread. */
const unread = new Set([401, 403, 404, 405, 406, 410, 411, 413, 414, 415, 429, 431])

/** Statuses of a server or a gateway that may answer otherwise later. */
const passingStatuses = new Set([408, 421, 423, 425, 429, 500, 502, 503, 504, 507, 508, 520, 521, 522, 523, 524, 530])
/** Codes of failures that stay: of a certificate, or of this service itself. */
const stayingCodes =
  /^(EACCES|CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_|(UND_)?ERR_INVALID|HPE_)/

/** Whether a server that cannot be reached may be reached another time. */
function mayPass (reason: unknown): boolean {
  if (reason instanceof HttpError) return passingStatuses.has(reason.status)
  if (reason instanceof RpcError || reason instanceof UnusableAnswerError || reason instanceof RangeError) return false
  const { code } = reason as NodeJS.ErrnoException
  // An answer that broke off has a cause; one that is no answer, like a page to sign in, has none.
  if (reason instanceof StreamEndedError) return 'cause' in reason
  return typeof code === 'string' && !stayingCodes.test(code)
}

/** Whether a server can have acted on a request that failed: `no` only where that is proven. */
function actedOn (error: unknown): Acted {
  return error instanceof HttpError && unread.has(error.status) ? 'no' : actedIn(error)
}

function startVerbFor (error: unknown, proxy: string | null): string {
  if (error instanceof RpcError) return 'refused the handshake'
  if (error instanceof UnusableAnswerError) return 'answered the handshake with what cannot be used'
  return `cannot be reached${proxy === null ? '' : ` through the proxy ${proxy}`}`
}

function verbFor (error: unknown): string {
  if (error instanceof HttpError) return 'answered'
  return error instanceof RangeError || error instanceof StreamEndedError ? 'broke off' : 'did not answer'
}

/** The reason of a failure in a sentence: the server's own words where its refusal has some. */
function sentenceFor (error: unknown, mask: Mask): string {
  const reason = reasonOf(error)
  if (!(reason instanceof HttpError)) return sentenceOf(reason, mask)
  const words = wordsIn(reason.text)
  return mask(words === '' ? reason.message : `HTTP ${reason.status}: ${words}`).slice(0, maxQuoteLength)
}

function wordsIn (text: string): string {
  const { error, message, error_description: description } = parseJsonObject(text) ?? {}
  const own = typeof error === 'object' && error !== null && 'message' in error ? error.message : null
  const said = [own, description, message, error].find(words => typeof words === 'string' && words !== '')
  return typeof said === 'string' ? quoteOf(said) : quoteOf(text)
}
