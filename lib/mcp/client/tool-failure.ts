import { type Mask, maskJson } from '../../mask.ts'
import { errorCodes } from './protocol.ts'
import { RpcError } from './protocol-errors.ts'

/** A tool that failed in a call, in its server's words. */
export interface ToolFailure {
  code: number
  /** Bounded. */
  message: string
  /** JSON text; absent where the server gives none. */
  data?: string
  /** The server does not list the tool any more. */
  isUnknownTool?: true
}

/** A server answered a tool call with an error that is about the call. Never leaves the client of its server. */
export class ToolFailedError extends Error {
  override name = 'ToolFailedError'
  readonly failure: ToolFailure

  constructor (failure: ToolFailure) {
    super('the tool failed')
    this.failure = failure
  }
}

/** Longest message that is passed on (characters). */
const maxMessageLength = 16_384

/** Codes that say nothing of the tool: the server did not take the message, or needs something of its client first. */
const ofProtocol = new Set<number>([
  errorCodes.parseError, errorCodes.invalidRequest, errorCodes.methodNotFound, errorCodes.headerMismatch,
  errorCodes.missingClientCapability, errorCodes.unsupportedVersion, errorCodes.urlElicitationRequired
])

/** A server that is a gateway passes on what the SDK's client says when the server behind it is gone, or is silent. */
const ofGateway = /^(MCP error -3200[01]: )*(connection closed|request timed out)/i

/**
 * Whether an error that answers a tool call is the tool's failure. Many servers answer so what the specification wants
 * in a result with `isError`: a record that is not there, an argument that they do not like.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/tools#error-handling
 */
export function isOfTool (error: unknown): error is RpcError {
  if (!(error instanceof RpcError) || ofProtocol.has(error.code)) return false
  return !((error.code === -32_000 || error.code === -32_001) && ofGateway.test(error.message))
}

/** `mask` hides the secrets of the way to the server: those of the session may be what the sentence is about. */
export function failureIn ({ code, message, data }: RpcError, mask: Mask): ToolFailure {
  return {
    code,
    message: mask(message).slice(0, maxMessageLength),
    ...(data !== undefined && { data: maskJson(data, mask) })
  }
}

/** Whether a server's sentence may mean that it has no such tool. It may as well be about anything else. */
export const mayMeanUnknownTool = ({ message }: RpcError) => /\btools?\b/i.test(message) && unknown.test(message)

const unknown = new RegExp([
  /\b(unknown|no such|unrecogni[sz]ed|invalid|missing|not (be )?found|not (available|registered|supported|defined))\b/,
  /\b(does not|doesn't|do not|don't) exist\b/
].map(({ source }) => source).join('|'), 'i')
