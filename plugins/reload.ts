import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    /** Does `work`, which must not throw, at each SIGHUP. */
    readonly onReload: (work: () => void) => void
  }
}

/**
 * MCP phase: reads the servers file again at SIGHUP, as other plugins read theirs.
 *
 * Running requests keep their servers. A file with a mistake changes nothing, and an entry with one keeps its old
 * form. The log says why.
 *
 * fastify-cli installs a handler that ends the service at SIGHUP, as at any signal. It does so before the service
 * listens; this plugin removes the handler then.
 */
export default fp(async (fastify) => {
  const works: Array<() => void> = []
  const reload = () => works.forEach(work => work())
  fastify.decorate('onReload', work => { works.push(work) })

  function reloadServers (): void {
    try {
      const specs = fastify.readServerSpecs()
      fastify.replaceServers(specs)
      fastify.log.info({ servers: specs.map(({ name }) => name) }, 'servers file read again')
    } catch (err) {
      fastify.log.error({ err }, 'servers file cannot be used, the servers stay as they are')
    }
  }

  if (fastify.config.serversFile !== undefined) fastify.onReload(reloadServers)
  fastify.addHook('onListen', (done) => {
    if (works.length === 0) return done()
    process.removeAllListeners('SIGHUP')
    process.on('SIGHUP', reload)
    done()
  })
  fastify.addHook('onClose', async () => {
    process.off('SIGHUP', reload)
  })
}, { name: 'reload', dependencies: ['config', 'server-config', 'server-runtime'] })
