import { backoffMs } from '../../backoff.ts'
import { anySignal, Cancellation } from '../../cancellation.ts'
import { type Acted, CallerLeftError, McpCallError, McpTimeoutError } from '../../errors.ts'
import { memberTexts, objectText, readJson } from '../../json-text.ts'
import type { Answer } from './answer-rounds.ts'
import type { RpcRequest } from './rpc-message.ts'
import {
  type BegunTask, decodeWaiting, encodeWaiting, inputRequestOf, isSameId, relatedTask, type TaskState
} from './task.ts'
import { createTaskRequests, type TaskRequestsOptions, type TaskResult } from './task-requests.ts'
import { ToolFailedError } from './tool-failure.ts'

export interface TaskOptions extends Omit<TaskRequestsOptions, 'deadline' | 'follower'> {
  /** The caller's responses, and the task as it waited for them; see Continuation. */
  continuation: { responses?: string, task?: string } | undefined
  /** Gets the id of a task that takes the place of this one. */
  onNext: (id: string) => Promise<void>
  /** Whether the task is left to another worker when this one stops asking: it is not cancelled then. */
  isHandedOn: () => boolean
}

/** A result that was asked for before its task was over, and what came of it by now. */
interface Early { outcome: TaskResult | Error | null }

/** Bounds of the time between two questions, whatever the server says (ms), and its course where it says nothing. */
const pollBounds = { minMs: 100, maxMs: 30_000 }
const ownPolls = { firstMs: 250, maxMs: 2_000 }
const failurePauses = { firstMs: 250, maxMs: 5_000 }
/** How often the result of a task may be another task. */
const maxTasks = 5
/** How long a server may take to cancel a task (ms). */
const cancelTimeoutMs = 2_000

/**
 * Asks for a task until it is over, or until its server requests input. A task that nobody waits for any more is
 * cancelled.
 *
 * Rejects as ServerConnection.request does. The tool may have acted, whatever the failure.
 */
export async function followTask (begun: BegunTask, options: TaskOptions): Promise<Answer> {
  const task = { id: begun.id }
  try {
    return await rounds(begun, task, options)
  } catch (error) {
    const isOver = error instanceof ToolFailedError
    const isHandedOn = options.limits.signal.aborted && options.isHandedOn()
    if (!isOver && !isHandedOn) options.connection.linger(cancelTask(task.id, options))
    const acted: Acted = 'unknown'
    throw Object.assign(error as Error, { acted, retryable: false })
  }
}

/** Tells a server that nobody waits for a task. Never rejects: a server that cannot be told ends it in its own time. */
export async function cancelTask (
  id: string, { connection, tool, limits, optionsOf }: Pick<TaskOptions, 'connection' | 'tool' | 'limits' | 'optionsOf'>
): Promise<void> {
  const own = { ...limits, timeoutMs: cancelTimeoutMs, signal: AbortSignal.timeout(cancelTimeoutMs) }
  await connection.request({ what: `the cancellation of tool ${tool}` }, own, client =>
    client.request('tasks/cancel', [['taskId', id]], optionsOf(own))).catch(() => {})
}

