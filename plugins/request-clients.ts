import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { abortable } from '../lib/cancellation.ts'
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
    /**
     * Does `work` with that client for other requests, too. The client stays open until the work is done or `signal` aborts,
     * even when this request is over before.
     */
    withClient: <Value>(
      server: CatalogedServer, signal: AbortSignal, work: (client: ServerClient) => Promise<Value>
    ) => Promise<Value>
    /** What a question to a server is bound to. */
    limits: (entry: CatalogedServer, kind: 'list' | 'call') => RequestLimits
    [kLeases]: Map<CatalogedServer, HeldLease> | null
    [kServers]: ServerCatalog | null
  }
}

/** A lease, and the work through it that other requests wait for, too. */
interface HeldLease { lease: Lease, uses: Set<Promise<unknown>> }

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
    return await leaseOf(this, entry).lease.open()
  })
  fastify.decorateRequest('withClient', async function (server, signal, work) {
    const { lease, uses } = leaseOf(this, server)
    const use = abortable(lease.open().then(work), signal)
    uses.add(use)
    try {
      return await use
    } finally {
      uses.delete(use)
    }
  })

  function leaseOf (request: FastifyRequest, server: CatalogedServer): HeldLease {
    const leases = request[kLeases] ??= new Map()
    const held = leases.get(server) ?? leaseFor(request, server)
    leases.set(server, held)
    return held
  }

  function leaseFor (request: FastifyRequest, { name, server }: CatalogedServer): HeldLease {
    const { log } = request
    const uses = new Set<Promise<unknown>>()
    const abandoned = new AbortController()
    const lease = server.lease({
      credentials: credentialsOf(request),
      slot: server.keepsSessions && request.hasSession ? createUpstreamSlot(fastify.sessions, request.session, name) : null,
      isWatched: request.wantsEvents,
      // Only when somebody reads it: a server may write far more than anybody wants to format.
      ...(['debug', 'trace'].includes(log.level) && { onStderrLine: line => log.debug({ server: name, line }, 'mcp server stderr') })
    }, abandoned.signal)
    request.defer(async () => {
      await Promise.allSettled(uses)
      if (request.callerSignal.aborted) abandoned.abort()
      await lease.release()
    })
    return { lease, uses }
  }

  const credentialsOf = (request: FastifyRequest) => request.hasSession ? request.session.credentials : {}
}, { name: 'request-clients', dependencies: ['server-runtime', 'session', 'caller-signal', 'after-response', 'server-sent-events'] })
