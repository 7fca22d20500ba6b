import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { RequestLimits, ServerClient } from '../lib/mcp/client/server-client.ts'
import type { Lease } from '../lib/mcp/server.ts'
import { createUpstreamSlot } from '../lib/sessions/upstream-sessions.ts'
import type { CatalogedServer } from '../lib/tools/cataloged-server.ts'
import type { ServerCatalog } from '../lib/tools/server-catalog.ts'

const kLeases = Symbol('leases')
const kServers = Symbol('servers')

declare module 'fastify' {
  interface FastifyRequest {
    /** The servers that this request may use, the same from its beginning to its end. */
    readonly servers: ServerCatalog
    /** This request's own client of a server. The first call opens it; it is closed when the request is over. */
    mcp: (entry: CatalogedServer) => Promise<ServerClient>
    /** Deadline, abort signal and secrets of a request to a server. */
    limits: (entry: CatalogedServer, kind: 'list' | 'call') => RequestLimits
    [kLeases]: Map<CatalogedServer, Lease> | null
    [kServers]: ServerCatalog | null
  }
}

/** MCP phase: gives a request fresh clients of the MCP servers that it needs, and ends them after the reply. */
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
    const { listMs, callMs } = { ...timeouts, ...spec.timeouts }
    return {
      timeoutMs: kind === 'list' ? listMs : callMs,
      signal: this.callerSignal,
      secrets: Object.values(credentialsOf(this))
    }
  })
  fastify.decorateRequest('mcp', async function (entry) {
    const leases = this[kLeases] ??= new Map()
    const lease = leases.get(entry) ?? leaseFor(this, entry)
    leases.set(entry, lease)
    return await lease.open()
  })

  function leaseFor (request: FastifyRequest, { name, server }: CatalogedServer): Lease {
    const { log } = request
    const keepsSession = server.sessions !== undefined && request.hasSession
    const lease = fastify.leaseServer(server, {
      credentials: credentialsOf(request),
      slot: keepsSession ? createUpstreamSlot(fastify.sessions, request.session, name) : null,
      isWatched: request.wantsEvents,
      // Only at a level that shows them: a server may write more lines than a worker can format.
      ...(['debug', 'trace'].includes(log.level) && {
        onStderrLine: line => log.debug({ server: name, line }, 'mcp server stderr')
      })
    }, request.callerSignal)
    request.defer(() => lease.release())
    return lease
  }

  const credentialsOf = (request: FastifyRequest) => request.hasSession ? request.session.credentials : {}
}, {
  name: 'request-clients',
  dependencies: ['config', 'redis', 'caller-signal', 'after-response', 'server-sent-events', 'session', 'server-runtime']
})
