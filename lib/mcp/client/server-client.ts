import {
  type CallToolResult,
  type Client,
  type CompleteResult,
  type GetPromptResult,
  isInputRequiredResult,
  LOG_LEVEL_META_KEY,
  type LoggingMessageNotification,
  type Progress,
  type Prompt,
  ProtocolError,
  ProtocolErrorCode,
  type ReadResourceResult,
  type RequestOptions,
  type Resource,
  type ResourceTemplateType,
  type ServerCapabilities,
  type Tool
} from '@modelcontextprotocol/client'
import {
  CompletionRefusedError,
  PromptArgumentsError,
  ToolArgumentsError,
  UnknownResourceError
} from '../../errors.ts'
import type { JsonObject } from '../../json.ts'

export interface RequestLimits {
  /** How long the answer may take in all (ms). */
  timeoutMs: number
  /** Aborts when nobody waits for the answer any more; the server gets a cancellation. */
  signal: AbortSignal
  /** Values that an error's sentence must not hold, beside those that the client knows. */
  secrets?: readonly unknown[]
  /** Called when the server is connected and the list is requested: the caller's own deadline starts then. */
  onSent?: () => void
}

/** A caller follows a call while it runs. */
export interface Watcher {
  onProgress: (progress: Progress) => void
  /**
   * Gets log messages. Never called for a server that several callers share: nothing says which call they are about.
   */
  onLog: (message: LoggingMessageNotification['params']) => void
  /**
   * How long the server may be silent (ms): each progress notification starts it anew. The call's `timeoutMs` stays
   * what it is.
   */
  inactivityMs: number
}

export interface ToolRequest {
  name: string
  args: JsonObject
  /** The tool as its server lists it, for a tool that wants arguments repeated in headers; see `x-mcp-header`. */
  definition?: Tool
  watcher?: Watcher
  /** Resumes a call that the server answered with input requests. */
  continuation?: { responses: JsonObject; state?: string }
}

export interface InputRequests {
  /** The requests, by keys of the server. */
  requests: JsonObject
  /** The server's own state, to be given back unchanged. */
  state?: string
}

export type ToolAnswer = { result: CallToolResult } | { inputRequired: InputRequests }

export interface Listed<Item> {
  items: Item[]
  /** How long the server lets its list be remembered (ms), when it says so. */
  ttlMs?: number
}

export type Reference = { type: 'ref/prompt'; name: string } | { type: 'ref/resource'; uri: string }

/**
 * An MCP server, for one request of ours.
 *
 * Rejections are errors of lib/errors.ts. Their messages quote the server, bounded, with the secrets masked.
 */
export interface ServerClient {
  readonly serverName: string
  /** The server's own instructions, when it has some. */
  instructions: (limits: RequestLimits) => Promise<string | undefined>
  /** All of them, every page; none when the server has no such thing. */
  listTools: (limits: RequestLimits) => Promise<Listed<Tool>>
  listResources: (limits: RequestLimits) => Promise<Listed<Resource>>
  listResourceTemplates: (limits: RequestLimits) => Promise<Listed<ResourceTemplateType>>
  listPrompts: (limits: RequestLimits) => Promise<Listed<Prompt>>
  callTool: (request: ToolRequest, limits: RequestLimits) => Promise<ToolAnswer>
  readResource: (uri: string, limits: RequestLimits) => Promise<ReadResourceResult>
  getPrompt: (name: string, args: Record<string, string>, limits: RequestLimits) => Promise<GetPromptResult>
  complete: (
    reference: Reference,
    argument: { name: string; value: string },
    context: Record<string, string>,
    limits: RequestLimits
  ) => Promise<CompleteResult>
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
  /** Called when the server's lists are not what was remembered. */
  onListChanged: () => void
  instructions: (limits: RequestLimits) => Promise<string | undefined>
  /** Makes a request with a client that is connected, and translates its failure. */
  request: <Value>(
    description: RequestDescription,
    limits: RequestLimits,
    send: (client: Client, options: RequestOptions) => Promise<Value>
  ) => Promise<Value>
}

