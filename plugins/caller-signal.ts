import { setMaxListeners } from 'node:events'
import fp from 'fastify-plugin'

const kController = Symbol('callerController')

declare module 'fastify' {
  interface FastifyRequest {
    /** Aborts when the caller leaves before the answer is complete. */
    readonly callerSignal: AbortSignal
    [kController]: AbortController | null
  }
}

/**
 * Edge phase: lets work stop as soon as its caller has left.
 *
 * Fastify's own `request.signal` aborts as soon as the body of a POST is read.
 *
 * @see https://github.com/fastify/fastify/pull/6725
 */
export default fp(async (fastify) => {
  fastify.decorateRequest(kController, null)
  fastify.decorateRequest('callerSignal', {
    getter () {
      if (this[kController] === null) {
        this[kController] = new AbortController()
        // A listing listens for each of its servers. Node takes more than ten for a leak, and writes to stderr.
        setMaxListeners(0, this[kController].signal)
      }
      return this[kController].signal
    }
  })
  fastify.onRequestEnd(({ request, isAnswered }) => {
    if (isAnswered) return
    // Also where there was no signal yet: work that asks for one later must find it aborted.
    request[kController] ??= new AbortController()
    request[kController].abort()
  })
}, { name: 'caller-signal', dependencies: ['request-end'] })
