import type { FastifyError, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Cancellation, type CancelSignal } from '../lib/cancellation.ts'

const kController = Symbol('callerController')

declare module 'fastify' {
  interface FastifyRequest {
    /** Aborts when the caller leaves before the answer is complete, and when the service breaks the request off. */
    readonly callerSignal: CancelSignal
    /** Stops the work of the request as if its caller had left. The caller is answered `reason`. */
    interrupt: (reason: FastifyError) => void
    [kController]: Cancellation | null
  }
}

/**
 * Edge phase: lets work stop as soon as its caller has left, or the service breaks it off.
 *
 * Fastify's own `request.signal` aborts as soon as the body of a POST is read.
 *
 * @see https://github.com/fastify/fastify/pull/6725
 */
export default fp(async (fastify) => {
  fastify.decorateRequest(kController, null)
  fastify.decorateRequest('callerSignal', {
    getter () {
      this[kController] ??= new Cancellation()
      return this[kController].signal
    }
  })
  /** Also where there was no signal yet: work that asks for one later must find it aborted. */
  function abort (request: FastifyRequest): void {
    request[kController] ??= new Cancellation()
    request[kController].abort()
  }
  fastify.decorateRequest('interrupt', function (reason) {
    this.interruption = reason
    abort(this)
  })
  fastify.onRequestEnd(({ request, isAnswered }) => {
    if (!isAnswered) abort(request)
  })
}, { name: 'caller-signal', dependencies: ['errors', 'request-end'] })
