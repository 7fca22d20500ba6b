import fp from 'fastify-plugin'
import type { FastifyRequest } from 'fastify'
import { type Answers, requestAll } from '../lib/tools/all-servers.ts'
import { UnknownContinuationError, UnknownToolError } from '../lib/errors.ts'
import type { EventWriter } from '../lib/http/event-stream.ts'
import type { JsonObject } from '../lib/json.ts'
import type { CatalogedServer } from '../lib/tools/server-catalog.ts'
import { callTool, continueCall, type ToolCallContext, type ToolReply } from '../lib/tools/call-tool.ts'
import type { ListTools } from '../lib/tools/tool-catalog.ts'

export interface ListedTools {
  /** As callers see them, server by server. */
  tools: JsonObject[]
  /** What the servers say of their own use, by server. */
  instructions: Record<string, string>
  /** Why a server's tools are not among them. */
  errors: Answers<unknown>['errors']
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The tools that there are, from memory or from the servers. */
    listTools: () => Promise<ListedTools>
    /** Calls a tool for this request's session, or goes on with a call; see lib/tool-call.ts. */
    callTool: (call: ToolCallRequest) => Promise<ToolReply>
  }
}

export interface ToolCallRequest {
  tool?: string
  params?: JsonObject | null
  /** How long the tool may take (s), where that is less than the settings say. */
  timeout?: number
  /** Token of a call that goes on, and what its server is answered. */
  continue?: string
  responses?: JsonObject
  /** Told of what happens while the tool runs. */
  events?: Pick<EventWriter, 'tell'>
}

/** What the requests are about, put together from the chapters before. */
export default fp(async (fastify) => {
  const { sessions, config: { sensitiveParams, cacheResults, elicitation } } = fastify

  const listThrough = (request: FastifyRequest, entry: CatalogedServer): ListTools => () => request.recheckingCredentials(async () => {
    const limits = request.limits(entry, 'list')
    const manager = await request.mcp(entry)
    const listed = await manager.listTools(limits)
    return { ...listed, instructions: await manager.instructions(limits) }
  })

  const audience = (request: FastifyRequest, entry: CatalogedServer) => entry.audienceOf(request.hasSession ? request.session.credentials : {})

  fastify.decorateRequest('listTools', async function () {
    const { servers } = this
    const { answers, errors } = await requestAll(servers.entries, entry => entry.tools.list(audience(this, entry), listThrough(this, entry)))
    return {
      tools: answers.flatMap(({ answer }) => answer.tools),
      instructions: Object.fromEntries(answers.flatMap(({ server, answer }) => answer.instructions === undefined ? [] : [[server, answer.instructions]])),
      errors
    }
  })

  fastify.decorateRequest('callTool', function (call) {
    const reply = call.continue === undefined ? begin(this, call) : goOn(this, call, call.continue)
    reply.then(({ outcome }) => this.audit({ outcome }), () => {}) // a failure is told by its code
    // A caller who leaves does not end the handler: what it still writes must be done before Redis is let go.
    this.defer(() => reply.catch(() => {}))
    return reply
  })

  async function begin (request: FastifyRequest, { tool = '', params, ...options }: ToolCallRequest): Promise<ToolReply> {
    const entry = request.servers.entryOfTool(tool)
    if (entry === null) throw new UnknownToolError(tool)
    return await request.recheckingCredentials(() =>
      callTool({ session: request.session, tool, params: params ?? {} }, contextOf(request, entry, tool, options)))
  }

  async function goOn (request: FastifyRequest, { responses = {}, ...options }: ToolCallRequest, token: string): Promise<ToolReply> {
    const pending = await fastify.pendingCalls.take(request.session, token)
    const entry = pending && request.servers.entryOfTool(pending.tool)
    if (pending === null || entry === null) throw new UnknownContinuationError()
    return await request.recheckingCredentials(() =>
      continueCall(request.session, pending, responses, contextOf(request, entry, pending.tool, options)))
  }

  function contextOf (request: FastifyRequest, entry: CatalogedServer, tool: string, { timeout, events }: ToolCallRequest): ToolCallContext {
    const limits = request.limits(entry, 'call')
    const timeoutMs = Math.min(limits.timeoutMs, timeout === undefined ? Infinity : timeout * 1000)
    return {
      sessions,
      questions: elicitation ? fastify.pendingCalls : null,
      async findTool (name) {
        const found = await entry.tools.find(name, audience(request, entry), listThrough(request, entry))
        // Of a name that is no tool's nobody knows what it is.
        if (found !== null) request.audit({ tool: name, server: entry.name })
        return found
      },
      openManager: () => request.mcp(entry),
      limits: { ...limits, timeoutMs },
      ...(events && {
        watcher: {
          onProgress: progress => events.tell('progress', progress),
          onLog: message => events.tell('log', message),
          inactivityMs: request.limits(entry, 'list').timeoutMs
        }
      }),
      sensitiveParams,
      cacheResults,
      onNotCached: err => request.log.warn({ err, tool }, 'the values of a call could not be kept')
    }
  }
}, { name: 'tool-calls', dependencies: ['mcp', 'credential-recheck', 'audit'] })
