import { CompletionRefusedError, PromptArgumentsError, ToolArgumentsError, UnknownResourceError } from '../../errors.ts'
import { isJsonObject } from '../../json.ts'
import { presentMember, stringMember, textOf } from '../../json-text.ts'
import { type Listed, listKinds, type ListName, readPages } from './list-pages.ts'
import { parameterHeaders } from './parameter-headers.ts'
import { errorCodes, metaKeys } from './protocol.ts'
import type { Members, ProtocolClient, RequestOptions } from './protocol-client.ts'
import { RequestTimeoutError, RpcError } from './protocol-errors.ts'
import type { RpcValue } from './rpc-message.ts'

export interface RequestLimits {
  /** How long the answer may take in all (ms). */
  timeoutMs: number
  /** Aborts when nobody waits for the answer any more; the server is told. */
  signal: AbortSignal
  /** Values that an error's sentence must not hold, beside those that the client knows of. */
  secrets?: readonly unknown[]
  /** W3C trace context of the caller: `_meta` members as JSON texts by key. */
  trace?: Members
}

/** A caller follows a call while it runs. The values are the server's own, within its messages. */
export interface Watcher {
  onProgress: (progress: RpcValue) => void
  /** Gets log messages. Never called for a server that several callers share: nothing says which call they are about. */
  onLog: (message: RpcValue) => void
  /** How long the server may be silent (ms): each progress notification starts it anew. `timeoutMs` stays as it is. */
  inactivityMs: number
}

export interface ToolRequest {
  name: string
  /** The arguments: the JSON text of an object. */
  args: string
  /** The tool's input schema, for a tool that wants arguments repeated in headers; see `x-mcp-header`. */
  inputSchema?: unknown
  watcher?: Watcher
  /** Goes on with a call that the server answered with requests for input. */
  continuation?: Continuation
}

export interface Continuation {
  /** Answers by the server's own ids: the JSON text of an object. */
  responses?: string
  /** The server's own state, to be given back as it is: JSON text. */
  state?: string
}

/** A server asks for input before it goes on. */
export interface InputRequests {
  /** Requests by ids of the server: the JSON text of an object. */
  requests: string
  state?: string
}

/** The answer to a request that a server may answer with requests for input. */
export type Answer = { result: RpcValue } | { inputRequired: InputRequests }

export type Reference = { type: 'ref/prompt', name: string } | { type: 'ref/resource', uri: string }

/**
 * An MCP server, for one request of ours.
 *
 * Rejections are errors of lib/errors.ts; their messages quote what the server said, bounded, with the secrets masked.
 */
export interface ServerClient {
  readonly serverName: string
  /** What the server says of its own use, when it says something. */
  instructions: (limits: RequestLimits) => Promise<string | undefined>
  /** All items, every page; none when the server has no such list. */
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
  /** The error when the server refuses what it was given, from its own sentence. Without it, that is a failure like any other. */
  refused?: (sentence: string) => Error
}

/** How a server client reaches its server. */
export interface ServerConnection {
  readonly serverName: string
  /** Whether the protocol client is this request's alone, so that all that it hears is for this request. */
  readonly isOwn: boolean
  /** The server's lists are not what was remembered. */
  onListChanged: () => void
  instructions: (limits: RequestLimits) => Promise<string | undefined>
  /** Makes a request with a client that is connected, and translates its failure. */
  request: <Value>(
    description: RequestDescription, limits: RequestLimits, work: (client: ProtocolClient) => Promise<Value>
  ) => Promise<Value>
}

/** A server that did not declare a list may not know its method, and then may not answer at all (ms). */
const undeclaredTimeoutMs = 5_000
/** How often a server may answer with nothing but a state to be given back. */
const maxStateRounds = 10

