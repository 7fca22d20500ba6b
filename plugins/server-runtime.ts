import { dirname, resolve } from 'node:path'
import fp from 'fastify-plugin'
import { readCgroupLimits } from '../lib/cgroup.ts'
import { ConfigError } from '../lib/errors.ts'
import type { Peer } from '../lib/mcp/client/handshake.ts'
import { createEraMemory } from '../lib/mcp/client/protocol-era.ts'
import { createHttpServer } from '../lib/mcp/http/http-server.ts'
import { createRequestBounds, type RequestCounts } from '../lib/mcp/http/request-bounds.ts'
import { createProcessServer } from '../lib/mcp/processes/process-server.ts'
import { createStartScheduler } from '../lib/mcp/processes/start-scheduler.ts'
import type { Server } from '../lib/mcp/server.ts'
import { createServerRegistry, type ServerRegistry } from '../lib/mcp/servers.ts'
import { readableEnvFiles } from '../lib/mcp/servers-file/env-files.ts'
import { proxiesIn } from '../lib/mcp/servers-file/host-environment.ts'
import { type FaultyEntry, keepOldForms } from '../lib/mcp/servers-file/old-forms.ts'
import type { RunnableSpec, ServerSpec } from '../lib/mcp/servers-file/server-spec.ts'
import { describePolicy } from '../lib/mcp/servers-file/value-policy.ts'
import { createUpstreamAgents, type UpstreamAgents } from '../lib/mcp/transports/http-agent.ts'
import { createReaper } from '../lib/mcp/transports/reaper.ts'
import { createFitCheck, memoryOf, resolveProcessLimits } from '../lib/process-limits.ts'
import type { CatalogedServer } from '../lib/tools/cataloged-server.ts'
import { createLearner } from '../lib/tools/learner.ts'
import { lossOf } from '../lib/tools/lost-state.ts'
import { createServerCatalog, type ServerCatalog } from '../lib/tools/server-catalog.ts'

/** How many MCP servers of this worker are processes, by what they do, and how many requests wait for one to start. */
export interface ProcessCounts { alive: number, starting: number, waiting: number, sparesReady: number }

declare module 'fastify' {
  interface FastifyInstance {
    /** The servers that a new request may use. */
    readonly serverCatalog: () => ServerCatalog
    /** A server for one request, which keeps it from ending until the lease is released. */
    readonly leaseServer: ServerRegistry['lease']
    /** Takes other servers from now on. Running requests keep theirs, and an entry that became faulty its old form. */
    readonly replaceServers: (specs: readonly ServerSpec[]) => void
    /** The entries that are faulty now. */
    readonly faultyEntries: () => readonly FaultyEntry[]
    readonly processCounts: () => ProcessCounts
    /** How many requests of this worker MCP servers over HTTP have now, and how many wait for their turn. */
    readonly upstreamCounts: () => RequestCounts
    /** How many MCP servers of this worker may be processes. */
    readonly processLimit: number
    /** The open connections to MCP servers over HTTP, by the server's name. Those through a proxy do not count. */
    readonly upstreamConnections: UpstreamAgents['connections']
  }
}

const fault = 'an entry of the servers file has a fault, and its server is not run'
const faultOfOldForm = 'an entry of the servers file became faulty, and its server runs on in its old form'
/** When the memory of a new server is looked at (ms). */
const measureAfterMs = 1_000

/**
 * MCP phase: the MCP servers as this worker reaches them. Processes are bounded together; requests to HTTP servers are
 * bounded for each server and together.
 */
