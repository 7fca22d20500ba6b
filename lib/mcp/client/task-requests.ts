import type { CancelSignal } from '../../cancellation.ts'
import { McpTimeoutError, UpstreamUnauthorizedError } from '../../errors.ts'
import { objectText } from '../../json-text.ts'
import { inPhase } from '../../telemetry/channels.ts'
import { errorCodes } from './protocol.ts'
import type { ProtocolClient, RequestOptions } from './protocol-client.ts'
import type { Follower } from './protocol-connection.ts'
import { RpcError, UnusableAnswerError } from './protocol-errors.ts'
import type { RequestLimits } from './request-limits.ts'
import type { RpcValue } from './rpc-message.ts'
import type { ServerConnection } from './server-connection.ts'
import { isSameId, readTask, relatedTask, taskIn, type TaskState } from './task.ts'
import { ToolFailedError } from './tool-failure.ts'
import type { Watcher } from './tool-call.ts'

export interface TaskRequestsOptions {
  connection: ServerConnection
  /** Name of the tool. */
  tool: string
  limits: RequestLimits
  optionsOf: (limits: RequestLimits) => RequestOptions
  /** When the task must be over, by performance.now (ms). */
  deadline: number
  follower: Follower
  watcher: Watcher | undefined
}

/** What `tasks/result` was answered with: the tool's result, or one more task. */
export type TaskResult = { result: RpcValue } | { other: TaskState & { id: string } }

/** The requests about one task. All but `get` reject as ServerConnection.request does. */
export interface TaskRequests {
  /** How often in a row the server has failed to say how the task is. */
  failures: () => number
  /** `null` where the server failed for now. Rejects when it has failed too often, or for good. */
  get: (id: string) => Promise<TaskState | null>
  /**
   * The result of a task of an older era, which comes when the task is over. `ended` is its state where that is known.
   * Rejects with ToolFailedError for a tool that failed.
   */
  result: (id: string, ended: TaskState | null, signal?: CancelSignal) => Promise<TaskResult>
  /** The same, tried again where the server fails to answer. Gives `null` then. */
  tryResult: (id: string, ended: TaskState) => Promise<TaskResult | null>
  /** Responds to input requests. `older` has the ids of those of an older era by their keys. Gives `null` as `get`. */
  respond: (
    id: string, responses: ReadonlyMap<string, string>, older: Readonly<Record<string, string>>
  ) => Promise<true | null>
  /** Rejects with the failure of a task that is over without a result. */
  fail: (state: TaskState) => Promise<never>
  close: () => void
}

/** A state comes at once: a server that does not give it within this is asked again (ms). */
const getTimeoutMs = 30_000
/** How often in a row a server may fail to say how a task is: it may just start again. */
const maxFailures = 10
/** How often in a row it may say that it knows no such task. */
const maxUnknown = 2

/** An answer is about another task, which may be somebody else's. */
class ForeignTaskError extends UnusableAnswerError {
  override name = 'ForeignTaskError'
}

