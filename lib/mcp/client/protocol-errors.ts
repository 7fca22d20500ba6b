import { NotSentError } from '../transports/text-transport.ts'
import type { RpcFailure } from './rpc-message.ts'

/** The server answered with a JSON-RPC error. */
export class RpcError extends Error {
  override name = 'RpcError'
  readonly code: number
  /** JSON text; absent where the server gives none. */
  readonly data: string | undefined

  constructor ({ code, message, data }: RpcFailure) {
    super(message)
    this.code = code
    this.data = data
  }
}

/** No answer came in time. */
export class RequestTimeoutError extends Error {
  override name = 'RequestTimeoutError'
  /** The deadline that passed (ms). */
  readonly timeoutMs: number
  /** It was the one of silence: the server has sent no progress for so long. */
  readonly isOfSilence: boolean

  constructor (timeoutMs: number, { isOfSilence = false } = {}) {
    super(isOfSilence ? `no progress within ${timeoutMs} ms` : `no answer within ${timeoutMs} ms`)
    this.timeoutMs = timeoutMs
    this.isOfSilence = isOfSilence
  }
}

/** Longest quote of an answer that cannot be used (characters). */
export const maxQuoteLength = 500

/** An answer came that nobody could use. The message quotes it. */
export class UnusableAnswerError extends Error {
  override name = 'UnusableAnswerError'
}

/** The connection ended before the answer. */
export class ConnectionClosedError extends Error {
  override name = 'ConnectionClosedError'
}

/** The connection ended while the server was probed for its era. */
export class ProbeEndedError extends ConnectionClosedError {
  override name = 'ProbeEndedError'
}

/** The reason of a failure: what kept a request from being sent, else the failure itself. */
export const reasonOf = (error: unknown): unknown => error instanceof NotSentError ? error.cause : error
