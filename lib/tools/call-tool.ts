import { CallerLeftError, McpCallError, SessionNotFoundError, UnknownContinuationError, UnknownToolError } from '../errors.ts'
import type { JsonObject } from '../json.ts'
import type { ServerClient, InputRequests, RequestLimits, ToolRequest, Watcher } from '../mcp/client/server-client.ts'
import { gapsIn, injectParameters } from './parameter-injection.ts'
import type { PendingCall, PendingCalls } from '../sessions/pending-calls.ts'
import type { Session } from '../sessions/session.ts'
import type { CallRecord } from '../sessions/session-record.ts'
import type { SessionRepository } from '../sessions/session-repository.ts'
import type { CatalogTool } from './tool-catalog.ts'
import { readToolResult, type ToolResultOptions } from './tool-result.ts'

export interface ToolCall {
  session: Session
  /** As callers know the tool. */
  tool: string
  /** What the caller sent. */
  params: JsonObject
}

export interface ToolCallContext {
  sessions: Pick<SessionRepository, 'readValues' | 'write'>
  /** `null` where nobody answers the questions of a server. */
  questions: PendingCalls | null
  /** The tool that callers know under a name; `null` when no server has one. */
  findTool: (tool: string) => Promise<CatalogTool | null>
  /** The manager of the tool's server for this request, opened when first asked for. */
  openManager: () => Promise<Pick<ServerClient, 'serverName' | 'callTool'>>
  limits: RequestLimits
  /** Whoever follows the call while it runs. */
  watcher?: Watcher
  sensitiveParams: readonly string[]
  cacheResults: ToolResultOptions['cacheResults']
  /** Told when a result could not be kept in the session; the call itself is not lost for that. */
  onNotCached: (error: unknown) => void
}

export interface ToolReply {
  /** JSON text. */
  body: string
  /** The tool gave its result, failed, or asks for more first. */
  outcome: 'ok' | 'tool_error' | 'input_required'
  /** Names that later calls will not be filled with, although this one gave them. */
  notCached: string[]
}

/** A call with all that it takes: by itself, or taken up again. */
interface PreparedCall {
  session: Session
  tool: string
  request: Pick<ToolRequest, 'name' | 'args' | 'definition' | 'continuation'>
  /** What the caller gave: later calls may be filled with it. */
  given: JsonObject
}

/**
 * Calls a tool for a session: fills its parameters, calls it, and keeps what it was given and what it gave.
 *
 * What was kept is acknowledged by Redis before this resolves: the caller's next request may be on another worker already,
 * and must see it. So is the record of the call, which for that costs no round trip of its own.
 */
export async function callTool ({ session, tool, params }: ToolCall, context: ToolCallContext): Promise<ToolReply> {
  const { sessions, findTool, sensitiveParams } = context
  const known = await findTool(tool)
  if (known === null) throw new UnknownToolError(tool)
  const { name, declared, definition } = known
  const gaps = gapsIn(params, { declared, sensitiveParams })
  const values = gaps.length === 0 ? new Map<string, unknown>() : await sessions.readValues(session, gaps)
  if (values === null) throw new SessionNotFoundError(session.id)
  const { args, given } = injectParameters(params, { declared, sensitiveParams, credentials: session.credentials, values })
  return await run({ session, tool, request: { name, args, ...(definition !== undefined && { definition }) }, given }, context)
}

/**
 * Goes on with a call that its server answered with questions: the same call again, with the answers. Any worker can; each
 * call goes on once. Credentials are those that the session has now. Rejects with UnknownContinuationError.
 */
export async function continueCall (session: Session, pending: PendingCall, responses: JsonObject, context: ToolCallContext): Promise<ToolReply> {
  const { tool, name, args, secretNames, state } = pending
  const secrets = Object.entries(session.credentials).filter(([name]) => secretNames.includes(name))
  const known = await context.findTool(tool)
  if (known?.name !== name) throw new UnknownContinuationError() // the servers are not those that asked
  return await run({
    session,
    tool,
    request: {
      name,
      args: Object.fromEntries([...Object.entries(args), ...secrets]),
      ...(known.definition !== undefined && { definition: known.definition }),
      continuation: { responses, ...(state !== undefined && { state }) }
    },
    given: {} // it was kept when the server asked
  }, context)
}

async function run (call: PreparedCall, context: ToolCallContext): Promise<ToolReply> {
  const { session, tool, request, given } = call
  const { limits, watcher, cacheResults, sensitiveParams } = context
  const manager = await context.openManager()
  const startedAt = new Date()
  const start = performance.now()

  const keep = async (outcome: CallRecord['outcome'], outputs: ReadonlyMap<string, string> = new Map()): Promise<string[]> => {
    const texts = Object.entries(given).map(([name, value]) => [name, JSON.stringify(value)] as const)
    const record = { tool, outcome, duration_ms: Math.round(performance.now() - start), at: startedAt.toISOString() }
    return await keepValues(session, new Map([...texts, ...outputs]), record, context)
  }

  try {
    const answer = await manager.callTool({ ...request, ...(watcher && { watcher }) }, limits)
    if ('questions' in answer) return await putQuestions(call, answer.questions, manager.serverName, keep, context)
    const { body, outcome, outputs } = readToolResult(answer.result, { tool, cacheResults, sensitiveParams })
    return { body, outcome, notCached: await keep(outcome, outputs) }
  } catch (error) {
    await keep(error instanceof CallerLeftError ? 'abandoned' : 'failed')
    throw error
  }
}

/** What a caller is told of a call that waits for answers. */
async function putQuestions (
  { session, tool, request }: PreparedCall,
  { requests, state }: InputRequests,
  server: string,
  keep: (outcome: 'input_required') => Promise<string[]>,
  { questions, sensitiveParams }: ToolCallContext
): Promise<ToolReply> {
  if (questions === null) throw new McpCallError(server, `answered tool ${tool} with questions, although it was told that nobody answers`)
  const isSecret = (name: string) => sensitiveParams.includes(name)
  const kept = await questions.keep(session, {
    tool,
    name: request.name,
    args: Object.fromEntries(Object.entries(request.args).filter(([name]) => !isSecret(name))),
    secretNames: Object.keys(request.args).filter(isSecret),
    ...(state !== undefined && { state })
  }).catch((cause: unknown) => {
    // Not that the store is unavailable, which says that the same request may come again: the tool may have acted before it asked.
    throw new McpCallError(server, `answered tool ${tool} with questions, which could not be kept until they are answered`, { cause })
  })
  if ('refused' in kept) {
    throw kept.refused === 'session ended' ? new SessionNotFoundError(session.id) : new McpCallError(server, `answered tool ${tool} with questions, and the call is too large to be kept until they are answered`)
  }
  const body = { status: 'input_required', requests: Object.entries(requests).map(([id, asked]) => ({ id, ...asked as object })), continue: kept.token }
  return { body: JSON.stringify(body), outcome: 'input_required', notCached: await keep('input_required') }
}

/** Names that could not be kept; none when all went well. */
async function keepValues (session: Session, values: Map<string, string>, record: CallRecord, { sessions, onNotCached }: ToolCallContext): Promise<string[]> {
  try {
    return await sessions.write(session, { values, call: record }) ?? [...values.keys()]
  } catch (error) {
    onNotCached(error)
    return [...values.keys()]
  }
}
