import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    /** True as soon as the service has been told to end. */
    readonly isClosing: boolean
  }
}

/**
 * Edge phase: closes each connection after its answer, once the service has been told to end.
 *
 * Otherwise a keep-alive connection that was busy when closing began would delay the end until it times out, more than
 * a minute later.
 */
export default fp(async (fastify) => {
  let isClosing = false
  fastify.decorate('isClosing', { getter: () => isClosing })
  fastify.addHook('preClose', (done) => {
    isClosing = true
    done()
  })
  fastify.addHook('onSend', (request, reply, payload, done) => {
    if (isClosing) reply.header('connection', 'close')
    done()
  })
}, { name: 'closing' })
