import type { RequestHeaders } from '../transports/text-transport.ts'
import { type Answer, askUntilAnswered, type Continuation } from './answer-rounds.ts'
import { taskCapability } from './handshake.ts'
import { cursorMember, type ListedItem, listKinds, readPages } from './list-pages.ts'
import { noHeaders, parameterHeaders } from './parameter-headers.ts'
import { errorCodes, metaKeys } from './protocol.ts'
import type { ProtocolClient, RequestOptions } from './protocol-client.ts'
import { RpcError } from './protocol-errors.ts'
import type { RpcValue } from './rpc-message.ts'
import type { RequestLimits } from './request-limits.ts'
import type { ServerBounds } from './server-bounds.ts'
import { type BegunTask, taskIn } from './task.ts'
import { mayMeanUnknownTool, ToolFailedError, type ToolFailure } from './tool-failure.ts'

/** A caller follows a call while it runs. The values are params of the server's notifications. */
export interface Watcher {
  onProgress: (progress: RpcValue) => void
  /**
   * Gets log messages. Never called for a server that several callers share: nothing says which call they are about.
   */
  onLog: (message: RpcValue) => void
}

export interface ToolRequest {
  name: string
  /** The arguments: the JSON text of an object. */
  args: string
  /** The tool's input schema, for a tool that wants arguments repeated in headers; see `x-mcp-header`. */
  inputSchema?: unknown
  watcher?: Watcher
  continuation?: Continuation
  task?: TaskWish
}

/** Whether a tool is called as a task, and what its caller does with it. */
export interface TaskWish {
  /** What the server says of the tool; absent for a tool that is never called as a task. */
  support?: TaskSupport
  /** Its caller wants a task where the tool can be one, and another worker could go on with it. */
  isPreferred?: boolean
  /** The task of this call that another worker has begun: it is asked for, and the tool is not called. */
  begun?: HeldTask
  /** Gets a task that another worker could go on with, before it is asked for. Never rejects. */
  onBegun?: (task: HeldTask) => Promise<void>
  /** Whether another worker goes on with the task when this call is broken off. */
  isHandedOn?: () => boolean
}

export type TaskSupport = 'required' | 'optional'

/** A task as the record of its call has it. */
export interface HeldTask {
  /** JSON text. */
  id: string
  /** When it must be over (ms since 1970). */
  until: number
}

/** The answer to a tool call. Many servers say by an error of JSON-RPC that their tool failed. */
export type ToolAnswer = Answer | { failure: ToolFailure }

interface CallContext {
  client: ProtocolClient
  /** See ServerConnection. */
  connection: {
    readonly bounds: ServerBounds
    readonly isOwn: boolean
    onListChanged: () => void
    keepsTasks: () => boolean
  }
  options: RequestOptions
  limits: RequestLimits
}

/**
 * Calls a tool, and does what may be needed before and after it: all of that together takes no longer than the limits
 * say. Rejects as ProtocolClient.request does, and with ToolFailedError for a tool that its server no longer lists.
 */
