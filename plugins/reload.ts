import fp from 'fastify-plugin'

/**
 * SIGHUP: the servers file is read again. Requests that run keep the servers that they have. A file that has a fault changes
 * nothing, and the log says why.
 *
 * fastify-cli ends the service at SIGHUP, as at any signal. It says so before the service listens, so that is taken back then.
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
