import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { isOver } from '../lib/calls/call.ts'
import { type EventPosition, firstPosition, parsePosition, positionRule } from '../lib/calls/event-position.ts'
import { followCall } from '../lib/calls/follow-call.ts'
import { answerOf, type StoredCall } from '../lib/calls/stored-call.ts'
import { CallerLeftError, ClosingError, InvalidFieldError, isServiceError, UnknownCallError } from '../lib/errors.ts'
import type { EventWriter } from '../lib/http/event-stream.ts'
import { failureBody } from '../lib/http/failure-body.ts'

declare module 'fastify' {
  interface FastifyReply {
    /**
     * Answers with what is said while a call of the session runs, and at the end with its own answer. A caller who
     * names the last event that it has had gets those behind it; with nothing behind it, the answer is 204.
     */
    sendCallEvents: (call: StoredCall) => FastifyReply
  }
}

/** Operations phase: lets callers follow a call that another worker may run. */
export default fp(async (fastify) => {
  const { calls, callNotices: notices } = fastify
  const followers = new Set<FastifyRequest>()

  fastify.decorateReply('sendCallEvents', function (call) {
    const { request } = this
    const position = positionOf(request)
    if (position.last === 'end' && isOver(call)) return this.code(204).send()
    if (request.method === 'HEAD') return this.type('text/event-stream; charset=utf-8').send()
    return this.sendEvents(async events => await follow(request, call.id, position, events))
  })

  async function follow (request: FastifyRequest, id: string, { after, last }: EventPosition, events: EventWriter) {
    followers.add(request)
    if (fastify.isClosing) request.interrupt(new ClosingError())
    const end = await followCall({ after, last: last === 'end' ? null : last }, {
      read: after => calls.events.read(request.session, id, after),
      listen: ring => listen(id, ring),
      deliver: ({ id, event, json }) => events.deliver(event, json, id),
      signal: request.callerSignal
    }).finally(() => followers.delete(request))
    if (end === null) throw request.callerSignal.aborted ? new CallerLeftError() : new UnknownCallError()
    events.note('id', end.id)
    return lastEvent(end.call, events)
  }

  function listen (id: string, ring: () => void): () => void {
    if (notices === null) return () => {}
    const stops = (['said', 'changed'] as const).map(kind => notices.on(kind, about => { if (about === id) ring() }))
    return () => { for (const stop of stops) stop() }
  }

  fastify.addHook('preClose', async () => {
    for (const request of followers) request.interrupt(new ClosingError())
  })
}, {
  name: 'call-events',
  dependencies: ['redis', 'closing', 'caller-signal', 'server-sent-events', 'session', 'async-calls']
})

function positionOf ({ headers }: FastifyRequest): EventPosition {
  const text = headers['last-event-id']
  // A client that has had no event yet may send the header without a value.
  if (text === undefined || text === '') return firstPosition
  const position = parsePosition(String(text))
  if (position === null) throw new InvalidFieldError('Last-Event-ID', positionRule)
  return position
}

/** The answer of a call that is over, or its question, with the headers that it was answered with. */
function lastEvent (call: StoredCall, events: EventWriter): { event: string, json: string } {
  try {
    const { statusCode, headers, body } = answerOf(call)
    for (const [name, value] of Object.entries(headers)) events.note(name, value)
    return { event: statusCode >= 400 ? 'error' : call.state === 'input_required' ? call.state : 'result', json: body }
  } catch (error) {
    // A call without an answer was read well: that is no failure of this request.
    if (isServiceError(error)) return { event: 'error', json: failureBody(error, error.acted) }
    throw error
  }
}