/** A server whose list has more pages than this has lost count. */
const maxPages = 1_000

/** The requests of a server client, whatever its server is reached through. */
export function createServerClient (connection: ServerConnection): ServerClient {
  const { request } = connection

  function listAll<Item> (kind: ListKind, limits: RequestLimits): Promise<Listed<Item>> {
    return request({ what: `the list of ${kind.what}` }, limits, async (client, options) => {
      limits.onSent?.()
      if (lacks(client, kind.capability)) return { items: [] }
      const deadline = performance.now() + limits.timeoutMs
      const leftMs = () => Math.max(1, Math.ceil(deadline - performance.now()))
      const fetchPage = async (cursor?: string) =>
        (await kind.fetchPage(client, cursor, {
          ...options,
          timeout: cursor === undefined ? limits.timeoutMs : leftMs()
        })) as Page
      try {
        return await collectPages<Item>(kind.items, fetchPage)
      } catch (error) {
        // The server has none, and did not say so before.
        if (error instanceof ProtocolError && error.code === ProtocolErrorCode.MethodNotFound) return { items: [] }
        throw error
      }
    })
  }

  return {
    serverName: connection.serverName,
    instructions: connection.instructions,
    listTools: limits => listAll(tools, limits),
    listResources: limits => listAll(resources, limits),
    listResourceTemplates: limits => listAll(resourceTemplates, limits),
    listPrompts: limits => listAll(prompts, limits),

    callTool ({ name, args, definition, watcher, continuation }, limits) {
      const refused = (sentence: string) => new ToolArgumentsError(name, sentence)
      const description = { what: `tool ${name}`, refused }
      return request(description, limits, async (client, options) => {
        if (watcher !== undefined && connection.isOwn) {
          client.setNotificationHandler('notifications/message', ({ params }) => watcher.onLog(params))
        }
        const { responses, state } = continuation ?? {}
        const params = {
          name,
          arguments: args,
          ...(watcher !== undefined &&
            client.getProtocolEra() === 'modern' && { _meta: { [LOG_LEVEL_META_KEY]: 'info' } }),
          ...(responses !== undefined && { inputResponses: responses }),
          ...(state !== undefined && { requestState: state })
        }
        const callOptions = {
          ...options,
          ...(watcher !== undefined && watched(watcher, limits)),
          allowInputRequired: true
        }
        const answer: unknown = await callWithHeaders({ definition, onChanged: connection.onListChanged }, headers =>
          client.callTool(params, { ...callOptions, ...headers })
        )
        // callTool promises this type where no input is requested.
        if (!isInputRequiredResult(answer)) return { result: answer as CallToolResult }
        const { inputRequests = {}, requestState } = answer
        const ownState = requestState === undefined ? {} : { state: requestState }
        return { inputRequired: { requests: inputRequests, ...ownState } }
      })
    },

    readResource (uri, limits) {
      const description = {
        what: `resource ${uri}`,
        refused: (sentence: string) => new UnknownResourceError(uri, sentence)
      }
      // The client must not remember for one caller what its server gave another.
      return request(description, limits, (client, options) =>
        client.readResource({ uri }, { ...options, cacheMode: 'bypass' })
      )
    },

    getPrompt (name, args, limits) {
      const description = {
        what: `prompt ${name}`,
        refused: (sentence: string) => new PromptArgumentsError(name, sentence)
      }
      return request(description, limits, (client, options) => client.getPrompt({ name, arguments: args }, options))
    },

    complete (reference, argument, context, limits) {
      const what = reference.type === 'ref/prompt' ? `prompt ${reference.name}` : `resource template ${reference.uri}`
      const description = {
        what: `a completion for ${what}`,
        refused: (sentence: string) => new CompletionRefusedError(what, sentence)
      }
      return request(description, limits, async (client, options) => {
        if (lacks(client, 'completions')) return { completion: { values: [] } }
        return await client.complete({ ref: reference, argument, context: { arguments: context } }, options)
      })
    }
  }
}

