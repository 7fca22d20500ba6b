import type { ServerResponse } from 'node:http'
import fp from 'fastify-plugin'

const kResponse = Symbol('response')
const kSignal = Symbol('callerSignal')

declare module 'fastify' {
  interface FastifyRequest {
    /** Aborts when the caller leaves before the answer is finished. */
    readonly callerSignal: AbortSignal
    [kResponse]: ServerResponse | null
    [kSignal]: AbortSignal | null
  }
}

/**
 * Knows when nobody waits for an answer any more.
 *
 * Not Fastify's `request.signal`, which aborts as soon as the body of a POST is read, nor `onRequestAbort`, which for such a
 * request never runs. The response's `close` comes once in every case; whether its end was written tells the two apart
 * (`writableFinished` would not: under inject it is false).
 *
 * @see https://github.com/fastify/fastify/pull/6725
 */
export default fp(async (fastify) => {
  fastify.decorateRequest(kResponse, null)
  fastify.decorateRequest(kSignal, null)
  fastify.decorateRequest('callerSignal', {
    getter () {
      this[kSignal] ??= signalOf(this[kResponse])
      return this[kSignal]
    }
  })
  fastify.addHook('onRequest', (request, reply, done) => {
    request[kResponse] = reply.raw
    done()
  })
}, { name: 'caller-signal', dependencies: ['config'] })

function signalOf (response: ServerResponse | null): AbortSignal {
  const controller = new AbortController()
  if (response === null || (response.closed && !response.writableEnded)) controller.abort()
  else response.once('close', () => { if (!response.writableEnded) controller.abort() })
  return controller.signal
}