export async function callTool (
  { name, args, inputSchema, watcher, continuation, task }: ToolRequest,
  { client, connection, options, limits }: CallContext
): Promise<Answer | { task: BegunTask }> {
  if (watcher !== undefined && connection.isOwn) client.onLog(watcher.onLog)
  const isModern = client.peer()?.era.kind === 'modern'
  const timely = withinTotal(client, limits.timeoutMs)
  const deadline = performance.now() + limits.timeoutMs
  let wantsTask = !isModern && mayBeTask(task, client, connection)
  let token: number | null = null

  async function call (headers: RequestHeaders): Promise<Answer | { task: BegunTask }> {
    const members = [
      ['name', JSON.stringify(name)], ['arguments', args],
      ...(wantsTask ? [['task', `{"ttl":${taskTtlMs(limits)}}`] as const] : [])
    ] as const
    const answer = await askUntilAnswered(timely, 'tools/call', members, {
      onToken (given) { token = given },
      ...withHeaders(options, headers),
      ...followed(watcher, options, limits, isModern)
    }, continuation)
    const state = 'result' in answer ? taskIn(answer.result, connection.bounds.maxValues) : null
    return state === null ? answer : { task: { id: state.id, state, token, deadline } }
  }

  try {
    return await call(isModern && inputSchema !== undefined ? parameterHeaders(inputSchema, args) : noHeaders)
  } catch (error) {
    if (!(error instanceof RpcError)) throw error
    if (!isModern && refusesForm(error)) {
      // The server did not act. Its list is older than its tool, or it declares less than it demands.
      wantsTask = !wantsTask
      return await call(noHeaders)
    }
    if (isModern && inputSchema !== undefined && error.code === errorCodes.headerMismatch) {
      // The server did not act. Its tool wants other headers than those of the schema that was remembered.
      connection.onListChanged()
      return await call(parameterHeaders((await listedTool())?.value.inputSchema, args))
    }
    if (mayMeanUnknownTool(error) && await isGone()) {
      connection.onListChanged()
      throw new ToolFailedError({ code: error.code, message: '', isUnknownTool: true })
    }
    throw error
  }

  /** The tool as its server lists it now. */
  async function listedTool (): Promise<ListedItem | undefined> {
    const { items } = await readPages('tools', connection.bounds, cursor =>
      timely.request(listKinds.tools.method, cursorMember(cursor), options))
    return items.find(({ value }) => value.name === name)
  }

  /** Whether the server has the tool no more. A server that cannot list its tools now has said enough already. */
  async function isGone (): Promise<boolean> {
    return await listedTool().then(tool => tool === undefined, () => false)
  }
}

/** Whether a server of an older era is to answer with a task. */
function mayBeTask (
  task: TaskWish | undefined, { peer }: ProtocolClient, connection: CallContext['connection']
): boolean {
  // Of a session that was begun long ago it is not known.
  if (task?.support === undefined || peer()?.capabilities?.includes(taskCapability) === false) return false
  return task.support === 'required' || (task.isPreferred === true && connection.keepsTasks())
}

/** Codes by which a server says that it wants a task, or none. */
const formCodes = new Set<number>([errorCodes.methodNotFound, errorCodes.invalidRequest])
const refusesForm = ({ code, message }: RpcError) => formCodes.has(code) && /\btasks?\b/i.test(message)

/** A result is fetched as soon as it is there. The margin is for a worker that dies, and for a person who is asked. */
const taskTtlMs = ({ timeoutMs }: RequestLimits) => Math.round(Math.min(timeoutMs, 86_400_000)) + 3_600_000

/** Options for who follows the call, and for a bound on silence: both want progress. */
function followed (
  watcher: Watcher | undefined, { meta = [] }: RequestOptions, { inactivityMs }: RequestLimits, isModern: boolean
): Pick<RequestOptions, 'onProgress' | 'inactivityMs' | 'meta'> {
  if (watcher === undefined && inactivityMs === undefined) return {}
  return {
    onProgress: progress => watcher?.onProgress(progress),
    ...(inactivityMs !== undefined && { inactivityMs }),
    ...(watcher !== undefined && isModern && { meta: [...meta, [metaKeys.logLevel, '"info"'] as const] })
  }
}

const withHeaders = (options: RequestOptions, headers: RequestHeaders) =>
  headers.size === 0 ? options : { ...options, headers: new Map([...options.headers ?? [], ...headers]) }

/** A client whose requests end at one deadline, however many there are. */
function withinTotal (client: ProtocolClient, timeoutMs: number): Pick<ProtocolClient, 'peer' | 'request'> {
  let deadline: number | null = null
  return {
    peer: client.peer,
    request (method, members, options) {
      if (deadline !== null) {
        const leftMs = Math.max(1, Math.ceil(deadline - performance.now()))
        return client.request(method, members, { ...options, timeoutMs: Math.min(options.timeoutMs, leftMs) })
      }
      deadline = performance.now() + timeoutMs
      return client.request(method, members, options)
    }
  }
}