/** The total deadline is a signal's: the client looks at its own only when there is progress. */
function watched ({ onProgress, inactivityMs }: Watcher, { timeoutMs, signal }: RequestLimits): RequestOptions {
  return {
    timeout: Math.min(inactivityMs, timeoutMs),
    resetTimeoutOnProgress: true,
    onprogress: onProgress,
    signal: AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(timeoutMs))]) // which takes no fractions
  }
}

/**
 * A server that misses a header did not act; without the definition, which is no longer its tool's, the client asks
 * for the one of now.
 */
async function callWithHeaders<Answer> (
  { definition, onChanged }: { definition: Tool | undefined; onChanged: () => void },
  call: (options: { toolDefinition?: Tool }) => Promise<Answer>
): Promise<Answer> {
  if (definition === undefined) return await call({})
  try {
    return await call({ toolDefinition: definition })
  } catch (error) {
    if (!(error instanceof ProtocolError) || error.code !== headerMismatch) throw error
    onChanged()
    return await call({})
  }
}

/** @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports#server-validation */
const headerMismatch = -32_020

interface Page {
  nextCursor?: string
  ttlMs?: unknown
  [items: string]: unknown
}

interface ListKind {
  what: string
  capability: keyof ServerCapabilities
  /** The field of a page that has the items. */
  items: string
  fetchPage: (client: Client, cursor: string | undefined, options: RequestOptions) => Promise<unknown>
}

const listKind = (
  method: 'tools/list' | 'resources/list' | 'resources/templates/list' | 'prompts/list',
  kind: Omit<ListKind, 'fetchPage'>
): ListKind => ({
  ...kind,
  // Not the client's own lists: of a session that goes on it does not know what its server can, and gives an empty
  // list.
  fetchPage: (client, cursor, options) =>
    client.request({ method, params: cursor === undefined ? {} : { cursor } }, options)
})

const resources = listKind('resources/list', { what: 'resources', capability: 'resources', items: 'resources' })
const resourceTemplates = listKind('resources/templates/list', {
  what: 'resource templates',
  capability: 'resources',
  items: 'resourceTemplates'
})
const prompts = listKind('prompts/list', { what: 'prompts', capability: 'prompts', items: 'prompts' })
const anyTools = listKind('tools/list', { what: 'tools', capability: 'tools', items: 'tools' })
const tools: ListKind = {
  ...anyTools,
  // In the era of 2026 the client leaves out what may not be called, which is for it to know.
  fetchPage: (client, cursor, options) =>
    client.getProtocolEra() === 'modern'
      ? client.listTools(cursor === undefined ? undefined : { cursor }, { ...options, cacheMode: 'bypass' })
      : anyTools.fetchPage(client, cursor, options)
}

async function collectPages<Item> (key: string, fetchPage: (cursor?: string) => Promise<Page>): Promise<Listed<Item>> {
  const first = await fetchPage()
  const items = [...(first[key] as Item[])] // the client has checked the page against the protocol's schema
  let cursor = first.nextCursor
  for (let pages = 1; cursor !== undefined && pages < maxPages; pages++) {
    const page = await fetchPage(cursor)
    items.push(...(page[key] as Item[]))
    if (page.nextCursor === cursor) break // a server that makes no progress
    cursor = page.nextCursor
  }
  return { items, ...(typeof first.ttlMs === 'number' && { ttlMs: first.ttlMs }) }
}

/** Whether the server has said that it has no such thing. Of a session that goes on, nobody said anything. */
function lacks (client: Client, capability: keyof ServerCapabilities): boolean {
  const capabilities = client.getServerCapabilities()
  return capabilities !== undefined && capabilities[capability] === undefined
}
