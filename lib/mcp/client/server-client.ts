import {
  CompletionRefusedError, PromptArgumentsError, ToolArgumentsError, UnknownResourceError
} from '../../errors.ts'
import { presentMember, textOf } from '../../json-text.ts'
import { HttpError } from '../transports/http-request.ts'
import { NotSentError } from '../transports/text-transport.ts'
import { statefulCapability } from './handshake.ts'
import { type InputRequests, inputRequestsIn, urlElicitationIn } from './input-requests.ts'
import { type Listed, listKinds, type ListName, readPages } from './list-pages.ts'
import { parameterHeaders } from './parameter-headers.ts'
import { errorCodes, metaKeys } from './protocol.ts'
import type { Members, ProtocolClient, RequestOptions } from './protocol-client.ts'
import { ConnectionClosedError, RequestTimeoutError, RpcError, UnusableAnswerError } from './protocol-errors.ts'
import type { RpcValue } from './rpc-message.ts'
import type { Instructions, ServerBounds } from './server-bounds.ts'

export type { InputRequests }

export interface RequestLimits {
  /** How long the answer may take in all (ms). */
  timeoutMs: number
  /** Aborts when nobody waits for the answer any more; the server gets a cancellation. */
  signal: AbortSignal
  /** Values that an error's sentence must not hold, beside those that the client knows. */
  secrets?: readonly unknown[]
  /** Called when the server is connected and the list is requested: the caller's own deadline starts then. */
  onSent?: () => void
  /**
   * The caller's trace context: header values by name. The server gets them as headers, where it has some, and in
   * `_meta`.
   * @see https://www.w3.org/TR/trace-context/
   */
  trace?: Readonly<Record<string, string>>
}

/** A caller follows a call while it runs. The values are params of the server's notifications. */
export interface Watcher {
  onProgress: (progress: RpcValue) => void
  /**
   * Gets log messages. Never called for a server that several callers share: nothing says which call they are about.
   */
  onLog: (message: RpcValue) => void
  /**
   * How long the server may be silent (ms): each progress notification starts it anew. The call's `timeoutMs` stays
   * what it is.
   */
  inactivityMs: number
}

export interface ToolRequest {
  name: string
  /** The arguments: the JSON text of an object. */
  args: string
  /** The tool's input schema, for a tool that wants arguments repeated in headers; see `x-mcp-header`. */
  inputSchema?: unknown
  watcher?: Watcher
  continuation?: Continuation
}

/** Resumes a request that the server answered with input requests. */
export interface Continuation {
  /** Responses by the server's own keys: the JSON text of an object. */
  responses?: string
  /** The server's own state, to be given back unchanged: JSON text. */
  state?: string
}

/** The answer to a request that a server may answer with input requests. */
export type Answer = { result: RpcValue } | { inputRequired: InputRequests }

export type Reference = { type: 'ref/prompt', name: string } | { type: 'ref/resource', uri: string }

/**
 * An MCP server, for one request of ours.
 *
 * Rejections are errors of lib/errors.ts. Their messages quote the server, bounded, with the secrets masked.
 */
export interface ServerClient {
  readonly serverName: string
  /** Whether the server was reached in a session that it keeps for one of ours: it may know whose answer this is. */
  readonly usedSession: boolean
  /** The server's own instructions, when it has some. */
  instructions: (limits: RequestLimits) => Promise<Instructions>
  /**
   * All items, every page; none when the server has no such list. Rejects with McpCallError, which names the bound,
   * when it is longer than lists may be.
   */
  list: (list: ListName, limits: RequestLimits) => Promise<Listed>
  callTool: (request: ToolRequest, limits: RequestLimits) => Promise<Answer>
  readResource: (uri: string, limits: RequestLimits, continuation?: Continuation) => Promise<Answer>
  /** `args` is the JSON text of an object. */
  getPrompt: (name: string, args: string, limits: RequestLimits, continuation?: Continuation) => Promise<Answer>
  /** The completion: JSON text. `argument` and `context` are JSON texts of objects. */
  complete: (reference: Reference, argument: string, context: string, limits: RequestLimits) => Promise<string>
}

