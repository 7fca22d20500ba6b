import fp from 'fastify-plugin'
import type { FastifyRequest } from 'fastify'
import { type Answers, askAll } from '../lib/ask-all.ts'
import { UnknownToolError } from '../lib/errors.ts'
import type { JsonObject } from '../lib/json.ts'
import type { ServerEntry } from '../lib/server-set.ts'
import { callTool, type ToolReply } from '../lib/tool-call.ts'
import type { ListTools } from '../lib/tool-catalog.ts'

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
    /** Calls a tool for this request's session; see lib/tool-call.ts. */
    callTool: (tool: string, params: JsonObject) => Promise<ToolReply>
  }
}

/** What the requests are about, put together from the chapters before. */
export default fp(async (fastify) => {
  const { sessions, config: { sensitiveParams, cacheResults } } = fastify

  const listThrough = (request: FastifyRequest, entry: ServerEntry): ListTools => () => request.recheckingCredentials(async () => {
    const limits = request.limits(entry, 'list')
    const manager = await request.mcp(entry)
    const listed = await manager.listTools(limits)
    return { ...listed, instructions: await manager.instructions(limits) }
  })

  const audience = (request: FastifyRequest, entry: ServerEntry) => entry.audienceOf(request.hasSession ? request.session.credentials : {})

  fastify.decorateRequest('listTools', async function () {
    const { servers } = this
    const { answers, errors } = await askAll(servers.entries.map(({ name }) => name), async name => {
      const entry = servers.entry(name) as ServerEntry // it is one of them
      return await entry.tools.list(audience(this, entry), listThrough(this, entry))
    })
    return {
      tools: answers.flatMap(({ answer }) => answer.tools),
      instructions: Object.fromEntries(answers.flatMap(({ server, answer }) => answer.instructions === undefined ? [] : [[server, answer.instructions]])),
      errors
    }
  })

  fastify.decorateRequest('callTool', function (tool, params) {
    const entry = this.servers.entryOfTool(tool)
    const reply = entry === null
      ? Promise.reject(new UnknownToolError(tool))
      : this.recheckingCredentials(() => callTool({ session: this.session, tool, params }, {
        sessions,
        findTool: name => entry.tools.find(name, audience(this, entry), listThrough(this, entry)),
        openManager: () => this.mcp(entry),
        limits: this.limits(entry, 'call'),
        sensitiveParams,
        cacheResults,
        onNotCached: err => this.log.warn({ err, tool }, 'the values of a call could not be kept')
      }))
    // A caller who leaves does not end the handler: what it still writes must be done before Redis is let go.
    this.defer(() => reply.catch(() => {}))
    return reply
  })
}, { name: 'tool-calls', dependencies: ['mcp', 'credential-recheck'] })
