import fp from 'fastify-plugin'
import { ConfigError } from '../lib/errors.ts'
import { createManager, type Manager } from '../lib/mcp/manager.ts'
import { type ServerSpec, specFromScript, specsFromFile } from '../lib/mcp/server-spec.ts'
import { createToolCatalog, type ToolCatalog } from '../lib/tool-catalog.ts'

const kManager = Symbol('manager')

declare module 'fastify' {
  interface FastifyInstance {
    /** What tools there are. */
    readonly toolCatalog: ToolCatalog
  }
  interface FastifyRequest {
    /** This request's own MCP manager, made and opened when first asked for, closed when the request is over. */
    mcp: () => Promise<Manager>
    [kManager]: Manager | null
  }
}

/** Third chapter of a request: a fresh MCP server, only for those that need one, and for nobody after. */
export default fp(async (fastify) => {
  const { timeouts, maxResultBytes, toolsCacheTtlMs, sensitiveParams } = fastify.config
  const spec = resolveServer()

  function resolveServer (): ServerSpec {
    const { serverScript, serversFile } = fastify.config
    if (serverScript !== undefined) return specFromScript(serverScript, fastify.hostEnvironment)
    const [first, ...others] = specsFromFile(serversFile ?? '', fastify.hostEnvironment)
    if (first === undefined) throw new ConfigError('MCP_SERVERS_FILE must name a server')
    if (others.length > 0) fastify.log.warn({ used: first.name, ignored: others.map(({ name }) => name) }, 'only the first server of MCP_SERVERS_FILE is used')
    return first
  }

  fastify.decorate('toolCatalog', createToolCatalog({ ttlMs: toolsCacheTtlMs, sensitiveParams }))
  fastify.decorateRequest(kManager, null)
  fastify.decorateRequest('mcp', async function () {
    if (this[kManager] === null) {
      const { log } = this
      const manager = createManager(spec, {
        startTimeoutMs: timeouts.startMs,
        stopStepMs: timeouts.stopStepMs,
        maxMessageBytes: maxResultBytes,
        secrets: this.routeOptions.config.session ? Object.values(this.session.credentials) : [],
        // Only when somebody reads it: a server may write far more than anybody wants to format.
        ...(['debug', 'trace'].includes(log.level) && { onStderrLine: line => log.debug({ server: spec.name, line }, 'mcp server stderr') })
      })
      this[kManager] = manager
      this.defer(() => manager.close())
    }
    await this[kManager].open(this.callerSignal)
    return this[kManager]
  })
}, { name: 'mcp', dependencies: ['session', 'caller-signal', 'after-response'] })
