import { CallerLeftError, SessionNotFoundError, UnknownContinuationError } from '../errors.ts'
import { applyEdits, type JsonValue, readJson, removalsOf, withAdded } from '../json-text.ts'
import type { InputRequests, RequestLimits, ServerClient, ToolRequest, Watcher } from '../mcp/client/server-client.ts'
import type { PendingCall, PendingCalls } from '../sessions/pending-calls.ts'
import type { Session } from '../sessions/session.ts'
import type { CallRecord } from '../sessions/session-record.ts'
import type { SessionRepository } from '../sessions/session-repository.ts'
import { gapsIn, injectParameters } from './parameter-injection.ts'
import { continuationOf, suspend } from './suspended-request.ts'
import type { CatalogTool } from './tool-catalog.ts'
import { readToolResult, type ToolResultOptions } from './tool-result.ts'

export interface ToolCallerOptions extends Pick<ToolResultOptions, 'cacheResults' | 'sensitiveParams'> {
  sessions: Pick<SessionRepository, 'readValues' | 'write'>
  /** Keeps calls that wait for input; `null` when servers are not allowed to request any. */
  pendingCalls: PendingCalls | null
}

export interface ToolCall {
  session: Session
  /** The tool's name as callers know it. */
  exposedName: string
  tool: CatalogTool
  /** The arguments that the caller sent, an object. */
  params: JsonValue
}

/** A call with all its arguments, ready to be sent to its server. */
export interface PreparedCall extends Omit<ToolCall, 'params'> {
  request: Pick<ToolRequest, 'name' | 'args' | 'inputSchema' | 'continuation'>
  /** The caller's own arguments, which may fill later calls: JSON texts by name. */
  given: ReadonlyMap<string, string>
}

/** How one call is made. */
export interface CallOptions {
  client: Pick<ServerClient, 'serverName' | 'callTool'>
  limits: RequestLimits
  /** Follows the call while it runs. */
  watcher?: Watcher | undefined
  /** Gets the error when values could not be kept in the session. The call itself does not fail for it. */
  onNotCached: (error: unknown) => void
}

export interface ToolReply {
  /** JSON text. */
  body: string
  /** The tool gave its result, failed, or requests input first. */
  outcome: 'ok' | 'tool_error' | 'input_required'
  /** Names of values that will not fill later calls, although this call had them. */
  notCached: string[]
}

/** Calls tools for sessions, in two steps: a call is prepared before its server is opened. */
export interface ToolCaller {
  /** Fills the call's parameters from its session. Rejects with SessionNotFoundError when the session has ended. */
  prepare: (call: ToolCall) => Promise<PreparedCall>
  /**
   * The call that its server answered with input requests, once more and with the caller's responses. Credentials are
   * those that the session has now. `responses` is the JSON text of an object. Throws UnknownContinuationError when
   * the server's tool is another one by now.
   */
  resume: (call: Omit<ToolCall, 'params'>, pending: PendingCall, responses?: string) => PreparedCall
  /**
   * Calls the tool, and keeps the caller's arguments and the tool's outputs in the session.
   *
   * Redis acknowledges what is kept before this resolves: the caller's next request may reach another worker, which
   * must see it. The record of the call is written with it and costs no round trip of its own. A failure says in
   * `acted` whether the tool can have acted.
   */
  run: (call: PreparedCall, options: CallOptions) => Promise<ToolReply>
}

export function createToolCaller (options: ToolCallerOptions): ToolCaller {
  const { sessions, pendingCalls, cacheResults, sensitiveParams } = options

  async function prepare ({ params, ...call }: ToolCall): Promise<PreparedCall> {
    const { session, tool } = call
    const { declared } = tool
    const gaps = gapsIn(params.node, { declared, sensitiveParams })
    const values = gaps.length === 0 ? new Map<string, string>() : await sessions.readValues(session, gaps)
    if (values === null) throw new SessionNotFoundError(session.id)
    const sources = { declared, sensitiveParams, credentials: session.credentialTexts(), values }
    const { args, given } = injectParameters(params, sources)
    return { ...call, request: { ...requestOf(tool), args }, given }
  }

  function resume (call: Omit<ToolCall, 'params'>, pending: PendingCall, responses?: string): PreparedCall {
    const { session, tool } = call
    if (tool.name !== pending.name) throw new UnknownContinuationError() // the servers have changed since
    const secrets = [...session.credentialTexts()].filter(([name]) => pending.secretNames.includes(name))
    return {
      ...call,
      request: {
        ...requestOf(tool),
        args: withAdded(pending.args, secrets),
        continuation: continuationOf(pending, responses)
      },
      given: new Map() // it was kept when the server requested input
    }
  }

  async function run (call: PreparedCall, { client, limits, watcher, onNotCached }: CallOptions): Promise<ToolReply> {
    const { session, exposedName, request, given } = call
    const startedAt = new Date()
    const start = performance.now()

    /** Gives the names of the values that could not be kept. */
    async function keep (
      outcome: CallRecord['outcome'], outputs: ReadonlyMap<string, string> = new Map()
    ): Promise<string[]> {
      const values = new Map([...given, ...outputs])
      const durationMs = Math.round(performance.now() - start)
      const record = { tool: exposedName, outcome, duration_ms: durationMs, at: startedAt.toISOString() }
      try {
        return await sessions.write(session, { values, call: record }) ?? [...values.keys()]
      } catch (error) {
        onNotCached(error)
        return [...values.keys()]
      }
    }

    try {
      const answer = await client.callTool({ ...request, ...(watcher && { watcher }) }, limits)
      if ('inputRequired' in answer) {
        const body = await keepUntilAnswered(call, answer.inputRequired, client.serverName)
        return { body, outcome: 'input_required', notCached: await keep('input_required') }
      }
      const options = { tool: exposedName, cacheResults, sensitiveParams }
      const { body, outcome, outputs } = readToolResult(answer.result, options)
      return { body, outcome, notCached: await keep(outcome, outputs) }
    } catch (error) {
      await keep(error instanceof CallerLeftError ? 'abandoned' : 'failed')
      throw withActed(error)
    }
  }

  async function keepUntilAnswered (
    { session, exposedName, request }: PreparedCall, requests: InputRequests, server: string
  ): Promise<string> {
    const args = readJson(request.args)
    const isSecret = ({ name }: { name: string }) => sensitiveParams.includes(name)
    const secrets = args?.root.members?.filter(isSecret) ?? []
    return await suspend(requests, {
      pendingCalls,
      session,
      kind: 'tool',
      request: {
        tool: exposedName,
        name: request.name,
        args: args === null ? '{}' : applyEdits(args.text, removalsOf(args.root, isSecret)).trim(),
        secretNames: secrets.map(({ name }) => name)
      },
      server,
      what: `tool ${exposedName}`
    })
  }

  return { prepare, resume, run }
}

const requestOf = ({ name, inputSchema }: CatalogTool): Pick<ToolRequest, 'name' | 'inputSchema'> =>
  ({ name, ...(inputSchema !== undefined && { inputSchema }) })

/** The error of a tool that was called: unless its error says otherwise, it may have acted. */
function withActed (error: unknown): unknown {
  if (error instanceof Error && !('acted' in error)) return Object.assign(error, { acted: 'unknown' })
  return error
}
