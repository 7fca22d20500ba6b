import fp from 'fastify-plugin'

/**
 * Reads the servers file again at SIGHUP. Running requests keep their servers. A file with a mistake changes nothing,
 * and the log says why.
 *
 * fastify-cli ends the service at any signal, SIGHUP included. It adds its listener before the service listens, so that
 * listener is removed once the service does.
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
}, { name: 'reload', dependencies: ['mcp-servers'] })
