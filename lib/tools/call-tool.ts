import { CallerLeftError, McpCallError, SessionNotFoundError, UnknownContinuationError } from '../errors.ts'
import { isJsonObject, type JsonObject } from '../json.ts'
import type { InputRequests, RequestLimits, ServerClient, ToolRequest, Watcher } from '../mcp/client/server-client.ts'
import type { PendingCall, PendingCalls } from '../sessions/pending-calls.ts'
import type { Session } from '../sessions/session.ts'
import type { CallRecord } from '../sessions/session-record.ts'
import type { SessionRepository } from '../sessions/session-repository.ts'
import { gapsIn, injectParameters } from './parameter-injection.ts'
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
  /** The arguments that the caller sent. */
  params: JsonObject
}

/** A call with all its arguments, ready to be sent to its server. */
export interface PreparedCall extends Omit<ToolCall, 'params'> {
  request: Pick<ToolRequest, 'name' | 'args' | 'definition' | 'continuation'>
  /** The caller's own arguments, which may fill later calls. */
  given: JsonObject
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
   * those that the session has now. Throws UnknownContinuationError when the server's tool is another one by now.
   */
  resume: (call: Omit<ToolCall, 'params'>, pending: PendingCall, responses: JsonObject) => PreparedCall
  /**
   * Calls the tool, and keeps the caller's arguments and the tool's outputs in the session.
   *
   * Redis acknowledges what is kept before this resolves: the caller's next request may reach another worker, which
   * must see it. The record of the call is written with it and costs no round trip of its own.
   */
  run: (call: PreparedCall, options: CallOptions) => Promise<ToolReply>
}

export function createToolCaller (options: ToolCallerOptions): ToolCaller {
  const { sessions, pendingCalls, cacheResults, sensitiveParams } = options

  async function prepare ({ params, ...call }: ToolCall): Promise<PreparedCall> {
    const { session, tool: { name, declared, definition } } = call
    const gaps = gapsIn(params, { declared, sensitiveParams })
    const values = gaps.length === 0 ? new Map<string, unknown>() : await sessions.readValues(session, gaps)
    if (values === null) throw new SessionNotFoundError(session.id)
    const sources = { declared, sensitiveParams, credentials: session.credentials, values }
    const { args, given } = injectParameters(params, sources)
    return { ...call, request: { name, args, ...(definition && { definition }) }, given }
  }

  function resume (call: Omit<ToolCall, 'params'>, pending: PendingCall, responses: JsonObject): PreparedCall {
    const { session, tool: { name, definition } } = call
    if (name !== pending.name) throw new UnknownContinuationError() // the servers have changed since
    const { args, secretNames, state } = pending
    const secrets = Object.entries(session.credentials).filter(([name]) => secretNames.includes(name))
    return {
      ...call,
      request: {
        name,
        args: Object.fromEntries([...Object.entries(args), ...secrets]),
        ...(definition && { definition }),
        continuation: { responses, ...(state !== undefined && { state }) }
      },
      given: {} // it was kept when the server requested input
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
      const texts = Object.entries(given).map(([name, value]) => [name, JSON.stringify(value)] as const)
      const values = new Map([...texts, ...outputs])
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
        const body = await suspend(call, answer.inputRequired, client.serverName)
        return { body, outcome: 'input_required', notCached: await keep('input_required') }
      }
      const options = { tool: exposedName, cacheResults, sensitiveParams }
      const { body, outcome, outputs } = readToolResult(answer.result, options)
      return { body, outcome, notCached: await keep(outcome, outputs) }
    } catch (error) {
      await keep(error instanceof CallerLeftError ? 'abandoned' : 'failed')
      throw error
    }
  }

  /** Keeps a call until the caller responds to its server's input requests. Gives the body that says so. */
  async function suspend (
    { session, exposedName, request }: PreparedCall, { requests, state }: InputRequests, server: string
  ): Promise<string> {
    const requested = `requested input for tool ${exposedName}`
    if (pendingCalls === null) throw new McpCallError(server, `${requested}, although it was told that it gets none`)
    const isSecret = (name: string) => sensitiveParams.includes(name)
    const kept = await pendingCalls.keep(session, {
      tool: exposedName,
      name: request.name,
      args: Object.fromEntries(Object.entries(request.args).filter(([name]) => !isSecret(name))),
      secretNames: Object.keys(request.args).filter(isSecret),
      ...(state !== undefined && { state })
    }).catch((cause: unknown) => {
      // Not StoreUnavailableError, which says that the same request may be sent again: the tool may have acted already.
      const fault = `${requested}, and the call could not be kept until the caller responds`
      throw new McpCallError(server, fault, { cause })
    })
    if ('refused' in kept) {
      if (kept.refused === 'session ended') throw new SessionNotFoundError(session.id)
      throw new McpCallError(server, `${requested}, and the call is too large to be kept until the caller responds`)
    }
    return JSON.stringify({
      status: 'input_required',
      requests: Object.entries(requests).map(([id, request]) => ({ id, ...(isJsonObject(request) && request) })),
      continue: kept.token
    })
  }

  return { prepare, resume, run }
}
