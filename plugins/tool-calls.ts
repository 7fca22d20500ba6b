import fp from 'fastify-plugin'
import type { FastifyRequest } from 'fastify'
import type { JsonObject } from '../lib/json.ts'
import { callTool, type ToolReply } from '../lib/tool-call.ts'
import type { Catalog, ListTools } from '../lib/tool-catalog.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The tools that there are, from memory or from this request's MCP server. */
    listTools: () => Promise<Catalog>
    /** Calls a tool for this request's session; see lib/tool-call.ts. */
    callTool: (tool: string, params: JsonObject) => Promise<ToolReply>
  }
}

/** What the requests are about, put together from the chapters before. */
export default fp(async (fastify) => {
  const { sessions, toolCatalog: catalog, config: { timeouts, sensitiveParams, cacheResults } } = fastify

  const listThrough = (request: FastifyRequest): ListTools => async () => {
    const manager = await request.mcp()
    return { serverName: manager.serverName, ...await manager.listTools({ timeoutMs: timeouts.listMs, signal: request.callerSignal }) }
  }

  fastify.decorateRequest('listTools', function () {
    return catalog.list(listThrough(this))
  })

  fastify.decorateRequest('callTool', function (tool, params) {
    const reply = callTool({ session: this.session, tool, params }, {
      sessions,
      catalog,
      listTools: listThrough(this),
      openManager: () => this.mcp(),
      limits: { timeoutMs: timeouts.callMs, signal: this.callerSignal },
      sensitiveParams,
      cacheResults,
      onNotCached: err => this.log.warn({ err, tool }, 'the values of a call could not be kept')
    })
    // A caller who leaves does not end the handler: what it still writes must be done before Redis is let go.
    this.defer(() => reply.catch(() => {}))
    return reply
  })
}, { name: 'tool-calls', dependencies: ['mcp'] })
