import { availableParallelism } from 'node:os'
import fp from 'fastify-plugin'
import { ConfigError } from '../lib/errors.ts'
import type { Manager } from '../lib/mcp/manager.ts'
import { createReaper } from '../lib/mcp/reaper.ts'
import { createServerPool, type Lease } from '../lib/mcp/server-pool.ts'
import { fillCommand } from '../lib/mcp/server-spec.ts'
import { createPlaces } from '../lib/places.ts'
import { createToolCatalog, type ToolCatalog } from '../lib/tool-catalog.ts'

const kLease = Symbol('lease')

/** The MCP servers of this worker, as processes. */
export interface ProcessCounts { alive: number, starting: number, waiting: number, sparesReady: number }

declare module 'fastify' {
  interface FastifyInstance {
    /** What tools there are. */
    readonly toolCatalog: ToolCatalog
    readonly processCounts: () => ProcessCounts
  }
  interface FastifyRequest {
    /** This request's own MCP manager, opened when first asked for, closed when the request is over. */
    mcp: () => Promise<Manager>
    [kLease]: Lease | null
  }
}

/** Third chapter of a request: a fresh MCP server, only for those that need one, and for nobody after. */
export default fp(async (fastify) => {
  const { serverSpec: spec, config: { timeouts, maxResultBytes, toolsCacheTtlMs, sensitiveParams, processes } } = fastify
  if (process.platform === 'win32') throw new ConfigError('MCP servers are ended by process group, which Windows does not have: run the service on Linux, macOS, or in WSL')

  const queue = { mostWaiting: processes.maxQueued, timeoutMs: processes.queueTimeoutMs }
  const alive = createPlaces({ ...queue, most: processes.maxAlive, what: `all ${processes.maxAlive} MCP servers that may run are running` })
  const maxStarting = processes.maxStarting ?? availableParallelism()
  const starting = createPlaces({ ...queue, most: maxStarting, what: 'other MCP servers are starting' })
  const reaper = createReaper()
  const pool = createServerPool({ ...fillCommand(spec, {}), lifecycle: spec.lifecycle }, {
    startTimeoutMs: timeouts.startMs,
    stopStepMs: timeouts.stopStepMs,
    maxMessageBytes: maxResultBytes,
    reaper,
    alive,
    starting,
    warmSpares: processes.warmSpares,
    spareMaxAgeMs: processes.spareMaxAgeMs,
    sharedIdleMs: processes.sharedIdleMs,
    onTrouble: (err, message) => fastify.log.warn({ err, server: spec.name }, message)
  })

  fastify.decorate('toolCatalog', createToolCatalog({ ttlMs: toolsCacheTtlMs, sensitiveParams }))
  fastify.decorate('processCounts', () => ({ alive: alive.taken, starting: starting.taken, waiting: alive.waiting + starting.waiting, sparesReady: pool.sparesReady }))
  fastify.decorateRequest(kLease, null)
  fastify.decorateRequest('mcp', async function () {
    if (this[kLease] === null) {
      const { log } = this
      const lease = pool.lease({
        secrets: this.routeOptions.config.session ? Object.values(this.session.credentials) : [],
        // Only when somebody reads it: a server may write far more than anybody wants to format.
        ...(['debug', 'trace'].includes(log.level) && { onStderrLine: line => log.debug({ server: spec.name, line }, 'mcp server stderr') })
      }, this.callerSignal)
      this[kLease] = lease
      this.defer(() => lease.release())
    }
    return await this[kLease].open()
  })

  fastify.addHook('onReady', async () => pool.refill())
  fastify.addHook('onClose', async () => {
    await fastify.deferredSettled()
    await pool.close()
    await reaper.close()
  })
}, { name: 'mcp', dependencies: ['servers', 'session', 'caller-signal', 'after-response'] })
