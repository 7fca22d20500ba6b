import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { abortable, Cancellation, type CancelSignal } from '../lib/cancellation.ts'
import { traceContext } from '../lib/http/trace-context.ts'
import type { RequestLimits, ServerClient } from '../lib/mcp/client/server-client.ts'
import type { Lease, Patience, Priority } from '../lib/mcp/server.ts'
import { createUpstreamSlot } from '../lib/sessions/upstream-sessions.ts'
import type { CatalogedServer } from '../lib/tools/cataloged-server.ts'
import type { ServerCatalog } from '../lib/tools/server-catalog.ts'
import { createUses, type Uses } from '../lib/uses.ts'

const kLeases = Symbol('leases')
const kServers = Symbol('servers')
const kTurn = Symbol('turn')

declare module 'fastify' {
  interface FastifyRequest {
    /** The servers that this request may use, the same from its beginning to its end. */
    readonly servers: ServerCatalog
    /**
     * Says how this request waits for its turn at servers, before it uses the first. A call waits for as long as its
     * tool may take. What is not said waits as a call does, for MCP_QUEUE_TIMEOUT.
     */
    setTurn: (turn: Turn) => void
    /**
     * This request's own client of a server. The first call opens it, in a call slot of the session; it is closed when
     * the request is over.
     */
    mcp: (server: CatalogedServer) => Promise<ServerClient>
    /**
     * Does `work` with that client for other requests, too. The client stays open until the work is done or `signal`
     * aborts, even when this request is over before.
     */
    withClient: <Value>(
      server: CatalogedServer, signal: CancelSignal, work: (client: ServerClient) => Promise<Value>
    ) => Promise<Value>
    /** How this request waits for its turn at a server. */
    patience: (server: CatalogedServer) => Patience
    /** Another request waits for what this one uses a server for; see Lease. */
    joinClient: (server: CatalogedServer, patience: Patience, signal: CancelSignal) => void
    /** Deadline, abort signal, secrets and trace context of a request to a server. */
    limits: (server: CatalogedServer, kind: 'list' | 'call') => RequestLimits
    [kLeases]: Map<CatalogedServer, HeldLease> | null
    [kServers]: ServerCatalog | null
    [kTurn]: Turn | null
  }
}

/** How a request waits for its turn. */
interface Turn {
  priority: Exclude<Priority, 'background'>
  /** The tool's deadline where the caller says one that is shorter than the settings' (ms); `null` for no tool. */
  callTimeoutMs: number | null
}

/** A lease, and the work through it that other requests wait for, too. */
interface HeldLease { lease: Lease, uses: Uses }

/** MCP phase: gives a request fresh clients of the MCP servers that it needs, and ends them after the reply. */
export default fp(async (fastify) => {
  const { config: { timeouts, processes: { queueTimeoutMs } } } = fastify

  fastify.decorateRequest(kLeases, null)
  fastify.decorateRequest(kServers, null)
  fastify.decorateRequest(kTurn, null)
  fastify.decorateRequest('setTurn', function (turn) {
    this[kTurn] = turn
  })
  fastify.decorateRequest('patience', function (server) {
    const { priority, callTimeoutMs } = this[kTurn] ?? { priority: 'call', callTimeoutMs: null }
    // A short deadline is the tool's: it counts from when the call is sent, and makes nobody wait less for the start.
    const patienceMs = callTimeoutMs === null ? 0 : Math.min(this.limits(server, 'call').timeoutMs, callTimeoutMs)
    return { priority, waitMs: Math.max(queueTimeoutMs, patienceMs) }
  })
  fastify.decorateRequest('joinClient', function (server, patience, signal) {
    this[kLeases]?.get(server)?.lease.join?.(patience, signal)
  })
  fastify.decorateRequest('servers', {
    getter () {
      this[kServers] ??= fastify.serverCatalog()
      return this[kServers]
    }
  })
  fastify.decorateRequest('limits', function ({ server: { spec } }, kind) {
    const {
      listMs = timeouts.listMs, callMs = timeouts.callMs, inactivityMs = timeouts.inactivityMs
    } = spec.timeouts ?? {}
    const trace = traceContext(this.headers, { withBaggage: spec.baggage === true })
    return {
      timeoutMs: kind === 'list' ? listMs : callMs,
      ...(kind === 'call' && inactivityMs > 0 && { inactivityMs }),
      signal: this.callerSignal,
      secrets: Object.values(credentialsOf(this)),
      ...(Object.keys(trace).length > 0 && { trace })
    }
  })
  fastify.decorateRequest('mcp', async function (server) {
    const slot = this.holdSlot()
    if (slot !== null) await slot
    return await leaseOf(this, server).lease.open()
  })
  fastify.decorateRequest('withClient', async function (server, signal, work) {
    return await leaseOf(this, server).uses.add(abortable(this.mcp(server).then(work), signal))
  })

  function leaseOf (request: FastifyRequest, server: CatalogedServer): HeldLease {
    const leases = request[kLeases] ??= new Map()
    const held = leases.get(server) ?? leaseFor(request, server)
    leases.set(server, held)
    return held
  }

  function leaseFor (request: FastifyRequest, cataloged: CatalogedServer): HeldLease {
    const { log } = request
    const { name, server } = cataloged
    const uses = createUses()
    const abandoned = new Cancellation()
    const keepsSession = server.sessions !== undefined && request.hasSession
    const lease = fastify.leaseServer(server, {
      credentials: credentialsOf(request),
      slot: keepsSession ? createUpstreamSlot(fastify.sessions, request.session, name) : null,
      isWatched: request.wantsEvents || request.asyncCall !== null,
      ...request.patience(cataloged),
      onTrouble: (err, message) => log.warn({ err, server: name }, message),
      // Only at a level that shows them: a server may write more lines than a worker can format.
      ...(['debug', 'trace'].includes(log.level) && {
        onStderrLine: line => log.debug({ server: name, line }, 'mcp server stderr')
      })
    }, abandoned)
    request.defer(async () => {
      await uses.settled()
      if (request.callerSignal.aborted) abandoned.abort()
      await lease.release()
    })
    return { lease, uses }
  }

  const credentialsOf = (request: FastifyRequest) => request.hasSession ? request.session.credentials : {}
}, {
  name: 'request-clients',
  dependencies: [
    'config', 'redis', 'caller-signal', 'after-response', 'server-sent-events', 'async-requests', 'session',
    'server-runtime'
  ]
})
