import fp from 'fastify-plugin'

/**
 * MCP phase: reads the servers file again at SIGHUP.
 *
 * Running requests keep their servers. A file with a mistake changes nothing, and an entry with one keeps its old
 * form. The log says why.
 *
 * fastify-cli installs a handler that ends the service at SIGHUP, as at any signal. It does so before the service
 * listens; this plugin removes the handler then.
 */
export default fp(async (fastify) => {
  if (fastify.config.serversFile === undefined) return

  function reload (): void {
    try {
      const specs = fastify.readServerSpecs()
      fastify.replaceServers(specs)
      fastify.log.info({ servers: specs.map(({ name }) => name) }, 'servers file read again')
    } catch (err) {
      fastify.log.error({ err }, 'servers file cannot be used, the servers stay as they are')
    }
  }

  fastify.addHook('onListen', (done) => {
    process.removeAllListeners('SIGHUP')
    process.on('SIGHUP', reload)
    done()
  })
  fastify.addHook('onClose', async () => {
    process.off('SIGHUP', reload)
  })
}, { name: 'reload', dependencies: ['config', 'server-config', 'server-runtime'] })
