import { CompletionRefusedError, PromptArgumentsError, UnknownResourceError } from '../../errors.ts'
import { presentMember, textOf } from '../../json-text.ts'
import { inPhase } from '../../telemetry/channels.ts'
import { outgoingTrace } from '../../telemetry/trace-propagation.ts'
import { HttpError } from '../transports/http-request.ts'
import { type Answer, askUntilAnswered, type Continuation } from './answer-rounds.ts'
import { type Peer, statefulCapability } from './handshake.ts'
import { cursorMember, type Listed, listKinds, type ListName, readPages } from './list-pages.ts'
import { errorCodes } from './protocol.ts'
import type { ProtocolClient, RequestOptions } from './protocol-client.ts'
import { RequestTimeoutError, RpcError } from './protocol-errors.ts'
import type { Instructions } from './server-bounds.ts'
import type { RequestLimits } from './request-limits.ts'
import type { RequestDescription, ServerConnection } from './server-connection.ts'
import { type BegunTask, decodeWaiting } from './task.ts'
import { cancelTask, followTask } from './task-rounds.ts'
import { callTool, type ToolAnswer, type ToolRequest } from './tool-call.ts'
import { ToolFailedError } from './tool-failure.ts'

export type {
  Answer, Continuation, RequestDescription, RequestLimits, ServerConnection, ToolAnswer, ToolRequest
}

export type Reference = { type: 'ref/prompt', name: string } | { type: 'ref/resource', uri: string }

/**
 * An MCP server, for one request of ours.
 *
 * Rejections are errors of lib/errors.ts. Their messages quote the server, bounded, with the secrets masked.
 */
export interface ServerClient {
  readonly serverName: string
  /** Whether the server was reached in a session that it keeps for one of ours: it may know whose answer this is. */
  usedSession: () => boolean
  /** How the server described itself; `null` before it is connected, and where that is remembered. */
  peer: () => Peer | null
  /** The server's own instructions, when it has some. */
  instructions: (limits: RequestLimits) => Promise<Instructions>
  /**
   * All items, every page; none when the server has no such list. Rejects with McpCallError, which names the bound,
   * when it is longer than lists may be.
   */
  list: (list: ListName, limits: RequestLimits) => Promise<Listed>
  /** Calls a tool. A task that its server answers with is asked for until it is over. */
  callTool: (request: ToolRequest, limits: RequestLimits) => Promise<ToolAnswer>
  /** Cancels a task that waits for responses; see InputRequests. Never rejects. */
  cancelTask: (tool: string, task: string, limits: RequestLimits) => Promise<void>
  readResource: (uri: string, limits: RequestLimits, continuation?: Continuation) => Promise<Answer>
  /** `args` is the JSON text of an object. */
  getPrompt: (name: string, args: string, limits: RequestLimits, continuation?: Continuation) => Promise<Answer>
  /** The completion: JSON text. `argument` and `context` are JSON texts of objects. */
  complete: (reference: Reference, argument: string, context: string, limits: RequestLimits) => Promise<string>
}

/** A server that did not declare a list may not know its method, and then may not answer at all (ms). */
const undeclaredTimeoutMs = 5_000

