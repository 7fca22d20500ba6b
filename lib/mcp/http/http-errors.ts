import { SdkHttpError } from '@modelcontextprotocol/client'
import {
  CallerLeftError, McpCallError, McpStartError, McpStartTimeoutError, StoreUnavailableError, UpstreamUnauthorizedError
} from '../../errors.ts'
import type { Mask } from '../../mask.ts'
import { causeOf, isTimeout, maskOf, maxQuoteLength, sentenceOf, translate } from '../client/errors.ts'
import type { RequestDescription, RequestLimits } from '../client/server-client.ts'
import { StreamEndedError } from '../transports/http-transport.ts'

export interface HttpErrorsOptions {
  serverName: string
  startTimeoutMs: number
  /** Values that no sentence may hold, beside the secrets of a request. */
  secrets: readonly string[]
}

/** Translates failures of a server over HTTP into errors of lib/errors.ts. */
export interface HttpErrors {
  /** For a failure to connect. */
  startError: (error: unknown, limits: RequestLimits) => Error
  /** For a failure of a request. */
  callError: (error: unknown, description: RequestDescription, limits: RequestLimits) => Error
}

export function createHttpErrors ({ serverName, startTimeoutMs, secrets }: HttpErrorsOptions): HttpErrors {
  function unauthorized (error: unknown): Error | null {
    const isRefused = error instanceof SdkHttpError && (error.status === 401 || error.status === 403)
    return isRefused ? new UpstreamUnauthorizedError(serverName, error.status) : null
  }

  function startError (error: unknown, limits: RequestLimits): Error {
    if (limits.signal.aborted) return new CallerLeftError()
    if (error instanceof StoreUnavailableError) return error // from our store of sessions, not from the server
    if (isTimeout(error)) return new McpStartTimeoutError(serverName, startTimeoutMs / 1000, '')
    const refused = unauthorized(error)
    if (refused !== null) return refused
    const mask = maskOf(secrets, limits.secrets)
    const sentence = `cannot be reached: ${reasonOf(error, mask)}`
    return new McpStartError(serverName, sentence, { cause: causeOf(error, mask) })
  }

  return {
    startError,

    callError (error, description, limits) {
      const mask = maskOf(secrets, limits.secrets)
      const known = translate(error, { serverName, description, limits, mask }) ?? unauthorized(error)
      if (known !== null) return known
      if (isUnreachable(error)) return startError(error, limits)
      const sentence = `${verbFor(error)} ${description.what}: ${reasonOf(error, mask)}`
      return new McpCallError(serverName, sentence, { cause: causeOf(error, mask) })
    }
  }
}

function verbFor (error: unknown): string {
  if (error instanceof SdkHttpError) return 'answered'
  return error instanceof RangeError || error instanceof StreamEndedError ? 'broke off' : 'did not answer'
}

/** Without a connection, nothing was sent. */
const connectFailures = new Set([
  'ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'EACCES', 'UND_ERR_CONNECT_TIMEOUT'
])

const isUnreachable = (error: unknown) => connectFailures.has((rootOf(error) as NodeJS.ErrnoException).code ?? '')

/** The innermost cause that still says what happened. */
function rootOf (error: unknown): unknown {
  let root = error
  while (root instanceof Error && !saysEnough(root) && root.cause instanceof Error) root = root.cause
  return root
}

const saysEnough = (error: Error): boolean => error instanceof SdkHttpError || error instanceof StreamEndedError

/** The reason in a sentence: the server's own sentence where its refusal has one. */
function reasonOf (error: unknown, mask: Mask): string {
  const root = rootOf(error)
  if (!(root instanceof SdkHttpError)) return sentenceOf(root, mask)
  const sentence = sentenceIn(root.data.text)
  return sentence === null ? mask(root.message) : mask(`HTTP ${root.status}: ${sentence}`).slice(0, maxQuoteLength)
}

function sentenceIn (text: unknown): string | null {
  try {
    const { error } = JSON.parse(String(text)) as { error?: { message?: unknown } }
    return typeof error?.message === 'string' ? error.message : null
  } catch {
    return null // a page for people
  }
}