export interface RequestDescription {
  /** For the sentence of a failure: `tool search`, `the list of tools`. */
  what: string
  /**
   * Creates the error for a refusal, from the server's own sentence. Without it, a refusal is a failure like any
   * other.
   */
  refused?: (sentence: string) => Error
}

/** How a server client reaches its server. */
export interface ServerConnection {
  readonly serverName: string
  /** Whether the protocol client is this request's alone, so that all that it receives is for this request. */
  readonly isOwn: boolean
  /** See ServerClient. */
  readonly usedSession: boolean
  readonly bounds: ServerBounds
  /** Called when the server's lists are not what was remembered. */
  onListChanged: () => void
  instructions: (limits: RequestLimits) => Promise<Instructions>
  /** Makes a request with a client that is connected, and translates its failure. */
  request: <Value>(
    description: RequestDescription, limits: RequestLimits, work: (client: ProtocolClient) => Promise<Value>
  ) => Promise<Value>
}

/** A server that did not declare a list may not know its method, and then may not answer at all (ms). */
const undeclaredTimeoutMs = 5_000
/** How often in a row a server may answer with nothing but a state to be given back. */
const maxStateRounds = 10

/** The requests of a server client, whatever its server is reached through. */
export function createServerClient (connection: ServerConnection): ServerClient {
  const { bounds, request } = connection

  return {
    serverName: connection.serverName,
    get usedSession () { return connection.usedSession },
    instructions: connection.instructions,

    list (list, limits) {
      const { method, capability, what } = listKinds[list]
      return request({ what: `the list of ${what}` }, limits, async client => {
        limits.onSent?.()
        const listed = await orNone<Listed>(client, capability, limits, { items: [], warnings: [] }, async options => {
          const deadline = performance.now() + limits.timeoutMs
          return await readPages(list, bounds, cursor => client.request(method, cursorMember(cursor), {
            ...options,
            ...(cursor !== null && { timeoutMs: Math.max(1, Math.ceil(deadline - performance.now())) })
          }))
        })
        const declaresState = client.peer?.capabilities?.includes(statefulCapability) === true
        return declaresState ? { ...listed, declaresState } : listed
      })
    },

    callTool ({ name, args, inputSchema, watcher, continuation }, limits) {
      const refused = (sentence: string) => new ToolArgumentsError(name, sentence)
      return request({ what: `tool ${name}`, refused }, limits, async client => {
        if (watcher !== undefined && connection.isOwn) client.onLog(watcher.onLog)
        const isModern = client.peer?.era.kind === 'modern'
        const options = { ...optionsOf(limits), ...(watcher !== undefined && watched(watcher, limits, isModern)) }
        const members = [['name', JSON.stringify(name)], ['arguments', args]] as const
        const call = (headers: Record<string, string>) => askUntilAnswered(
          client, 'tools/call', members, { ...options, headers: { ...options.headers, ...headers } }, continuation
        )
        if (!isModern || inputSchema === undefined) return await call({})
        try {
          return await call(parameterHeaders(inputSchema, args))
        } catch (error) {
          // The server did not act. Its tool wants other headers than those of the schema that was remembered.
          if (!(error instanceof RpcError) || error.code !== errorCodes.headerMismatch) throw error
          connection.onListChanged()
          return await call(parameterHeaders(await currentSchema(client, name, bounds, optionsOf(limits)), args))
        }
      })
    },

    readResource (uri, limits, continuation) {
      const refused = (sentence: string) => new UnknownResourceError(uri, sentence)
      return request({ what: `resource ${uri}`, refused }, limits, client => askUntilAnswered(
        client, 'resources/read', [['uri', JSON.stringify(uri)]], optionsOf(limits), continuation
      ))
    },

    getPrompt (name, args, limits, continuation) {
      const refused = (sentence: string) => new PromptArgumentsError(name, sentence)
      const members = [['name', JSON.stringify(name)], ['arguments', args]] as const
      return request({ what: `prompt ${name}`, refused }, limits, client =>
        askUntilAnswered(client, 'prompts/get', members, optionsOf(limits), continuation))
    },

    complete (reference, argument, context, limits) {
      const what = reference.type === 'ref/prompt' ? `prompt ${reference.name}` : `resource template ${reference.uri}`
      const refused = (sentence: string) => new CompletionRefusedError(what, sentence)
      const members = [
        ['ref', JSON.stringify(reference)], ['argument', argument], ['context', `{"arguments":${context}}`]
      ] as const
      return request({ what: `a completion for ${what}`, refused }, limits, client =>
        orNone(client, 'completions', limits, noCompletion, async options => {
          const { document, node } = await client.request('completion/complete', members, options)
          const completion = presentMember(node, 'completion')
          return completion === null ? noCompletion : textOf(document, completion)
        }))
    }
  }
}

