import {
  type CallToolResult, type Client, type CompleteResult, type GetPromptResult, isInputRequiredResult, LOG_LEVEL_META_KEY, type LoggingMessageNotification,
  type Progress, type Prompt, ProtocolError, ProtocolErrorCode, type ReadResourceResult, type RequestOptions, type Resource, type ResourceTemplateType, type ServerCapabilities, type Tool
} from '@modelcontextprotocol/client'
import { CompletionRefusedError, PromptArgumentsError, ToolArgumentsError, UnknownResourceError } from '../../errors.ts'
import type { JsonObject } from '../../json.ts'

export interface RequestLimits {
  /** How long the answer may take in all (ms). */
  timeoutMs: number
  /** Aborts when nobody waits for the answer any more; the server is told. */
  signal: AbortSignal
  /** Values that a rejection's sentence must not hold, beside those that the manager knows of. */
  secrets?: readonly unknown[]
  /** Called when the server is connected and the request for a list is sent: a deadline of the caller's own starts then. */
  onSent?: () => void
}

/** Somebody follows a call while it runs. */
export interface Watcher {
  onProgress: (progress: Progress) => void
  /** A log message of the server. Never called by a server that several callers share: nothing says whom it is about. */
  onLog: (message: LoggingMessageNotification['params']) => void
  /** How long the server may be silent (ms): each progress notification starts it anew. The call's `timeoutMs` stays what it is. */
  inactivityMs: number
}

export interface ToolRequest {
  name: string
  args: JsonObject
  /** The tool as its server lists it, for a tool that wants arguments repeated in headers; see `x-mcp-header`. */
  definition?: Tool
  watcher?: Watcher
  /** Goes on with a call that the server answered with questions. */
  continuation?: { responses: JsonObject, state?: string }
}

export interface InputRequests {
  /** What the server wants to know, by keys of its own. */
  requests: JsonObject
  /** The server's own state, to be given back as it is. */
  state?: string
}

export type ToolAnswer = { result: CallToolResult } | { questions: InputRequests }

export interface Listed<Item> {
  items: Item[]
  /** How long the server lets its list be remembered (ms), when it says so. */
  ttlMs?: number
}

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
  /** All of them, every page; none when the server has no such thing. */
  listTools: (limits: RequestLimits) => Promise<Listed<Tool>>
  listResources: (limits: RequestLimits) => Promise<Listed<Resource>>
  listResourceTemplates: (limits: RequestLimits) => Promise<Listed<ResourceTemplateType>>
  listPrompts: (limits: RequestLimits) => Promise<Listed<Prompt>>
  callTool: (request: ToolRequest, limits: RequestLimits) => Promise<ToolAnswer>
  readResource: (uri: string, limits: RequestLimits) => Promise<ReadResourceResult>
  getPrompt: (name: string, args: Record<string, string>, limits: RequestLimits) => Promise<GetPromptResult>
  complete: (reference: Reference, argument: { name: string, value: string }, context: Record<string, string>, limits: RequestLimits) => Promise<CompleteResult>
}

export interface Asked {
  /** For the sentence of a failure: `tool search`, `the list of tools`. */
  what: string
  /** The error when the server refuses what it was given, from the server's own sentence; left out, that is a failure like any other. */
  refused?: (sentence: string) => Error
}

/** How a manager reaches its server. */
export interface ServerConnection {
  readonly serverName: string
  /** Whether the client is this request's alone, so that all that it hears is for it. */
  readonly isOwn: boolean
  /** Told when a list of tools that was remembered is not the server's any more. */
  onListChanged: () => void
  instructions: (limits: RequestLimits) => Promise<string | undefined>
  /** Makes a request with a client that is connected, and translates its failure. */
  ask: <Value>(asked: Asked, limits: RequestLimits, request: (client: Client, options: RequestOptions) => Promise<Value>) => Promise<Value>
}

/** A server whose list has more pages than this has lost count. */
const maxPages = 1_000

