import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { ServerClient, RequestLimits } from '../lib/mcp/client/server-client.ts'
import type { Lease } from '../lib/mcp/server.ts'
import type { CatalogedServer } from '../lib/tools/cataloged-server.ts'
import type { ServerCatalog } from '../lib/tools/server-catalog.ts'
import { createUpstreamSlot } from '../lib/sessions/upstream-sessions.ts'

const kLeases = Symbol('leases')
const kServers = Symbol('servers')

declare module 'fastify' {
  interface FastifyRequest {
    /** The servers that this request may use, the same from its beginning to its end. */
    readonly servers: ServerCatalog
    /** This request's own MCP manager of a server, opened when first asked for, closed when the request is over. */
    mcp: (entry: CatalogedServer) => Promise<ServerClient>
    /** What a question to a server is bound to. */
    limits: (entry: CatalogedServer, kind: 'list' | 'call') => RequestLimits
    [kLeases]: Map<CatalogedServer, Lease> | null
    [kServers]: ServerCatalog | null
  }
}

/** Third chapter of a request: a fresh MCP manager, only for those that need one, and for nobody after. */
export default fp(async (fastify) => {
  const { config: { timeouts } } = fastify

  fastify.decorateRequest(kLeases, null)
  fastify.decorateRequest(kServers, null)
  fastify.decorateRequest('servers', {
    getter () {
      this[kServers] ??= fastify.serverCatalog()
      return this[kServers]
    }
  })
  fastify.decorateRequest('limits', function ({ server: { spec } }, kind) {
    const timeoutMs = kind === 'list' ? spec.timeouts.listMs ?? timeouts.listMs : spec.timeouts.callMs ?? timeouts.callMs
    return { timeoutMs, signal: this.callerSignal, secrets: Object.values(credentialsOf(this)) }
  })
  fastify.decorateRequest('mcp', async function (entry) {
    const leases = this[kLeases] ??= new Map()
    const lease = leases.get(entry) ?? leaseFor(this, entry)
    leases.set(entry, lease)
    return await lease.open()
  })

  function leaseFor (request: FastifyRequest, { name, server }: CatalogedServer): Lease {
    const { log } = request
    const lease = server.lease({
      credentials: credentialsOf(request),
      slot: server.keepsSessions && request.hasSession ? createUpstreamSlot(fastify.sessions, request.session, name) : null,
      isWatched: request.wantsEvents,
      // Only when somebody reads it: a server may write far more than anybody wants to format.
      ...(['debug', 'trace'].includes(log.level) && { onStderrLine: line => log.debug({ server: name, line }, 'mcp server stderr') })
    }, request.callerSignal)
    request.defer(() => lease.release())
    return lease
  }

  const credentialsOf = (request: FastifyRequest) => request.hasSession ? request.session.credentials : {}
}, {
  name: 'request-clients',
  dependencies: ['config', 'redis', 'caller-signal', 'after-response', 'server-sent-events', 'session', 'server-runtime']
})
