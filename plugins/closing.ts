import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    /** True from the moment the service was told to end. */
    readonly isClosing: boolean
  }
}

/**
 * A graceful end: what runs is answered, and then its connection is closed. Without that a keep-alive connection that was
 * busy when closing began would hold the end up until it times out, more than a minute later.
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
