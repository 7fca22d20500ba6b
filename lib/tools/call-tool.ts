import type { HeldCall } from '../calls/call.ts'
import type { PendingCalls } from '../calls/pending-calls.ts'
import { joinedWritesLeft } from '../corked-writes.ts'
import { CallerLeftError, UnknownToolError } from '../errors.ts'
import { applyEdits, readJson, removalsOf } from '../json-text.ts'
import type { Mask } from '../mask.ts'
import type { InputRequests } from '../mcp/client/input-requests.ts'
import type { RequestLimits, ServerClient, ToolAnswer } from '../mcp/client/server-client.ts'
import type { TaskWish, Watcher } from '../mcp/client/tool-call.ts'
import type { ResultShape } from '../mcp/servers-file/value-policy.ts'
import type { EndedCall } from '../sessions/scripts.ts'
import type { CallRecord } from '../sessions/session-record.ts'
import type { SessionRepository } from '../sessions/session-repository.ts'
import { inPhase } from '../telemetry/channels.ts'
import { keptAs, type KeptValue } from '../sessions/values.ts'
import type { ArgumentChecker } from './argument-check.ts'
import { fittingArguments } from './call-arguments.ts'
import { readToolFailure } from './failed-call.ts'
import { withoutItsMessage } from './long-result.ts'
import type { PreparedCall } from './prepare-call.ts'
import { suspend } from './suspended-request.ts'
import { type ReplyForm, readToolResult, type ToolResult, type ToolResultOptions } from './tool-result.ts'

export interface ToolCallerOptions extends Pick<ToolResultOptions, 'cacheResults'> {
  /** How many names one result may have to be kept. */
  maxResultNames: number
  /** A larger value fits into no session (bytes). */
  maxValueBytes: number
  sensitiveParams: readonly string[]
  sessions: Pick<SessionRepository, 'write'>
  /** Keeps calls that wait for input; `null` when servers are not allowed to request any. */
  pendingCalls: PendingCalls | null
  checker: ArgumentChecker
}

/** How one call is made. */
export interface CallOptions {
  client: Pick<ServerClient, 'serverName' | 'callTool' | 'cancelTask'>
  limits: RequestLimits
  /** The form of the reply, where it is another one than the server's policy says. */
  shape: ResultShape | undefined
  /** For what the server says that is no result. */
  mask: Mask
  /** Follows the call while it runs. */
  watcher?: Watcher | undefined
  /** What becomes of a task that the tool is called as, where it may outlive this worker. */
  task?: Omit<TaskWish, 'support'> | undefined
  /** Gets the error when values could not be kept in the session. The call itself does not fail for it. */
  onNotCached: (error: unknown) => void
  /** Takes what is still being written when the call is over, and is no matter of the next one. */
  onUnfinished: (written: Promise<unknown>) => void
  /** The call of which something is kept; `null` for one that nothing is kept of. */
  held?: HeldCall | null
  /** How that call ends with a reply. It is written together with the tool's outputs. */
  endWith?: (reply: ReplyToKeep) => EndedCall | null
  /** Gives what the caller gets of a result, where that is not the result itself. */
  refer?: ((reply: ReplyToKeep) => Promise<string | Buffer>) | undefined
}

/** A reply before its values are kept. */
export type ReplyToKeep = Pick<ToolReply, 'body' | 'form' | 'leftOut'>

export interface ToolReply {
  /** JSON text. A long one as bytes, which lie outside of the heap. */
  body: string | Buffer
  /** The tool gave its result, failed, or requests input first. */
  outcome: 'ok' | 'tool_error' | 'input_required'
  /** What the reply was made of; absent for one that requests input. */
  form?: ReplyForm
  /** What the tool gave and the reply does not hold: types of content blocks, or `intermediate`. */
  leftOut: readonly string[]
  /** Names of values that will not fill later calls, although this call had them. */
  notCached: string[]
}

/** Makes calls that were prepared, for their sessions. */
export interface ToolCaller {
  /**
   * Calls the tool, and keeps what its policy says of the caller's arguments and the tool's outputs in the session.
   *
   * Redis acknowledges what is kept before this resolves: the caller's next request may reach another worker, which
   * must see it. The record of the call is written with it and costs no round trip of its own. A record alone has left
   * for Redis by then, and nobody waits for its answer. A failure says in `acted` whether the tool can have acted.
   */
  run: (call: PreparedCall, options: CallOptions) => Promise<ToolReply>
}

