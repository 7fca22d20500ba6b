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
  // Nothing in the line could be a secret, and looking for one costs more than the rest of it.
  const log = fastify.log.child({}, { redact: [] })

  fastify.onRequestEnd(({ request, reply, isAnswered }) => {
    const { id: reqId, traceId, method, routeOptions: { url: route, config } } = request
    const line = {
      reqId,
      ...(traceId !== null && { traceId }),
      method,
      route,
      statusCode: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime * 10) / 10
    }
    if (!isAnswered) log.info(line, 'caller left before the answer')
    else if (config.probe) log.debug(line, 'probe answered')
    else log.info(line, 'request answered')
  })
}, { name: 'request-log', dependencies: ['request-end', 'traces'] })