export default fp(async (fastify) => {
  const { timeouts, maxResultBytes, serverBounds, toolsCacheTtlMs, failingTtlMs, sensitiveParams } = fastify.config
  const { elicitation, values, processes, upstreams: { maxRequests, maxTotal } } = fastify.config
  const { learning: { isOn: isLearning } } = fastify.config
  if (process.platform === 'win32') {
    throw new ConfigError(
      'MCP servers are ended by process group, which Windows does not have: run the service on Linux, macOS, or in WSL'
    )
  }

  const { maxQueued, queueTimeoutMs } = processes
  const cgroup = readCgroupLimits()
  const { maxAlive, maxStarting } = resolveProcessLimits(processes, cgroup)
  const queue = { maxQueued, queueTimeoutMs }
  const scheduler = createStartScheduler({ maxAlive, maxQueued, maxStarting })
  const reaper = createReaper()
  const fits = createFitCheck(maxAlive, cgroup.memoryBytes)
  /** Looks once at what a server needs, when it has been running for a moment. */
  function started (pid: number): void {
    fastify.trimCompileCache()
    setTimeout(() => {
      const bytes = memoryOf(pid)
      const misfit = bytes === null ? null : fits(bytes)
      if (misfit === null) return
      fastify.log.warn({ maxProcesses: maxAlive, ...cgroup, ...misfit }, 'mcp servers need more memory')
    }, measureAfterMs).unref()
  }
  const bounds = createRequestBounds({ ...queue, maxOfServer: maxRequests, maxTotal })
  const proxies = fastify.config.upstreamProxy ? proxiesIn(fastify.hostEnvironment) : null
  const agents = createUpstreamAgents({ proxies, maxRequests })

  function createServer (spec: RunnableSpec): Server {
    const log = fastify.log.child({ server: spec.name })
    const onTrouble = (err: unknown, message: string) => log.warn({ err }, message)
    const common = {
      startTimeoutMs: spec.timeouts.startMs ?? timeouts.startMs,
      maxMessageBytes: maxResultBytes,
      bounds: serverBounds,
      declaresElicitation: elicitation,
      era: createEraMemory({
        store: fastify.serverFacts.eras,
        server: spec.identity,
        onTrouble
      }),
      onListChanged: () => current(spec)?.forgetLists(),
      onConnected: (peer: Peer) => current(spec)?.started(peer)
    }
    if (spec.kind !== 'stdio') {
      return createHttpServer(spec, { ...common, routeTo: agents.routeTo, bound: bounds.forServer(spec.name) })
    }
    return createProcessServer(spec, {
      ...common,
      stopStepMs: timeouts.stopStepMs,
      niceness: processes.niceness,
      reaper: { ...reaper, add (pid) { reaper.add(pid); started(pid) } },
      scheduler,
      warmSpares: processes.warmSpares,
      spareMaxAgeMs: processes.spareMaxAgeMs,
      sharedIdleMs: processes.sharedIdleMs,
      onTrouble
    })
  }

  const registry = createServerRegistry(createServer, err => {
    fastify.log.warn({ err }, 'an mcp server that was replaced could not be ended')
  })
  let catalog: ServerCatalog
  let faulty: readonly FaultyEntry[] = []
  /** A server as it is now; `null` once the servers file says something else of it. */
  function current (spec: ServerSpec): CatalogedServer | null {
    const server = catalog.byName(spec.name)
    return server?.server.spec === spec ? server : null
  }

  const learner = createLearner({
    lease: registry.lease,
    listTimeoutMs: timeouts.listMs,
    onLearned: (server, { tools, isFromStore }) =>
      fastify.log.info({ server, tools, from: isFromStore ? 'redis' : 'server' }, 'learned what an mcp server offers'),
    onFailed: (server, err) => fastify.log.warn({ err, server }, 'what an mcp server offers could not be learned')
  })
  function learn (name: string): void {
    const server = catalog.byName(name)
    if (server !== null) learner.learn(server)
  }
  const learnAll = () => catalog.all.forEach(({ name }) => learn(name))

  function replaceServers (read: readonly ServerSpec[]): void {
    const inUse = keepOldForms(read, registry.servers.map(({ spec }) => spec))
    faulty = inUse.faulty
    registry.replace(inUse.specs)
    catalog = createServerCatalog(registry.servers, {
      ...(isLearning && {
        learning: {
          store: fastify.serverFacts.lists,
          onOutdated: learn,
          onStoreTrouble: (server, err) =>
            fastify.log.warn({ err, server }, 'what an mcp server offers could not be shared')
        }
      }),
      toolsCacheTtlMs,
      failingTtlMs,
      sensitiveParams,
      marksFilled: values.listsFilled,
      onRefusedCredential: (server, tool, credential) => fastify.log.warn(
        { server, tool, credential, add: `"credentials": [${JSON.stringify(credential)}]` },
        'a tool is left out, because it declares a credential that its server may not have'
      ),
      onUnknownTool: (server, tool) => fastify.log.warn(
        { server, tool }, 'the servers file says something of a tool that its server does not list'
      ),
      onLostState: warnOfLoss
    })
  }
  function describeServers (): void {
    for (const { name: server, reason, keepsOldForm } of faulty) {
      fastify.log.error({ server, reason }, keepsOldForm ? faultOfOldForm : fault)
    }
    for (const { spec: { name: server, policy, kind } } of registry.servers) {
      if (kind === 'faulty') continue
      fastify.log.info({ server, ...describePolicy(policy) }, 'what is kept and filled in for an mcp server')
    }
  }
  function warnOfLoss (server: string, loss: string): void {
    fastify.log.warn({ server, loss }, 'an mcp server keeps state between calls, and not all of it will work')
  }
  /** Servers whose operator says so; of others it is known once they have listed their tools. */
  function warnOfLosses (): void {
    for (const { spec } of registry.servers) {
      const loss = spec.stateful === true ? lossOf(spec) : null
      if (loss !== null) warnOfLoss(spec.name, loss)
    }
  }
  const { serverScript } = fastify.config
  const scriptFolder = serverScript === undefined ? undefined : dirname(resolve(serverScript))
  const warnedOf = new Set<string>()
  /** Each file of each server once: a reload tells of new ones. */
  function warnOfEnvFiles (): void {
    for (const found of readableEnvFiles(registry.servers.map(({ spec }) => spec), scriptFolder)) {
      const name = JSON.stringify(found)
      if (!warnedOf.has(name)) fastify.log.warn(found, 'an mcp server can read a .env file in its folder')
      warnedOf.add(name)
    }
  }
  replaceServers(fastify.serverSpecs)

  const refillSpares = () => registry.servers.forEach(({ spares }) => spares?.refill())

  fastify.decorate('serverCatalog', () => catalog)
  fastify.decorate('leaseServer', registry.lease)
  fastify.decorate('replaceServers', (specs: readonly ServerSpec[]) => {
    replaceServers(specs)
    describeServers()
    warnOfLosses()
    warnOfEnvFiles()
    refillSpares()
    learnAll()
  })
  fastify.decorate('faultyEntries', () => faulty)
  fastify.decorate('processCounts', () => ({
    alive: scheduler.alive,
    starting: scheduler.starting,
    waiting: scheduler.waiting,
    sparesReady: registry.servers.reduce((sum, { spares }) => sum + (spares?.ready ?? 0), 0)
  }))

  fastify.decorate('upstreamCounts', bounds.counts)
  fastify.decorate('processLimit', maxAlive)
  fastify.decorate('upstreamConnections', agents.connections)

  fastify.addHook('onReady', async () => refillSpares())
  fastify.addHook('onListen', async () => {
    fastify.log.info({ maxProcesses: maxAlive, maxStarting, ...cgroup }, 'how many mcp servers may run and start')
    describeServers()
    warnOfLosses()
    warnOfEnvFiles()
    learnAll()
  })
  fastify.addHook('onClose', async () => {
    await Promise.all([learner.close(), fastify.deferredSettled()])
    await registry.close()
    await Promise.all([reaper.close(), agents.destroy()])
  })
}, { name: 'server-runtime', dependencies: ['config', 'server-config', 'compile-cache', 'redis', 'after-response'] })