/** What a server client does, whatever its server is reached through. */
export function createServerClient (connection: ServerConnection): ServerClient {
  const request = connection.request

  const optionsOf = ({ timeoutMs, signal, trace }: RequestLimits): RequestOptions =>
    ({ timeoutMs, signal, ...(trace && { meta: trace }) })

  /** Gives a server its state back until it answers, or asks for input. */
  async function ask (
    client: ProtocolClient, method: string, members: Members, options: RequestOptions, continuation: Continuation = {}
  ): Promise<Answer> {
    const own = [...members]
    let { responses, state } = continuation
    for (let round = 0; ; round++) {
      const answer = await client.request(method, [
        ...own,
        ...(responses === undefined ? [] : [['inputResponses', responses] as const]),
        ...(state === undefined ? [] : [['requestState', state] as const])
      ], options)
      const inputRequired = readInputRequests(answer)
      if (inputRequired === null) return { result: answer }
      if (inputRequired.requests !== '{}' || inputRequired.state === undefined || round === maxStateRounds) {
        return { inputRequired }
      }
      responses = undefined
      state = inputRequired.state
    }
  }

  return {
    serverName: connection.serverName,
    instructions: connection.instructions,

    list (list, limits) {
      const { method, capability, what } = listKinds[list]
      return request({ what: `the list of ${what}` }, limits, async client => {
        const deadline = performance.now() + limits.timeoutMs
        const isDeclared = declares(client, capability)
        const firstMs = isDeclared === false ? Math.min(limits.timeoutMs, undeclaredTimeoutMs) : limits.timeoutMs
        const options = optionsOf(limits)
        try {
          return await readPages(list, cursor => client.request(method, cursor === null ? [] : [['cursor', cursor]], {
            ...options,
            timeoutMs: cursor === null ? firstMs : Math.max(1, Math.ceil(deadline - performance.now()))
          }))
        } catch (error) {
          const lacksMethod = error instanceof RpcError && error.code === errorCodes.methodNotFound
          const lacksList = isDeclared === false && (error instanceof RpcError || error instanceof RequestTimeoutError)
          if (lacksMethod || lacksList) return { items: [], warnings: [] }
          throw error
        }
      })
    },

    callTool ({ name, args, inputSchema, watcher, continuation }, limits) {
      const description = {
        what: `tool ${name}`, refused: (sentence: string) => new ToolArgumentsError(name, sentence)
      }
      return request(description, limits, async client => {
        if (watcher !== undefined && connection.isOwn) client.onLog(watcher.onLog)
        const { trace = [] } = limits
        const isModern = client.peer?.era.kind === 'modern'
        const options: RequestOptions = {
          ...optionsOf(limits),
          ...(watcher !== undefined && {
            inactivityMs: watcher.inactivityMs,
            onProgress: watcher.onProgress,
            ...(isModern && { meta: [...trace, [metaKeys.logLevel, '"info"'] as const] })
          })
        }
        const members = [['name', JSON.stringify(name)], ['arguments', args]] as const
        const call = (headers?: Record<string, string>) =>
          ask(client, 'tools/call', members, { ...options, ...(headers && { headers }) }, continuation)
        if (!isModern || inputSchema === undefined) return await call()
        try {
          return await call(parameterHeaders(inputSchema, args))
        } catch (error) {
          // The server did not act; its tool wants other headers than those of the schema that was remembered.
          if (!(error instanceof RpcError) || error.code !== errorCodes.headerMismatch) throw error
          connection.onListChanged()
          return await call(parameterHeaders(await currentSchema(client, name, optionsOf(limits)), args))
        }
      })
    },

    readResource (uri, limits, continuation) {
      const description = {
        what: `resource ${uri}`, refused: (sentence: string) => new UnknownResourceError(uri, sentence)
      }
      return request(description, limits, client =>
        ask(client, 'resources/read', [['uri', JSON.stringify(uri)]], optionsOf(limits), continuation))
    },

    getPrompt (name, args, limits, continuation) {
      const description = {
        what: `prompt ${name}`, refused: (sentence: string) => new PromptArgumentsError(name, sentence)
      }
      const members = [['name', JSON.stringify(name)], ['arguments', args]] as const
      return request(description, limits, client => ask(client, 'prompts/get', members, optionsOf(limits), continuation))
    },

    complete (reference, argument, context, limits) {
      const what = reference.type === 'ref/prompt' ? `prompt ${reference.name}` : `resource template ${reference.uri}`
      const description = {
        what: `a completion for ${what}`, refused: (sentence: string) => new CompletionRefusedError(what, sentence)
      }
      return request(description, limits, async client => {
        try {
          const { document, node } = await client.request('completion/complete', [
            ['ref', JSON.stringify(reference)], ['argument', argument], ['context', `{"arguments":${context}}`]
          ], optionsOf(limits))
          const completion = presentMember(node, 'completion')
          return completion === null ? noCompletion : textOf(document, completion)
        } catch (error) {
          if (error instanceof RpcError && error.code === errorCodes.methodNotFound) return noCompletion
          throw error
        }
      })
    }
  }
}

const noCompletion = '{"values":[]}'

/** `null` for an answer that is complete. */
function readInputRequests ({ document, node }: RpcValue): InputRequests | null {
  if (stringMember(document, node, 'resultType') !== 'input_required') return null
  const requests = presentMember(node, 'inputRequests')
  const state = presentMember(node, 'requestState')
  return {
    requests: requests === null ? '{}' : textOf(document, requests),
    ...(state !== null && { state: textOf(document, state) })
  }
}

/** The input schema that a tool has now. */
async function currentSchema (client: ProtocolClient, name: string, options: RequestOptions): Promise<unknown> {
  const { items } = await readPages('tools', cursor =>
    client.request(listKinds.tools.method, cursor === null ? [] : [['cursor', cursor]], options))
  return items.find(({ value }) => value.name === name)?.value.inputSchema
}

/** Whether the server has said that it has a thing; `null` where it said nothing, as in a session that goes on. */
function declares ({ peer }: ProtocolClient, capability: string): boolean | null {
  return peer?.capabilities === undefined ? null : isJsonObject(peer.capabilities) && (peer.capabilities[capability] ?? null) !== null
}

