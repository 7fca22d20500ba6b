import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A good answer of this route holds nothing of a caller, and caches may keep it. */
    cacheable?: boolean
  }
}

/**
 * Edge phase: says of every answer that no cache may keep it, and that its type is as it says.
 *
 * Answers hold tokens, values and results of tools. A failure may repeat a caller's own words, so none is cacheable.
 */
export default fp(async (fastify) => {
  fastify.addHook('onSend', (request, reply, payload, done) => {
    const mayBeKept = request.routeOptions.config.cacheable === true && reply.statusCode < 400
    if (!mayBeKept) reply.header('cache-control', 'no-store')
    reply.header('x-content-type-options', 'nosniff').header('x-request-id', request.id)
    done(null, payload)
  })
}, { name: 'response-headers' })
