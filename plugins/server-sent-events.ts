import type { FastifyError } from 'fastify'
import fp from 'fastify-plugin'
import { createEventWriter, type EventWriter } from '../lib/http/event-stream.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Whether the caller wants to follow what happens instead of waiting for the answer. */
    readonly wantsEvents: boolean
  }
  interface FastifyReply {
    /**
     * Answers with server-sent events: those that `work` tells of, and at the end the one that it gives, or `error` with the body
     * that every failure has. The status is 200: what was wrong with the request itself was said before.
     */
    sendEvents: (work: (events: EventWriter) => Promise<{ event: string, json: string }>) => FastifyReply
  }
}

/** An answer that comes in pieces. */
export default fp(async (fastify) => {
  fastify.decorateRequest('wantsEvents', {
    getter () {
      return /\btext\/event-stream\b/i.test(this.headers.accept ?? '')
    }
  })

  fastify.decorateReply('sendEvents', function (work) {
    const events = createEventWriter({ heartbeatMs: fastify.config.heartbeatMs })
    // The caller may leave while it runs, and nobody reads the end then.
    work(events).then(
      ({ event, json }) => events.end(event, json),
      (error: FastifyError) => events.end('error', fastify.describeFailure(error, this.request).body)
    )
    // No proxy on the way may wait for the end, or keep what comes.
    return this.headers({ 'cache-control': 'no-store', 'x-accel-buffering': 'no' }).type('text/event-stream; charset=utf-8').send(events.stream)
  })
}, { name: 'server-sent-events', dependencies: ['config', 'errors'] })
