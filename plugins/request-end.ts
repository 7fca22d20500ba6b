import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

/** A request that is over. */
export interface RequestEnd {
  request: FastifyRequest
  reply: FastifyReply
  /** False when the caller left before the answer was complete. */
  isAnswered: boolean
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The whole answer was sent, although its stream goes on: the caller may leave. */
    isAnswerOut: boolean
  }
  interface FastifyInstance {
    /** Calls `listener` once at the end of every request. Listeners run in the order in which they were added. */
    onRequestEnd: (listener: (end: RequestEnd) => void) => void
  }
}

/**
 * Edge phase: knows when a request is over, whether it was answered or its caller left.
 *
 * onResponse does not run when the caller leaves while the handler works. onRequestAbort does not run for a POST whose
 * body was read. The response's `close` comes exactly once in every case. `writableEnded` then tells an answered
 * request from an abandoned one; `writableFinished` does not, because it is false under inject.
 *
 * The listeners belong to the service and not to a request: a request that an early hook refuses has an end, too.
 */
export default fp(async (fastify) => {
  const listeners: Array<(end: RequestEnd) => void> = []

  fastify.decorate('onRequestEnd', (listener: (end: RequestEnd) => void) => { listeners.push(listener) })

  fastify.decorateRequest('isAnswerOut', false)

  fastify.addHook('onRequest', (request, reply, done) => {
    reply.raw.once('close', () => {
      const end = { request, reply, isAnswered: reply.raw.writableEnded || request.isAnswerOut }
      for (const listener of listeners) listener(end)
    })
    done()
  })
}, { name: 'request-end' })
