import { statusOfCodes } from '../errors.ts'
import type { Operation } from './document.ts'

/** What is known of an operation that decides which failures it can have. */
export interface FailingOperation extends Pick<Operation, 'operationId' | 'requestBody'> {
  needsKey: boolean
  limitsRates: boolean
  /** Calls a tool. */
  isCall: boolean
  /** Its route's own statuses of failures, without those of the hooks around it. */
  ownStatuses: ReadonlySet<string>
}

type Condition = (operation: FailingOperation) => boolean

const named = (...names: string[]): Condition => ({ operationId = '' }) => names.includes(operationId)
const never: Condition = () => false
const hasBody: Condition = ({ requestBody }) => requestBody !== undefined
const opens = named('openSession', 'createSession')
const isCall: Condition = operation => operation.isCall
/** Opens a call, which answerCall goes on with. */
const begins: Condition = operation => operation.isCall && !named('answerCall')(operation)
const asksServers: Condition = operation => operation.ownStatuses.has('502') && !opens(operation)
const isLife = named('checkHealth', 'checkLife', 'checkReadiness')
const hasSession: Condition = operation => !isLife(operation) && !named('listToolsWithoutSession')(operation)

/** The codes that not every operation can have that has their status. */
const conditions = new Map<string, Condition>(Object.entries({
  NOT_FOUND: never,
  METHOD_NOT_ALLOWED: never,
  CONFIG: never,
  STORE_START: never,
  BODY_NOT_JSON: hasBody,
  BODY_NOT_OBJECT: hasBody,
  BODY_TOO_DEEP: hasBody,
  INVALID_PARAMS: named('callTool'),
  API_KEY: ({ needsKey }) => needsKey,
  INVALID_CREDENTIALS: operation => opens(operation) || asksServers(operation),
  API_HOST: opens,
  SESSION_NOT_FOUND: hasSession,
  SESSION_UNREADABLE: hasSession,
  SESSION_TAKEN: named('openSession'),
  TOO_MANY_SESSIONS: opens,
  MISSING_CREDENTIAL: asksServers,
  MISSING_VALUE: isCall,
  VALUE_NOT_WRITABLE: named('putSessionValues', 'removeSessionValue'),
  VALIDATION_API: opens,
  VALIDATION_TIMEOUT: opens,
  STORE_UNAVAILABLE: operation => !named('checkLife', 'listToolsWithoutSession')(operation),
  UNKNOWN_TOOL: isCall,
  TOOL_ARGUMENTS: isCall,
  UNKNOWN_CONTINUATION: named('callTool', 'answerCall', 'readResource', 'getPrompt'),
  UNKNOWN_CALL: named('readCall', 'followCall', 'answerCall', 'cancelCall'),
  UNKNOWN_RESULT: operation => begins(operation) || named('readResult')(operation),
  RESULT_PART: operation => begins(operation) || named('readResult')(operation),
  RESULT_RANGE: named('readResult'),
  CALL_NOT_WAITING: named('answerCall'),
  CALL_TOO_LARGE: begins,
  CALL_RUNNING: begins,
  CALL_CANCELLED: isCall,
  OUTCOME_UNKNOWN: isCall,
  RESULT_NOT_KEPT: begins,
  IDEMPOTENCY_KEY_REUSED: begins,
  TOO_MANY_KEPT_CALLS: begins,
  UNKNOWN_PROMPT: named('getPrompt', 'completeArgument'),
  PROMPT_ARGUMENTS: named('getPrompt'),
  UNKNOWN_RESOURCE: named('readResource', 'completeArgument'),
  COMPLETION: named('completeArgument'),
  MCP_START: asksServers,
  MCP_ENTRY: asksServers,
  MCP_START_TIMEOUT: asksServers,
  MCP_CALL: asksServers,
  MCP_CAPABILITY: asksServers,
  MCP_UNAUTHORIZED: asksServers,
  MCP_TIMEOUT: asksServers,
  NO_SERVER: asksServers,
  OVERLOADED: asksServers,
  TOO_MANY_CALLS: operation => asksServers(operation) && hasSession(operation),
  RATE_LIMIT: ({ limitsRates }) => limitsRates,
  LEARNING: named('checkReadiness')
} satisfies Record<string, Condition>).map(([name, condition]) => [`MCPC_ERR_${name}`, condition]))

/** The codes of a failure that an operation can have with a status, in the order of docs/errors.md. */
export const codesOf = (operation: FailingOperation, status: string): string[] =>
  [...statusOfCodes].filter(([code, codeStatus]) =>
    String(codeStatus) === status && (conditions.get(code)?.(operation) ?? true)).map(([code]) => code)
