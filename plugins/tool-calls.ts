import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { UnknownContinuationError, UnknownToolError } from '../lib/errors.ts'
import type { EventWriter } from '../lib/http/event-stream.ts'
import type { JsonObject } from '../lib/json.ts'
import type { Watcher } from '../lib/mcp/client/server-client.ts'
import { createToolCaller, type PreparedCall, type ToolReply } from '../lib/tools/call-tool.ts'
import type { CatalogedServer } from '../lib/tools/cataloged-server.ts'
import type { CatalogTool } from '../lib/tools/tool-catalog.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Calls a tool for this request's session, or resumes a call that waits for input. */
    callTool: (call: ToolCallRequest) => Promise<ToolReply>
  }
}

export interface ToolCallRequest {
  tool?: string
  params?: JsonObject | null
  /** How long the tool may take (s), where that is less than the settings say. */
  timeout?: number
  /** Token of the call to resume, and the responses to its server's input requests. */
  continue?: string
  responses?: JsonObject
  /** Receives what happens while the tool runs. */
  events?: Pick<EventWriter, 'send'>
}

/** Calls the tools of the MCP servers. */
export default fp(async (fastify) => {
  const { sessions, pendingCalls, config: { sensitiveParams, cacheResults, elicitation } } = fastify
  const caller = createToolCaller({
    sessions,
    pendingCalls: elicitation ? pendingCalls : null,
    sensitiveParams,
    cacheResults
  })

  fastify.decorateRequest('callTool', function (call) {
    const reply = call.continue === undefined ? begin(this, call) : resume(this, call, call.continue)
    reply.then(({ outcome }) => this.audit({ outcome }), () => {}) // the audit log has a failure's code already
    // The handler goes on when its caller leaves: what it still writes must be done before Redis is closed.
    this.defer(() => reply.catch(() => {}))
    return reply
  })

  async function begin (request: FastifyRequest, call: ToolCallRequest): Promise<ToolReply> {
    const { tool: exposedName = '', params } = call
    const server = request.servers.byExposedName(exposedName)
    const tool = server && await findTool(request, server, exposedName)
    if (server === null || tool === null) throw new UnknownToolError(exposedName)
    const { session } = request
    return await run(request, server, await caller.prepare({ session, exposedName, tool, params: params ?? {} }), call)
  }

  async function resume (request: FastifyRequest, call: ToolCallRequest, token: string): Promise<ToolReply> {
    const { session } = request
    const pending = await pendingCalls.take(session, token)
    if (pending === null) throw new UnknownContinuationError()
    const { tool: exposedName } = pending
    const server = request.servers.byExposedName(exposedName)
    const tool = server && await findTool(request, server, exposedName)
    if (server === null || tool === null) throw new UnknownContinuationError()
    const prepared = caller.resume({ session, exposedName, tool }, pending, call.responses ?? {})
    return await run(request, server, prepared, call)
  }

  async function findTool (
    request: FastifyRequest, server: CatalogedServer, exposedName: string
  ): Promise<CatalogTool | null> {
    const tool = await request.findTool(server, exposedName)
    // Log only names of tools that exist; an unknown name may hold anything.
    if (tool !== null) request.audit({ tool: exposedName, server: server.name })
    return tool
  }

  async function run (
    request: FastifyRequest,
    server: CatalogedServer,
    call: PreparedCall,
    { timeout = Infinity, events }: ToolCallRequest
  ): Promise<ToolReply> {
    return await request.useServer(server, 'call', (client, limits) => caller.run(call, {
      client,
      limits: { ...limits, timeoutMs: Math.min(limits.timeoutMs, timeout * 1000) },
      watcher: events && createWatcher(events, request.limits(server, 'list').timeoutMs),
      onNotCached: err => request.log.warn({ err, tool: call.exposedName }, 'the values of a call could not be kept')
    }))
  }
}, {
  name: 'tool-calls',
  dependencies: [
    'config', 'redis', 'audit', 'after-response', 'session', 'request-clients', 'server-requests'
  ]
})

/** Passes on what a server says while a tool runs. */
const createWatcher = (events: Pick<EventWriter, 'send'>, inactivityMs: number): Watcher => ({
  onProgress: progress => events.send('progress', progress),
  onLog: message => events.send('log', message),
  inactivityMs
})
