import type { FastifyError } from 'fastify'
import fp from 'fastify-plugin'
import { prefersNamed } from '../lib/http/media-preference.ts'
import { createEventWriter, type EventWriter } from '../lib/http/event-stream.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Whether the caller wants events while the request runs, and not only the answer; see prefersNamed. */
    readonly wantsEvents: boolean
  }
  interface FastifyReply {
    /**
     * Answers with server-sent events: those that `work` sends, and at the end the one that it returns. When it
     * rejects, the last event is `error` with the body that every failure has. The status is 200: a faulty request was
     * refused before.
     */
    sendEvents: (work: (events: EventWriter) => Promise<{ event: string, json: string }>) => FastifyReply
  }
}

/** Edge phase: writes an answer as server-sent events. */
export default fp(async (fastify) => {
  fastify.decorateRequest('wantsEvents', {
    getter () {
      return prefersNamed(this.headers.accept, 'text/event-stream', 'application/json')
    }
  })

  fastify.decorateReply('sendEvents', function (work) {
    const events = createEventWriter({ heartbeatMs: fastify.config.heartbeatMs })
    // Does not wait: the answer begins with the first event. A caller who left does not read the end.
    work(events).then(
      ({ event, json }) => events.end(event, json),
      (error: FastifyError) => events.end('error', fastify.describeFailure(error, this.request).body)
    ).finally(() => this.request.finishWork())
    // Proxies must neither buffer the events nor cache them.
    this.headers({ 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
    return this.type('text/event-stream; charset=utf-8').send(events.stream)
  })
}, { name: 'server-sent-events', dependencies: ['config', 'errors', 'after-response'] })
