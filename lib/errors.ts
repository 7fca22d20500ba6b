import createError, { type FastifyErrorConstructor } from '@fastify/error'

declare module '@fastify/error' {
  interface FastifyError {
    /** True when the same request, sent again unchanged, may succeed and cannot act twice. */
    retryable?: boolean
    /** Whether the tool of a failed call can have acted. Absent where no tool was called. */
    acted?: Acted
  }
}

/** Whether the tool of a failed call can have acted: `no` only where that is proven. */
export type Acted = 'no' | 'unknown'

/** Arguments of an error: the values for its message's placeholders, then optionally the error behind it. */
type ErrorArguments = [...unknown[]]

const statuses = new Map<string, number>()

/** The HTTP status of each code that this file defines, in their order. */
export const statusOfCodes: ReadonlyMap<string, number> = statuses

type DefineOptions = Pick<ServiceError, 'retryable' | 'acted'>

function define<A extends ErrorArguments> (
  code: string, message: string, statusCode: number, { retryable = false, acted }: DefineOptions = {}
): FastifyErrorConstructor<{ code: string }, A> {
  statuses.set(code, statusCode)
  const Constructor = createError<A>(code, message, statusCode)
  // Writable: one error of a class may know more than its class.
  Object.defineProperty(Constructor.prototype, 'retryable', { value: retryable, writable: true })
  if (acted !== undefined) Object.defineProperty(Constructor.prototype, 'acted', { value: acted, writable: true })
  return Constructor
}

/** The error behind a failure: kept for the log, never shown to the caller. */
export interface Because { cause: unknown }

/** An error of this file. Its sentence and code are written for callers. */
export interface ServiceError extends Error {
  code: `MCPC_ERR_${string}`
  statusCode?: number
  retryable?: boolean
  acted?: Acted
}

/** Whether an error is one of this file. The sentence of any other error may hold secrets. */
export function isServiceError (error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error &&
    typeof error.code === 'string' && error.code.startsWith('MCPC_ERR_')
}

/*
 * Every failure that a caller can see. A code is API: a changed code is a line in CHANGELOG.md. docs/errors.md has the
 * cause and the remedy of each code, and a test compares the two lists.
 */

// The request itself
export const MissingFieldError = define<[string]>('MCPC_ERR_MISSING_FIELD', '%s', 400)
export const InvalidFieldError = define<[string, string]>('MCPC_ERR_INVALID_FIELD', '%s must be %s', 400)
export const InvalidParamsError = define<[]>('MCPC_ERR_INVALID_PARAMS', 'params must be a dictionary', 400)
export const BodyNotJsonError = define<[] | [Because]>('MCPC_ERR_BODY_NOT_JSON', 'The body is not valid JSON', 400)
export const BodyNotObjectError = define<[]>('MCPC_ERR_BODY_NOT_OBJECT', 'The body must be a JSON object', 400)
export const BodyTooDeepError = define<[number]>(
  'MCPC_ERR_BODY_TOO_DEEP', 'The body is nested deeper than %d levels', 400
)
export const BodyTooLargeError = define<[number]>('MCPC_ERR_BODY_TOO_LARGE', 'The body is larger than %d bytes', 413)
export const BadRequestError = define<[string]>('MCPC_ERR_BAD_REQUEST', '%s', 400)
export const RouteNotFoundError = define<[string, string]>('MCPC_ERR_NOT_FOUND', 'There is no %s %s', 404)
export const MethodNotAllowedError = define<[string, string]>('MCPC_ERR_METHOD_NOT_ALLOWED', '%s takes %s', 405)

// The caller
export const ApiKeyError = define<[]>(
  'MCPC_ERR_API_KEY', 'The request needs a valid API key, in the header X-API-Key or as Authorization: Bearer', 401
)
export const OriginError = define<[]>('MCPC_ERR_ORIGIN', 'Pages of this origin may not call this service', 403)
export const HostError = define<[]>('MCPC_ERR_HOST', 'This service does not answer to that host name', 403)