export function createToolCaller (options: ToolCallerOptions): ToolCaller {
  const { sessions, pendingCalls, cacheResults, maxResultNames, maxValueBytes, checker } = options
  const sensitiveParams = new Set(options.sensitiveParams)

  async function run (call: PreparedCall, callOptions: CallOptions) {
    const { client, limits, shape, mask, watcher, task, held = null, endWith, refer } = callOptions
    const { session, exposedName, tool, request } = call
    const { policy, serverPolicy, server, wrapsResult } = tool
    const startedAt = new Date()
    const start = performance.now()

    /** Gives the names of the values that could not be kept. */
    async function keep (
      outcome: CallRecord['outcome'],
      { outputs, tooMany }: Pick<ToolResult, 'outputs' | 'tooMany'> = noOutputs,
      endedCall: EndedCall | null = null
    ): Promise<string[]> {
      const at = new Date().toISOString()
      const given = policy.keepsParameters ? fittingArguments(checker, call, outcome) : new Map<string, string>()
      const origin = { server, tool: nameForOrigin(exposedName), at }
      const ofResult = { as: 'result', ...origin } as const
      const values = new Map<string, KeptValue>([
        ...keptAs(given, { as: 'parameter', ...origin }),
        ...keptAs(outputs, ofResult)
      ])
      for (const name of tooMany) values.delete(name)
      const outdated = { names: tooMany, origin: ofResult }
      const durationMs = Math.round(performance.now() - start)
      const record = { tool: exposedName, outcome, duration_ms: durationMs, at: startedAt.toISOString() }
      const changes = { values, call: record, endedCall, ...(tooMany.length > 0 && { outdated }) }
      const written = inPhase('write', { server }, () => sessions.write(session, changes)).then(
        left => [...left ?? values.keys(), ...tooMany],
        error => {
          callOptions.onNotCached(error)
          return [...values.keys(), ...tooMany]
        }
      )
      if (values.size > 0 || tooMany.length > 0 || endedCall !== null) return await written
      callOptions.onUnfinished(written)
      // It frees the call's slot, which the next request may need: so it is on its way before the reply is.
      await joinedWritesLeft()
      return []
    }

    function take (answer: ToolAnswer) {
      if ('inputRequired' in answer) return answer
      const form = shape ?? serverPolicy.result
      if ('failure' in answer) {
        if (answer.failure.isUnknownTool) throw Object.assign(new UnknownToolError(exposedName), { acted: 'no' })
        return readToolFailure(answer.failure, { tool: exposedName, shape: form, mask })
      }
      return withoutItsMessage(readToolResult(answer.result, {
        tool: exposedName,
        isChain: serverPolicy.kind === 'chain',
        shape: form,
        policy,
        wrapsResult,
        cacheResults,
        maxNames: maxResultNames,
        mask,
        sensitiveParams
      }), maxValueBytes)
    }

    try {
      // The answer has no name here: it may be long, and would stay in memory while the session is written.
      const taken = take(await client.callTool(watcher || task ? followed(request, watcher, task) : request, limits))
      if ('inputRequired' in taken) {
        const { inputRequired } = taken
        const body = await keepUntilAnswered(call, inputRequired, { server: client.serverName, mask, held })
          .catch(async error => {
            // Nobody will respond to it.
            if (inputRequired.task !== undefined) await client.cancelTask(request.name, inputRequired.task, limits)
            throw error
          })
        return { body, outcome: 'input_required', leftOut: [], notCached: await keep('input_required') } as const
      }
      const { outputs, tooMany, ...reply } = taken
      // Before the call ends with the reply, which may be given again.
      if (refer !== undefined && reply.outcome === 'ok') reply.body = await refer(reply)
      return { notCached: await keep(reply.outcome, { outputs, tooMany }, endWith?.(reply)), ...reply }
    } catch (error) {
      await keep(error instanceof CallerLeftError ? 'abandoned' : 'failed')
      throw withActed(error)
    }
  }

  async function keepUntilAnswered (
    { session, exposedName, tool, request, filled }: PreparedCall,
    requests: InputRequests,
    { server, mask, held }: { server: string, mask: Mask, held: HeldCall | null }
  ): Promise<string> {
    const args = readJson(request.args)
    // Credentials are taken from the session again, and the operator's words from the servers file.
    const isFixed = ({ name }: { name: string }) =>
      sensitiveParams.has(name) || tool.policy.sources.get(name)?.kind === 'operator'
    const fixed = args?.root.members?.filter(isFixed) ?? []
    return await suspend(requests, {
      pendingCalls,
      session,
      kind: 'tool',
      request: {
        tool: exposedName,
        name: request.name,
        args: args === null ? '{}' : applyEdits(args.text, removalsOf(args.root, isFixed)).trim(),
        secretNames: fixed.map(({ name }) => name),
        ...(filled.length > 0 && { filled: filled.map(({ name }) => name) })
      },
      held,
      server,
      mask,
      what: `tool ${exposedName}`
    })
  }

  return { run }
}

const noOutputs: Pick<ToolResult, 'outputs' | 'tooMany'> = { outputs: new Map(), tooMany: [] }

const followed = (request: PreparedCall['request'], watcher: CallOptions['watcher'], task: CallOptions['task']) => ({
  ...request, ...(watcher && { watcher }), ...(task && { task: { ...request.task, ...task } })
})

/** The name is the server's: it may be long. */
const nameForOrigin = (tool: string) => tool.slice(0, 128)

/** The error of a tool that was called: unless its error says otherwise, it may have acted. */
function withActed (error: unknown): unknown {
  if (error instanceof Error && !('acted' in error)) return Object.assign(error, { acted: 'unknown' })
  return error
}
