import { CallerLeftError, SessionNotFoundError, UnknownToolError } from './errors.ts'
import type { JsonObject } from './json.ts'
import type { Manager, RequestLimits } from './mcp/manager.ts'
import { gapsIn, injectParameters } from './parameter-injection.ts'
import type { CallRecord, Session, SessionRepository } from './session-repository.ts'
import type { CatalogTool } from './tool-catalog.ts'
import { readToolResult, type ToolResult, type ToolResultOptions } from './tool-result.ts'

export interface ToolCall {
  session: Session
  /** As callers know the tool. */
  tool: string
  /** What the caller sent. */
  params: JsonObject
}

export interface ToolCallContext {
  sessions: Pick<SessionRepository, 'readValues' | 'write'>
  /** The tool that callers know under a name; `null` when no server has one. */
  findTool: (tool: string) => Promise<CatalogTool | null>
  /** The manager of the tool's server for this request, opened when first asked for. */
  openManager: () => Promise<Pick<Manager, 'callTool'>>
  limits: RequestLimits
  sensitiveParams: readonly string[]
  cacheResults: ToolResultOptions['cacheResults']
  /** Told when a result could not be kept in the session; the call itself is not lost for that. */
  onNotCached: (error: unknown) => void
}

export interface ToolReply {
  /** JSON text. */
  body: string
  /** Names that later calls will not be filled with, although this one gave them. */
  notCached: string[]
}

/**
 * Calls a tool for a session: fills its parameters, calls it, and keeps what it was given and what it gave.
 *
 * What was kept is acknowledged by Redis before this resolves: the caller's next request may be on another worker already,
 * and must see it. So is the record of the call, which for that costs no round trip of its own.
 */
export async function callTool (call: ToolCall, context: ToolCallContext): Promise<ToolReply> {
  const { args, given, known } = await fillParameters(call, context)
  const manager = await context.openManager()
  const startedAt = new Date()
  const start = performance.now()

  const keep = async (outcome: CallRecord['outcome'], outputs: ReadonlyMap<string, string>): Promise<string[]> => {
    const texts = Object.entries(given).map(([name, value]) => [name, JSON.stringify(value)] as const)
    const record = { tool: call.tool, outcome, duration_ms: Math.round(performance.now() - start), at: startedAt.toISOString() }
    return await keepValues(call.session, new Map([...texts, ...outputs]), record, context)
  }

  let result: ToolResult
  try {
    const answer = await manager.callTool({ name: known.name, args, ...(known.definition && { definition: known.definition }) }, context.limits)
    if ('questions' in answer) throw new Error('not yet')
    result = readToolResult(answer.result, { tool: call.tool, cacheResults: context.cacheResults, sensitiveParams: context.sensitiveParams })
  } catch (error) {
    await keep(error instanceof CallerLeftError ? 'abandoned' : 'failed', new Map())
    throw error
  }
  return { body: result.body, notCached: await keep(result.outcome, result.outputs) }
}

async function fillParameters ({ session, tool, params }: ToolCall, { sessions, findTool, sensitiveParams }: ToolCallContext) {
  const known = await findTool(tool)
  if (known === null) throw new UnknownToolError(tool)
  const { declared } = known
  const gaps = gapsIn(params, { declared, sensitiveParams })
  const values = gaps.length === 0 ? new Map<string, unknown>() : await sessions.readValues(session, gaps)
  if (values === null) throw new SessionNotFoundError(session.id)
  return { known, ...injectParameters(params, { declared, sensitiveParams, credentials: session.credentials, values }) }
}

/** Names that could not be kept; none when all went well. */
async function keepValues (session: Session, values: Map<string, string>, record: CallRecord, { sessions, onNotCached }: ToolCallContext): Promise<string[]> {
  try {
    return await sessions.write(session, values, record) ? [] : [...values.keys()]
  } catch (error) {
    onNotCached(error)
    return [...values.keys()]
  }
}
