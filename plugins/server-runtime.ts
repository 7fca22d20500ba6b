import { availableParallelism } from 'node:os'
import fp from 'fastify-plugin'
import { ConfigError } from '../lib/errors.ts'
import { createEraMemory } from '../lib/mcp/client/protocol-era.ts'
import { createHttpServer } from '../lib/mcp/http/http-server.ts'
import { createReaper } from '../lib/mcp/transports/reaper.ts'
import type { Server } from '../lib/mcp/server.ts'
import { createProcessServer } from '../lib/mcp/processes/process-server.ts'
import { createServerRegistry } from '../lib/mcp/servers.ts'
import type { ServerSpec } from '../lib/mcp/servers-file/server-spec.ts'
import { createUpstreamAgent } from '../lib/mcp/transports/http-agent.ts'
import { createSemaphore } from '../lib/semaphore.ts'
import { createServerCatalog, type ServerCatalog } from '../lib/tools/server-catalog.ts'

/** The MCP servers of this worker, as processes. */
export interface ProcessCounts { alive: number, starting: number, waiting: number, sparesReady: number }

declare module 'fastify' {
  interface FastifyInstance {
    /** The servers that a request which comes now may use. */
    readonly serverCatalog: () => ServerCatalog
    /** Takes other servers from now on. Requests that run keep theirs. */
    readonly replaceServers: (specs: readonly ServerSpec[]) => void
    readonly processCounts: () => ProcessCounts
  }
}

/** The MCP servers as this worker reaches them: their processes, bounded together, and one pool of connections for those over HTTP. */
export default fp(async (fastify) => {
  const { serverSpecs, config: { timeouts, maxResultBytes, toolsCacheTtlMs, sensitiveParams, elicitation, processes } } = fastify
  if (process.platform === 'win32') throw new ConfigError('MCP servers are ended by process group, which Windows does not have: run the service on Linux, macOS, or in WSL')

  const queue = { maxQueued: processes.maxQueued, queueTimeoutMs: processes.queueTimeoutMs }
  const alive = createSemaphore({ ...queue, limit: processes.maxAlive, what: `all ${processes.maxAlive} MCP servers that may run are running` })
  const maxStarting = processes.maxStarting ?? availableParallelism()
  const starting = createSemaphore({ ...queue, limit: maxStarting, what: 'other MCP servers are starting' })
  const reaper = createReaper()
  const dispatcher = createUpstreamAgent()

  const registry = createServerRegistry(createServer, err => fastify.log.warn({ err }, 'an mcp server that was replaced could not be ended'))
  let current: ServerCatalog

  function createServer (spec: ServerSpec): Server {
    const common = {
      startTimeoutMs: spec.timeouts.startMs ?? timeouts.startMs,
      maxMessageBytes: maxResultBytes,
      declaresElicitation: elicitation,
      era: createEraMemory({
        store: fastify.eraStore,
        server: spec.identity,
        onTrouble: err => fastify.log.warn({ err, server: spec.name }, 'the era of an mcp server could not be shared')
      }),
      onListChanged: () => current.byName(spec.name)?.forgetLists()
    }
    if (spec.kind !== 'stdio') return createHttpServer(spec, { ...common, dispatcher })
    return createProcessServer(spec, {
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
    current = createServerCatalog(registry.servers, { toolsCacheTtlMs, sensitiveParams })
  }
  replaceServers(serverSpecs)

  fastify.decorate('serverCatalog', () => current)
  fastify.decorate('replaceServers', (specs: readonly ServerSpec[]) => {
    replaceServers(specs)
    refill()
  })
  fastify.decorate('processCounts', () => ({
    alive: alive.held,
    starting: starting.held,
    waiting: alive.queued + starting.queued,
    sparesReady: registry.servers.reduce((sum, { sparesReady }) => sum + sparesReady, 0)
  }))

  const refill = () => registry.servers.forEach(server => server.refill())

  fastify.addHook('onReady', async () => refill())
  fastify.addHook('onClose', async () => {
    await fastify.deferredSettled()
    await registry.close()
    await Promise.all([reaper.close(), dispatcher.destroy()])
  })
}, { name: 'server-runtime', dependencies: ['config', 'server-config', 'redis', 'after-response'] })
