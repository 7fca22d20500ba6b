import { availableParallelism } from 'node:os'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ConfigError } from '../lib/errors.ts'
import { createHttpServer } from '../lib/mcp/http-server.ts'
import { createEraMemory } from '../lib/mcp/era-memory.ts'
import type { Manager, RequestLimits } from '../lib/mcp/manager.ts'
import { createReaper } from '../lib/mcp/reaper.ts'
import type { Lease, Server } from '../lib/mcp/server.ts'
import { createServerPool } from '../lib/mcp/server-pool.ts'
import { createServerRegistry } from '../lib/mcp/server-registry.ts'
import { specIdentity, type ServerSpec } from '../lib/mcp/server-spec.ts'
import { createUpstreamAgent } from '../lib/mcp/upstream-agent.ts'
import { createPlaces } from '../lib/places.ts'
import { createServerSet, type ServerEntry, type ServerSet } from '../lib/server-set.ts'
import { createUpstreamSlot } from '../lib/upstream-slot.ts'

const kLeases = Symbol('leases')
const kServers = Symbol('servers')

/** The MCP servers of this worker, as processes. */
export interface ProcessCounts { alive: number, starting: number, waiting: number, sparesReady: number }

declare module 'fastify' {
  interface FastifyInstance {
    /** The servers that a request which comes now may use. */
    readonly servers: () => ServerSet
    /** Takes other servers from now on. Requests that run keep theirs. */
    readonly replaceServers: (specs: readonly ServerSpec[]) => void
    readonly processCounts: () => ProcessCounts
  }
  interface FastifyRequest {
    /** The servers that this request may use, the same from its beginning to its end. */
    readonly servers: ServerSet
    /** This request's own MCP manager of a server, opened when first asked for, closed when the request is over. */
    mcp: (entry: ServerEntry) => Promise<Manager>
    /** What a question to a server is bound to. */
    limits: (entry: ServerEntry, kind: 'list' | 'call') => RequestLimits
    [kLeases]: Map<ServerEntry, Lease> | null
    [kServers]: ServerSet | null
  }
}

/** Third chapter of a request: a fresh MCP manager, only for those that need one, and for nobody after. */
export default fp(async (fastify) => {
  const { serverSpecs, config: { timeouts, maxResultBytes, toolsCacheTtlMs, sensitiveParams, elicitation, processes } } = fastify
  if (process.platform === 'win32') throw new ConfigError('MCP servers are ended by process group, which Windows does not have: run the service on Linux, macOS, or in WSL')

  const queue = { mostWaiting: processes.maxQueued, timeoutMs: processes.queueTimeoutMs }
  const alive = createPlaces({ ...queue, most: processes.maxAlive, what: `all ${processes.maxAlive} MCP servers that may run are running` })
  const maxStarting = processes.maxStarting ?? availableParallelism()
  const starting = createPlaces({ ...queue, most: maxStarting, what: 'other MCP servers are starting' })
  const reaper = createReaper()
  const dispatcher = createUpstreamAgent()

  const registry = createServerRegistry(createServer, err => fastify.log.warn({ err }, 'an mcp server that was replaced could not be ended'))
  let current: ServerSet

  function createServer (spec: ServerSpec): Server {
    const common = {
      startTimeoutMs: spec.timeouts.startMs ?? timeouts.startMs,
      maxMessageBytes: maxResultBytes,
      answersQuestions: elicitation,
      era: createEraMemory({
        store: fastify.eraStore,
        server: specIdentity(spec),
        onTrouble: err => fastify.log.warn({ err, server: spec.name }, 'the era of an mcp server could not be shared')
      }),
      onToolsChanged: () => current.entry(spec.name)?.tools.forget()
    }
    if (spec.kind !== 'stdio') return createHttpServer(spec, { ...common, dispatcher })
    return createServerPool(spec, {
      ...common,
      stopStepMs: timeouts.stopStepMs,
      reaper,
      alive,
      starting,
      warmSpares: processes.warmSpares,
      spareMaxAgeMs: processes.spareMaxAgeMs,
      sharedIdleMs: processes.sharedIdleMs,
      onTrouble: (err, message) => fastify.log.warn({ err, server: spec.name }, message)
    })
  }

  function replaceServers (specs: readonly ServerSpec[]): void {
    registry.replace(specs)
    current = createServerSet(registry.servers, { toolsCacheTtlMs, sensitiveParams })
  }
  replaceServers(serverSpecs)

  fastify.decorate('servers', () => current)
  fastify.decorate('replaceServers', (specs: readonly ServerSpec[]) => {
    replaceServers(specs)
    refill()
  })
  fastify.decorate('processCounts', () => ({
    alive: alive.taken,
    starting: starting.taken,
    waiting: alive.waiting + starting.waiting,
    sparesReady: registry.servers.reduce((sum, { sparesReady }) => sum + sparesReady, 0)
  }))

  fastify.decorateRequest(kLeases, null)
  fastify.decorateRequest(kServers, null)
  fastify.decorateRequest('servers', {
    getter () {
      this[kServers] ??= current
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

  function leaseFor (request: FastifyRequest, { name, server }: ServerEntry): Lease {
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
  const refill = () => registry.servers.forEach(server => server.refill())

  fastify.addHook('onReady', async () => refill())
  fastify.addHook('onClose', async () => {
    await fastify.deferredSettled()
    await registry.close()
    await Promise.all([reaper.close(), dispatcher.close()])
  })
}, { name: 'mcp', dependencies: ['servers', 'session', 'caller-signal', 'after-response', 'events'] })