export function createTaskRequests (options: TaskRequestsOptions): TaskRequests {
  const { connection, tool, limits, optionsOf, deadline, follower, watcher } = options
  const { maxValues } = connection.bounds
  const what = `the task of tool ${tool}`
  const shortMs = Math.min(getTimeoutMs, limits.inactivityMs ?? Infinity)
  const refusals = new WeakMap<object, RpcError | ForeignTaskError>()
  let [failures, unknown] = [0, 0]
  let followed: { client: ProtocolClient, stop: () => void } | null = null

  /** Follows the task through the client that reaches the server now: it may be another one after a while. */
  function followThrough (client: ProtocolClient): void {
    if (followed?.client === client) return
    followed?.stop()
    if (watcher !== undefined && connection.isOwn) client.onLog(watcher.onLog)
    followed = { client, stop: client.follow(follower) }
  }

  async function ask<Value> (
    method: string, own: { timeoutMs: number, mayFail?: boolean, signal?: CancelSignal },
    work: (client: ProtocolClient, options: RequestOptions) => Promise<Value>
  ): Promise<Value> {
    const { timeoutMs, mayFail = false, signal = limits.signal } = own
    const leftMs = Math.max(1, Math.ceil(deadline - performance.now()))
    const limited = { ...limits, timeoutMs: Math.min(timeoutMs, leftMs), signal }
    let refusal: RpcError | ForeignTaskError | null = null
    try {
      return await connection.request({ what, mayFail }, limited, async client => {
        followThrough(client)
        return await inPhase('request', { server: connection.serverName, method }, () =>
          work(client, optionsOf(limited))).catch(error => {
          if (error instanceof RpcError || error instanceof ForeignTaskError) refusal = error
          throw error
        })
      })
    } catch (error) {
      if (refusal !== null) refusals.set(error as Error, refusal)
      throw error
    }
  }

  /** Gives `null` for a failure that may pass. */
  async function trying<Value> (work: () => Promise<Value>): Promise<Value | null> {
    try {
      const value = await work()
      failures = unknown = 0
      return value
    } catch (error) {
      if (limits.signal.aborted || staysAsItIs(error as Error) || ++failures >= maxFailures) throw error
      return null
    }
  }

  function staysAsItIs (error: Error): boolean {
    if (error instanceof ToolFailedError || error instanceof UpstreamUnauthorizedError) return true
    const refusal = refusals.get(error)
    if (refusal instanceof RpcError) {
      const { code } = refusal
      return code === errorCodes.methodNotFound || (code === errorCodes.invalidParams && ++unknown >= maxUnknown)
    }
    if (refusal !== undefined) return true
    // A silence that is longer than a tool may be silent ends the call as it does without a task.
    if (error instanceof McpTimeoutError) return shortMs === limits.inactivityMs && performance.now() < deadline
    return !connection.reconnects
  }

  const result: TaskRequests['result'] = (id, ended, signal) =>
    ask('tasks/result', { timeoutMs: Infinity, mayFail: true, ...(signal && { signal }) }, async (client, options) => {
      const value = await client.request('tasks/result', [['taskId', id]], options).catch(error => {
        throw error instanceof RpcError && ended !== null ? endedError(ended, error) : error
      })
      const related = relatedTask(value)
      if (related !== null && !isSameId(related, id)) throw new ForeignTaskError('it is the result of another task')
      const other = taskIn(value, maxValues)
      return other === null ? { result: value } : { other }
    })

  return {
    failures: () => failures,

    get: id => trying(() => ask('tasks/get', { timeoutMs: shortMs }, async (client, options) => {
      const value = await client.request('tasks/get', [['taskId', id]], options)
      // Some servers nest it as they do when it begins.
      const state = taskIn(value, maxValues) ?? readTask(value, maxValues)
      if (state.id !== null && !isSameId(state.id, id)) throw new ForeignTaskError('it is the state of another task')
      return state
    })),

    result,
    tryResult: (id, ended) => trying(() => result(id, ended)),

    respond (id, responses, older) {
      const ofOlder = Object.entries(older)
      return trying(() => ask('tasks/update', { timeoutMs: shortMs }, async (client, options): Promise<true> => {
        for (const [key, idText] of ofOlder) await client.respond(idText, responses.get(key) ?? '{"action":"cancel"}')
        if (ofOlder.length > 0 || responses.size === 0) return true
        await client.request('tasks/update', [['taskId', id], ['inputResponses', objectText(responses)]], options)
        return true
      }))
    },

    fail: state => ask('tasks/get', { timeoutMs: shortMs, mayFail: true }, async () => {
      throw endedError(state, null)
    }),

    close () { followed?.stop() }
  }
}

/** A server that keeps no result of a task that failed has no other words for it than these. */
const lacksResult = /\bresult\b|\bnot found\b|\bno such\b/i

/** The error of a task that is over: its own, or one that says why there is no result. */
function endedError ({ error, message, status }: TaskState, refusal: RpcError | null): RpcError {
  if (error !== null) return new RpcError(error)
  const saysMore = refusal !== null && refusal.code !== errorCodes.methodNotFound && !lacksResult.test(refusal.message)
  if (refusal !== null && (status === 'completed' || (status === 'failed' && saysMore))) return refusal
  const sentence = message ?? (status === 'cancelled' ? 'the task was cancelled' : 'the task failed')
  return new RpcError({ code: errorCodes.internalError, message: sentence })
}