const cursorMember = (cursor: string | null): Members => cursor === null ? [] : [['cursor', cursor]]

const noCompletion = '{"values":[]}'

function optionsOf ({ timeoutMs, signal, secrets = [], trace }: RequestLimits): RequestOptions {
  if (trace === undefined) return { timeoutMs, signal, secrets }
  const meta = Object.entries(trace).map(([name, value]) => [name, JSON.stringify(value)] as const)
  return { timeoutMs, signal, secrets, meta, headers: trace }
}

function watched ({ inactivityMs, onProgress }: Watcher, limits: RequestLimits, isModern: boolean) {
  const { meta = [] } = optionsOf(limits)
  return { inactivityMs, onProgress, ...(isModern && { meta: [...meta, [metaKeys.logLevel, '"info"'] as const] }) }
}

/**
 * Requests something that a server may have without declaring it. A server that does not know the method has none, and
 * so has one that did not declare it and refuses it or is silent.
 */
async function orNone<Value> (
  client: ProtocolClient, capability: string, limits: RequestLimits, none: Value,
  send: (options: RequestOptions) => Promise<Value>
): Promise<Value> {
  const isUndeclared = client.peer?.capabilities?.includes(capability) === false
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
  const method = client.peer?.era.kind === 'modern' ? 'server/discover' : 'ping'
  const timeoutMs = Math.min(limits.timeoutMs, undeclaredTimeoutMs)
  return await client.request(method, [], { ...optionsOf(limits), timeoutMs })
    .then(() => true, error => error instanceof RpcError)
}

/** Sends a request again while the server answers with nothing but a state to be given back. */
async function askUntilAnswered (
  client: ProtocolClient, method: string, members: Members, options: RequestOptions, continuation: Continuation = {}
): Promise<Answer> {
  const own = [...members]
  const isModern = client.peer?.era.kind === 'modern'
  let { responses, state } = continuation
  for (let round = 0; round <= maxStateRounds; round++) {
    const inputRequired = await send(round, [
      ...own,
      // A server of an older era is asked anew: what it requested was done elsewhere.
      ...(isModern && responses !== undefined ? [['inputResponses', responses] as const] : []),
      ...(isModern && state !== undefined ? [['requestState', state] as const] : [])
    ])
    if ('result' in inputRequired) return inputRequired
    const { requests, state: nextState } = inputRequired.inputRequired
    if (requests !== '{}' || nextState === undefined) return inputRequired
    responses = undefined
    state = nextState
  }
  throw new UnusableAnswerError(`it gave its state back ${maxStateRounds} times, and no result`)

  async function send (round: number, members: Members): Promise<Answer> {
    try {
      const result = await client.request(method, members, options)
      const requested = inputRequestsIn(result)
      return requested === null ? { result } : { inputRequired: requested }
    } catch (error) {
      // The server got an earlier round, so it may have acted.
      if (error instanceof NotSentError && round > 0) throw new ConnectionClosedError(String(error.cause))
      const requested = urlElicitationIn(error)
      if (requested === null) throw error
      return { inputRequired: requested }
    }
  }
}

/** The input schema that a tool has now. */
async function currentSchema (
  client: ProtocolClient, name: string, bounds: ServerBounds, options: RequestOptions
): Promise<unknown> {
  const { items } = await readPages('tools', bounds, cursor =>
    client.request(listKinds.tools.method, cursorMember(cursor), options))
  return items.find(({ value }) => value.name === name)?.value.inputSchema
}