// The session and its credentials
export const InvalidCredentialsError = define<[string]>('MCPC_ERR_INVALID_CREDENTIALS', '%s', 401)
export const ApiHostError = define<[rule: string]>('MCPC_ERR_API_HOST', 'apiUrl is not allowed: %s', 403)
export const SessionNotFoundError = define<[string]>(
  'MCPC_ERR_SESSION_NOT_FOUND', 'Session %s not found or expired. Please run /init first.', 409
)
export const SessionUnreadableError = define<[string] | [string, Because]>(
  'MCPC_ERR_SESSION_UNREADABLE', 'Session %s cannot be read. Please run /init first.', 409
)
export const SessionTakenError = define<[string]>('MCPC_ERR_SESSION_TAKEN', 'Session %s belongs to another user', 403)
export const TooManySessionsError = define<[string, number]>(
  'MCPC_ERR_TOO_MANY_SESSIONS', 'API key %s has %d sessions open, the most it may have', 429, { retryable: true }
)
/** `form` is empty, or says why the session's value cannot be used: ` as text`, ` in a form that …`. */
export const MissingCredentialError = define<[server: string, credential: string, form: string]>(
  'MCPC_ERR_MISSING_CREDENTIAL',
  'MCP server %s needs the credential %s, which the session does not have%s. Please run /init with it.',
  409
)
export const MissingValueError = define<[tool: string, name: string, from: string]>(
  'MCPC_ERR_MISSING_VALUE', 'Tool %s needs the value %s of %s, which the session does not have', 409, { acted: 'no' }
)
export const ValueNotWritableError = define<[string]>(
  'MCPC_ERR_VALUE_NOT_WRITABLE', 'The value %s cannot be changed: the operator gives it to a tool', 403
)
export const ValidationApiError = define<[string] | [string, Because]>(
  'MCPC_ERR_VALIDATION_API', 'The credentials could not be checked: %s', 502, { retryable: true }
)
export const ValidationTimeoutError = define<[number]>(
  'MCPC_ERR_VALIDATION_TIMEOUT',
  'The credentials could not be checked: the validation API did not answer within %d s',
  504, { retryable: true }
)
export const StoreUnavailableError = define<[] | [Because]>(
  'MCPC_ERR_STORE_UNAVAILABLE', 'The session store is unavailable', 503, { retryable: true }
)

// MCP servers and their tools
export const UnknownToolError = define<[string]>('MCPC_ERR_UNKNOWN_TOOL', 'There is no tool %s', 404)
export const ToolArgumentsError = define<[tool: string, faults: string]>(
  'MCPC_ERR_TOOL_ARGUMENTS', 'The arguments of tool %s do not fit its input schema: %s', 422, { acted: 'no' }
)
export const UnknownContinuationError = define<[]>(
  'MCPC_ERR_UNKNOWN_CONTINUATION',
  'No pending call has this token: it was used, newer calls replaced it, or it belongs to another session',
  404
)
export const CallTooLargeError = define<[]>(
  'MCPC_ERR_CALL_TOO_LARGE', 'The request is too large to be kept until a worker makes the call', 413, { acted: 'no' }
)
export const UnknownCallError = define<[]>(
  'MCPC_ERR_UNKNOWN_CALL', 'The session has no such call: it has expired, or was never there', 404
)
export const UnknownResultError = define<[where: string]>(
  'MCPC_ERR_UNKNOWN_RESULT',
  'The session has no such result%s: it has expired, made room for newer ones, or was never there', 404, { acted: 'no' }
)
export const ResultPartError = define<[where: string]>(
  'MCPC_ERR_RESULT_PART', 'The result has nothing at this pointer%s', 404, { acted: 'no' }
)
export const ResultRangeError = define<[bytes: number]>(
  'MCPC_ERR_RESULT_RANGE', 'The result has %d bytes, and none where Range begins', 416
)
export const CallNotWaitingError = define<[state: string]>(
  'MCPC_ERR_CALL_NOT_WAITING', 'The call does not wait for responses: it is %s', 409
)
export const CallRunningError = define<[]>(
  'MCPC_ERR_CALL_RUNNING', 'The call with this Idempotency-Key is still running', 409,
  { retryable: true, acted: 'unknown' }
)
export const CallCancelledError = define<[]>(
  'MCPC_ERR_CALL_CANCELLED', 'The call was cancelled by its caller', 409, { acted: 'unknown' }
)
export const OutcomeUnknownError = define<[]>(
  'MCPC_ERR_OUTCOME_UNKNOWN',
  'Nobody knows what became of the call: it was broken off while its tool ran. It is not made again',
  409, { acted: 'unknown' }
)
export const ResultNotKeptError = define<[]>(
  'MCPC_ERR_RESULT_NOT_KEPT', 'The call was made, and its answer was too large to be kept. It is not made again', 409,
  { acted: 'unknown' }
)
export const IdempotencyKeyReusedError = define<[]>(
  'MCPC_ERR_IDEMPOTENCY_KEY_REUSED', 'Another request was made with this Idempotency-Key', 422
)
export const UnknownPromptError = define<[string]>('MCPC_ERR_UNKNOWN_PROMPT', 'There is no prompt %s', 404)
export const PromptArgumentsError = define<[string, string]>(
  'MCPC_ERR_PROMPT_ARGUMENTS', 'Prompt %s refused its arguments: %s', 400
)
export const UnknownResourceError = define<[string, string]>(
  'MCPC_ERR_UNKNOWN_RESOURCE', 'There is no resource %s: %s', 404
)
export const CompletionRefusedError = define<[string, string]>(
  'MCPC_ERR_COMPLETION', 'There is no completion for %s: %s', 400
)
export const McpStartError = define<[string, string] | [string, string, Because]>(
  'MCPC_ERR_MCP_START', 'MCP server %s %s', 502, { retryable: true, acted: 'no' }
)
export const McpEntryError = define<[string]>(
  'MCPC_ERR_MCP_ENTRY', 'MCP server %s is not run: its entry in the servers file has a fault', 502, { acted: 'no' }
)
export const McpStartTimeoutError = define<[string, number, string]>(
  'MCPC_ERR_MCP_START_TIMEOUT', 'MCP server %s was not ready within %d s%s', 504, { retryable: true, acted: 'no' }
)
export const McpCallError = define<[string, string] | [string, string, Because]>(
  'MCPC_ERR_MCP_CALL', 'MCP server %s %s', 502
)
export const NoServerError = define<[string]>(
  'MCPC_ERR_NO_SERVER', 'No MCP server answered: %s', 502, { retryable: true }
)
export const McpTimeoutError = define<[string, string, number]>(
  'MCPC_ERR_MCP_TIMEOUT', 'MCP server %s did not answer %s in time (%d s)', 504
)
export const UpstreamUnauthorizedError = define<[string, number]>(
  'MCPC_ERR_MCP_UNAUTHORIZED', 'MCP server %s refused the credentials (HTTP %d)', 502
)
export const McpCapabilityError = define<[string, string]>(
  'MCPC_ERR_MCP_CAPABILITY', 'MCP server %s needs something that this service does not offer: %s', 502,
  { acted: 'no' }
)