/** `task` has the id that the task has by now. */
async function rounds (begun: BegunTask, task: { id: string }, options: TaskOptions): Promise<Answer> {
  const { connection, tool, limits: { signal, timeoutMs }, watcher, continuation } = options
  const { serverName: server } = connection
  const { deadline, token } = begun
  const waited = continuation?.task === undefined ? null : decodeWaiting(continuation.task)
  const answered = new Set(waited?.answered)
  /** Requests of a server of an older era that came meanwhile. */
  const inputs = new Map<string, RpcRequest>()
  const stopped = new Cancellation()
  /** `tasks/result` of an older era, which waits until the task is over: what its stream brings is wanted before. */
  let early: Early | null = null
  let mayAskEarly = true
  let [polls, tasks] = [0, 1]
  let wake = () => {}

  const requests = createTaskRequests({
    ...options,
    deadline,
    follower: {
      token,
      onProgress: progress => watcher?.onProgress(progress),
      takesRequest (request) {
        const own = request.params && relatedTask(request.params)
        const isOurs = own === null ? connection.isOwn : isSameId(own, task.id)
        if (request.method !== 'elicitation/create' || !isOurs || !connection.keepsTasks()) return false
        inputs.set(String(JSON.parse(request.idText)), request)
        wake()
        return true
      },
      onChange: () => wake()
    }
  })

  /**
   * Waits for so long, until the signal aborts, or until something is heard of the task. However long its server wants
   * not to be asked, it is asked again before the deadline: a task that is over by then is not given up.
   */
  async function pause (milliseconds: number): Promise<void> {
    const leftMs = deadline - performance.now()
    await new Promise<void>(resolve => {
      const longestMs = Math.min(leftMs, Math.max(leftMs / 2, pollBounds.minMs))
      const timer = setTimeout(done, Math.max(1, Math.min(milliseconds, longestMs)))
      signal.addEventListener('abort', done, { once: true })
      wake = done
      if (signal.aborted || inputs.size > 0 || (early as Early | null)?.outcome) done()

      function done (): void {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
    })
    if (signal.aborted) throw new CallerLeftError()
    if (performance.now() >= deadline) throw new McpTimeoutError(server, `tool ${tool}`, timeoutMs / 1000)
  }

  function pauseMs (state: TaskState | null): number {
    if (requests.failures() > 0) return backoffMs(requests.failures(), failurePauses)
    const { minMs, maxMs } = pollBounds
    return state?.pollMs == null ? backoffMs(++polls, ownPolls) : Math.min(Math.max(state.pollMs, minMs), maxMs)
  }

  async function untilDone<Value> (work: () => Promise<Value | null>): Promise<Value> {
    for (;;) {
      const value = await work()
      if (value !== null) return value
      await pause(pauseMs(null))
    }
  }

  function askEarly (): void {
    if (early !== null || !mayAskEarly) return
    const asking: Early = { outcome: null }
    early = asking
    requests.result(task.id, null, anySignal(signal, stopped))
      .then(result => { asking.outcome = result }, error => { asking.outcome = error as Error })
      .finally(() => wake())
  }

  /** What came of asking early; `null` for nothing: the server does not take it, or its answer broke off. */
  function takeEarly (): TaskResult | null {
    const outcome = (early as Early | null)?.outcome ?? null
    if (outcome === null) return null
    early = null
    mayAskEarly = !(outcome instanceof Error)
    return outcome instanceof Error ? null : outcome
  }

  /** The input requests that nobody has responded to. */
  function unanswered (requested: ReadonlyMap<string, string>): Answer | null {
    const open = [...requested].filter(([key]) => !answered.has(key))
    const older = [...inputs].map(([key, request]) => [key, inputRequestOf(request)] as const)
    if (open.length + older.length === 0) return null
    return {
      inputRequired: {
        requests: objectText(older.length > 0 ? older : open),
        task: encodeWaiting({
          id: task.id,
          answered: [...answered],
          waiting: Object.fromEntries([...inputs].map(([key, { idText }]) => [key, idText]))
        })
      }
    }
  }

  /** Where the task ends with this request, nobody can respond later: its server hears that no person is there. */
  async function decline (requested: ReadonlyMap<string, string>): Promise<void> {
    const open = [...requested].filter(([key]) => !answered.has(key))
    if (open.some(([, text]) => !isElicitation(text))) {
      throw new McpCallError(server, `requested input for tool ${tool} that this client does not give`)
    }
    const declined = new Map(open.map(([key]) => [key, '{"action":"decline"}']))
    if (open.length > 0) await untilDone(() => requests.respond(task.id, declined, {}))
    for (const [key] of open) answered.add(key)
  }

  /** The answer in a state; `null` while the task goes on. */
  async function answerIn (state: TaskState): Promise<Answer | TaskResult | null> {
    const { status, result, error, requests: requested } = state
    if (status !== 'input_required') {
      if (result !== null) return { result }
      if (error !== null) return await requests.fail(state)
      if (status === 'working') return null
      return await untilDone(() => requests.tryResult(task.id, state))
    }
    if (requested.size === 0) askEarly()
    else if (connection.keepsTasks()) return unanswered(requested)
    else await decline(requested)
    return null
  }

  async function respond (): Promise<void> {
    if (waited === null) return
    const document = readJson(continuation?.responses ?? '{}')
    const responses = document === null ? new Map<string, string>() : memberTexts(document)
    await untilDone(() => requests.respond(task.id, responses, waited.waiting))
    for (const key of responses.keys()) answered.add(key)
  }

  try {
    let { state } = begun
    await respond()
    for (;;) {
      const answer = takeEarly() ?? unanswered(new Map()) ?? (state && await answerIn(state))
      if (answer !== null && !('other' in answer)) return answer
      if (answer !== null) {
        // The task of another task goes on in its place.
        if (++tasks > maxTasks) throw new McpCallError(server, `answered the task of tool ${tool} with tasks only`)
        state = answer.other
        task.id = answer.other.id
        await options.onNext(task.id)
        continue
      }
      const isFollowed = watcher !== undefined && connection.peer()?.era.kind === 'legacy'
      if (isFollowed && connection.isOwn && state !== null) askEarly()
      if (state !== null || requests.failures() > 0) await pause(pauseMs(state))
      state = await requests.get(task.id)
    }
  } finally {
    stopped.abort()
    requests.close()
  }
}

function isElicitation (request: string): boolean {
  const document = readJson(request)
  return document !== null && memberTexts(document).get('method') === '"elicitation/create"'
}