/** The requests of a server client, whatever its server is reached through. */
export function createServerClient (connection: ServerConnection): ServerClient {
  const { bounds, serverName: server } = connection
  /** A request that is no tool call, as a phase: without the wait for the server's turn and without its start. */
  const request = <Value>(
    method: string, description: RequestDescription, limits: RequestLimits,
    work: (client: ProtocolClient) => Promise<Value>
  ) => connection.request(description, limits, client => inPhase('request', { server, method }, () => work(client)))

  async function follow (begun: BegunTask, { name, watcher, continuation, task }: ToolRequest, limits: RequestLimits) {
    const tell = async (id: string) => {
      const until = Math.round(Date.now() + begun.deadline - performance.now())
      if (connection.keepsTasks()) await task?.onBegun?.({ id, until })
    }
    // Only a connection that stays open until the end of this can cancel the task.
    const work = (async () => {
      if (begun.state !== null) await tell(begun.id)
      return await followTask(begun, {
        connection,
        tool: name,
        limits,
        optionsOf,
        watcher,
        continuation,
        onNext: tell,
        isHandedOn: () => connection.keepsTasks() && task?.isHandedOn?.() === true
      })
    })()
    connection.linger(work.then(() => {}, () => {}))
    return await work
  }

  return {
    serverName: connection.serverName,
    usedSession: connection.usedSession,
    instructions: connection.instructions,
    peer: connection.peer,

    list (list, limits) {
      const { method, capability, what } = listKinds[list]
      return request(method, { what: `the list of ${what}` }, limits, async client => {
        limits.onSent?.()
        const listed = await orNone<Listed>(client, capability, limits, { items: [], warnings: [] }, async options => {
          const deadline = performance.now() + limits.timeoutMs
          return await readPages(list, bounds, cursor => client.request(method, cursorMember(cursor), {
            ...options,
            ...(cursor !== null && { timeoutMs: Math.max(1, Math.ceil(deadline - performance.now())) })
          }))
        })
        const declaresState = client.peer()?.capabilities?.includes(statefulCapability) === true
        return declaresState ? { ...listed, declaresState } : listed
      })
    },

    async callTool (tool, limits) {
      try {
        const answer = taskOf(tool, limits) ??
          await connection.request({ what: `tool ${tool.name}`, mayFail: true }, limits, client =>
            inPhase('tool', { server, method: 'tools/call', tool: tool.name }, () =>
              callTool(tool, { client, connection, options: optionsOf(limits), limits })))
        return 'task' in answer ? await follow(answer.task, tool, limits) : answer
      } catch (error) {
        if (error instanceof ToolFailedError) return { failure: error.failure }
        throw error
      }
    },

    async cancelTask (tool, task, limits) {
      const cancelled = cancelTask(decodeWaiting(task).id, { connection, tool, limits, optionsOf })
      connection.linger(cancelled)
      await cancelled
    },

    readResource (uri, limits, continuation) {
      const refused = (sentence: string) => new UnknownResourceError(uri, sentence)
      return request('resources/read', { what: `resource ${uri}`, refused }, limits, client => askUntilAnswered(
        client, 'resources/read', [['uri', JSON.stringify(uri)]], optionsOf(limits), continuation
      ))
    },

    getPrompt (name, args, limits, continuation) {
      const refused = (sentence: string) => new PromptArgumentsError(name, sentence)
      const members = [['name', JSON.stringify(name)], ['arguments', args]] as const
      return request('prompts/get', { what: `prompt ${name}`, refused }, limits, client =>
        askUntilAnswered(client, 'prompts/get', members, optionsOf(limits), continuation))
    },

    complete (reference, argument, context, limits) {
      const what = reference.type === 'ref/prompt' ? `prompt ${reference.name}` : `resource template ${reference.uri}`
      const refused = (sentence: string) => new CompletionRefusedError(what, sentence)
      const members = [
        ['ref', JSON.stringify(reference)], ['argument', argument], ['context', `{"arguments":${context}}`]
      ] as const
      return request('completion/complete', { what: `a completion for ${what}`, refused }, limits, client =>
        orNone(client, 'completions', limits, noCompletion, async options => {
          const { document, node } = await client.request('completion/complete', members, options)
          const completion = presentMember(node, 'completion')
          return completion === null ? noCompletion : textOf(document, completion)
        }))
    }
  }
}

/** At least so long a task is asked for that another worker has begun: its result may be there (ms). */
const leastOfBegunMs = 10_000

/** The task of a call that was begun before: it waits for responses, or its worker died. */
function taskOf ({ task, continuation }: ToolRequest, { timeoutMs }: RequestLimits): { task: BegunTask } | null {
  const begun = { state: null, token: null }
  const now = performance.now()
  if (continuation?.task !== undefined) {
    return { task: { ...begun, id: decodeWaiting(continuation.task).id, deadline: now + timeoutMs } }
  }
  if (task?.begun === undefined) return null
  const { id, until } = task.begun
  return { task: { ...begun, id, deadline: now + Math.max(leastOfBegunMs, until - Date.now()) } }
}

const noCompletion = '{"values":[]}'

function optionsOf ({ timeoutMs, signal, secrets = [], ...limits }: RequestLimits): RequestOptions {
  const trace = outgoingTrace(limits.trace)
  if (trace === undefined) return { timeoutMs, signal, secrets }
  const meta = Object.entries(trace).map(([name, value]) => [name, JSON.stringify(value)] as const)
  return { timeoutMs, signal, secrets, meta, headers: new Map(Object.entries(trace)) }
}

/**
 * Requests something that a server may have without declaring it. A server that does not know the method has none, and
 * so has one that did not declare it and refuses it or is silent.
 */
async function orNone<Value> (
  client: ProtocolClient, capability: string, limits: RequestLimits, none: Value,
  send: (options: RequestOptions) => Promise<Value>
): Promise<Value> {
  const isUndeclared = client.peer()?.capabilities?.includes(capability) === false
  const timeoutMs = isUndeclared ? Math.min(limits.timeoutMs, undeclaredTimeoutMs) : limits.timeoutMs
  try {
    return await send({ ...optionsOf(limits), timeoutMs })
  } catch (error) {
    const lacksMethod = error instanceof RpcError && error.code === errorCodes.methodNotFound
    if (lacksMethod || (isUndeclared && isRefusedOrLate(error))) return none
    if (isUndeclared && isRefusedUnread(error) && await isKnown(client, limits)) return none
    throw error
  }
}

const isRefusedOrLate = (error: unknown) => error instanceof RpcError || error instanceof RequestTimeoutError

/** Statuses by which a server over HTTP refuses a method that it does not have. */
const refusingStatuses = new Set([400, 404, 405, 501])
const isRefusedUnread = (error: unknown) => error instanceof HttpError && refusingStatuses.has(error.status)

/**
 * Whether the server still answers this client. One that has forgotten the client's session, or changed its era,
 * refuses each request as it refuses a method that it does not have.
 */
export async function isKnown (client: ProtocolClient, limits: RequestLimits): Promise<boolean> {
  const method = client.peer()?.era.kind === 'modern' ? 'server/discover' : 'ping'
  const timeoutMs = Math.min(limits.timeoutMs, undeclaredTimeoutMs)
  return await client.request(method, [], { ...optionsOf(limits), timeoutMs })
    .then(() => true, error => error instanceof RpcError)
}