// The service
export const CallerLeftError = define<[]>('MCPC_ERR_CALLER_LEFT', 'The caller left before the answer', 499)
export const OverloadedError = define<[string]>(
  'MCPC_ERR_OVERLOADED', 'The service is busy: %s', 503, { retryable: true, acted: 'no' }
)
export const SaturatedError = define<[]>(
  'MCPC_ERR_SATURATED', 'The service has more requests than it can answer in time', 503,
  { retryable: true, acted: 'no' }
)
export const RateLimitError = define<[number]>(
  'MCPC_ERR_RATE_LIMIT', 'Too many requests: try again in %d s', 429, { retryable: true }
)
export const TooManyCallsError = define<[string, number]>(
  'MCPC_ERR_TOO_MANY_CALLS', 'Session %s has %d calls running, the most it may have', 429, { retryable: true }
)
export const TooManyKeptCallsError = define<[string, number]>(
  'MCPC_ERR_TOO_MANY_KEPT_CALLS', 'Session %s has %d calls that are kept, the most it may have', 429,
  { retryable: true, acted: 'no' }
)
export const LearningError = define<[string]>(
  'MCPC_ERR_LEARNING', 'The service is finding out what its MCP servers offer: %s', 503, { retryable: true }
)
export const ClosingError = define<[]>('MCPC_ERR_CLOSING', 'The service is shutting down', 503, { retryable: true })
export const InternalError = define<[] | [Because]>('MCPC_ERR_INTERNAL', 'Something went wrong in the service', 500)

/**
 * A setting with which the service cannot start. The message is one line: the variable, its rule, its value.
 * Never part of an answer.
 */
export const ConfigError = define<[string]>('MCPC_ERR_CONFIG', '%s', 500)

/** Redis did not answer at start. Never part of an answer: after the start it is {@link StoreUnavailableError}. */
export const StoreStartError = define<[string, string]>('MCPC_ERR_STORE_START', 'Redis at %s cannot be used: %s', 500)
