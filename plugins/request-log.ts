import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A probe's request is logged at debug: it comes every few seconds and says nothing. */
    probe?: boolean
  }
}

/**
 * One line for a request, when it is over. Fastify's own two are switched off in app.ts: building them is half the cost of a
 * small request. The route is logged, not the URL; no header, no body.
 */
export default fp(async (fastify) => {
  fastify.addHook('onRequest', (request, reply, done) => {
    reply.raw.once('close', () => {
      const { url: route, config } = request.routeOptions
      const line = { method: request.method, route, statusCode: reply.statusCode, durationMs: Math.round(reply.elapsedTime * 10) / 10 }
      if (!reply.raw.writableEnded) request.log.info(line, 'caller left before the answer')
      else if (config.probe) request.log.debug(line, 'probe answered')
      else request.log.info(line, 'request answered')
    })
    done()
  })
}, { name: 'request-log', dependencies: ['config'] })