/** What a manager does, whatever its server is reached through. */
export function createServerClient (link: ServerConnection): ServerClient {
  const { ask } = link

  function listAll<Item> (kind: ListKind, limits: RequestLimits): Promise<Listed<Item>> {
    return ask({ what: `the list of ${kind.what}` }, limits, async (client, options) => {
      limits.onSent?.()
      if (lacks(client, kind.capability)) return { items: [] }
      const deadline = performance.now() + limits.timeoutMs
      const leftMs = () => Math.max(1, Math.ceil(deadline - performance.now()))
      const fetchPage = async (cursor?: string) =>
        await kind.fetchPage(client, cursor, { ...options, timeout: cursor === undefined ? limits.timeoutMs : leftMs() }) as Page
      try {
        return await collectPages<Item>(kind.items, fetchPage)
      } catch (error) {
        if (error instanceof ProtocolError && error.code === ProtocolErrorCode.MethodNotFound) return { items: [] } // it lacks them, and nobody had said so
        throw error
      }
    })
  }

  return {
    serverName: link.serverName,
    instructions: link.instructions,
    listTools: limits => listAll(tools, limits),
    listResources: limits => listAll(resources, limits),
    listResourceTemplates: limits => listAll(resourceTemplates, limits),
    listPrompts: limits => listAll(prompts, limits),

    callTool ({ name, args, definition, watcher, continuation }, limits) {
      const asked = { what: `tool ${name}`, refused: (sentence: string) => new ToolArgumentsError(name, sentence) }
      return ask(asked, limits, async (client, options) => {
        if (watcher !== undefined && link.isOwn) client.setNotificationHandler('notifications/message', ({ params }) => watcher.onLog(params))
        const { responses, state } = continuation ?? {}
        const params = {
          name,
          arguments: args,
          ...(watcher !== undefined && client.getProtocolEra() === 'modern' && { _meta: { [LOG_LEVEL_META_KEY]: 'info' } }),
          ...(responses !== undefined && { inputResponses: responses }),
          ...(state !== undefined && { requestState: state })
        }
        const callOptions = { ...options, ...(watcher !== undefined && watched(watcher, limits)), allowInputRequired: true }
        const answer: unknown = await callWithHeaders({ definition, onChanged: link.onListChanged }, headers => client.callTool(params, { ...callOptions, ...headers }))
        if (!isInputRequiredResult(answer)) return { result: answer as CallToolResult } // what callTool promises when nothing is asked
        const { inputRequests = {}, requestState } = answer
        return { questions: { requests: inputRequests, ...(requestState !== undefined && { state: requestState }) } }
      })
    },

    readResource (uri, limits) {
      const asked = { what: `resource ${uri}`, refused: (sentence: string) => new UnknownResourceError(uri, sentence) }
      // Nothing that a server gave one caller is remembered for another.
      return ask(asked, limits, (client, options) => client.readResource({ uri }, { ...options, cacheMode: 'bypass' }))
    },

    getPrompt (name, args, limits) {
      const asked = { what: `prompt ${name}`, refused: (sentence: string) => new PromptArgumentsError(name, sentence) }
      return ask(asked, limits, (client, options) => client.getPrompt({ name, arguments: args }, options))
    },

    complete (reference, argument, context, limits) {
      const what = reference.type === 'ref/prompt' ? `prompt ${reference.name}` : `resource template ${reference.uri}`
      const asked = { what: `a completion for ${what}`, refused: (sentence: string) => new CompletionRefusedError(what, sentence) }
      return ask(asked, limits, async (client, options) => {
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

/** A server that misses a header did not act; without the definition, which is no longer its tool's, the client asks for the one of now. */
async function callWithHeaders<Answer> ({ definition, onChanged }: { definition: Tool | undefined, onChanged: () => void }, call: (options: { toolDefinition?: Tool }) => Promise<Answer>): Promise<Answer> {
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

interface Page { nextCursor?: string, ttlMs?: unknown, [items: string]: unknown }

interface ListKind {
  what: string
  capability: keyof ServerCapabilities
  /** The field of a page that has the items. */
  items: string
  fetchPage: (client: Client, cursor: string | undefined, options: RequestOptions) => Promise<unknown>
}

const listKind = (method: 'tools/list' | 'resources/list' | 'resources/templates/list' | 'prompts/list', kind: Omit<ListKind, 'fetchPage'>): ListKind => ({
  ...kind,
  // Not the client's own lists: of a session that goes on it does not know what its server can, and gives an empty list.
  fetchPage: (client, cursor, options) => client.request({ method, params: cursor === undefined ? {} : { cursor } }, options)
})

const resources = listKind('resources/list', { what: 'resources', capability: 'resources', items: 'resources' })
const resourceTemplates = listKind('resources/templates/list', { what: 'resource templates', capability: 'resources', items: 'resourceTemplates' })
const prompts = listKind('prompts/list', { what: 'prompts', capability: 'prompts', items: 'prompts' })
const anyTools = listKind('tools/list', { what: 'tools', capability: 'tools', items: 'tools' })
const tools: ListKind = {
  ...anyTools,
  // In the era of 2026 the client leaves out what may not be called, which is for it to know.
  fetchPage: (client, cursor, options) => client.getProtocolEra() === 'modern'
    ? client.listTools(cursor === undefined ? undefined : { cursor }, { ...options, cacheMode: 'bypass' })
    : anyTools.fetchPage(client, cursor, options)
}

async function collectPages<Item> (key: string, fetchPage: (cursor?: string) => Promise<Page>): Promise<Listed<Item>> {
  const first = await fetchPage()
  const items = [...first[key] as Item[]] // the client has checked the page against the protocol's schema
  let cursor = first.nextCursor
  for (let pages = 1; cursor !== undefined && pages < maxPages; pages++) {
    const page = await fetchPage(cursor)
    items.push(...page[key] as Item[])
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
