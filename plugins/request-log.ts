import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route is a probe. It needs no API key, and its frequent requests are logged at debug. */
    probe?: boolean
  }
}

/**
 * Edge phase: writes one log line for each request, when it is over.
 *
 * Fastify's own two lines are switched off in app.ts: building them is half the cost of a small request. The line has
 * the route and not the URL, no header and no body.
 */
export default fp(async (fastify) => {
  fastify.onRequestEnd(({ request, reply, isAnswered }) => {
    const { url: route, config } = request.routeOptions
    const durationMs = Math.round(reply.elapsedTime * 10) / 10
    const line = { method: request.method, route, statusCode: reply.statusCode, durationMs }
    if (!isAnswered) request.log.info(line, 'caller left before the answer')
    else if (config.probe) request.log.debug(line, 'probe answered')
    else request.log.info(line, 'request answered')
  })
}, { name: 'request-log', dependencies: ['request-end'] })
