import type { FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { jsonBody, jsonType } from '../lib/http/schemas.ts'
import type { ToolCallRequest } from './tool-calls.ts'

declare module 'fastify' {
  interface FastifyReply {
    /** Calls a tool for this request's session, and answers with its result: as JSON, or as events on demand. */
    sendCall: (call: Omit<ToolCallRequest, 'note' | 'events'>) => FastifyReply | Promise<FastifyReply>
  }
}

/** Operations phase: answers a tool call, whichever route it came by. */
export default fp(async (fastify) => {
  fastify.decorateReply('sendCall', async function (this: FastifyReply, call) {
    const { request } = this
    if (request.wantsEvents) {
      return this.sendEvents(async events => {
        const { body, outcome, notCached } = await request.callTool({ note: events.note, events, ...call })
        if (notCached.length > 0) events.send('not_cached', JSON.stringify(notCached))
        return { event: outcome === 'input_required' ? outcome : 'result', json: String(body) }
      })
    }
    const note = (name: string, value: string) => { this.header(name, value) }
    const { body, outcome, notCached, ...accepted } = await request.callTool({ note, ...call })
    this.notCached(notCached).code(outcome === 'input_required' ? 202 : 200)
    if ('statusCode' in accepted) {
      const { statusCode } = accepted // it may be any that a call has
      if (statusCode >= 400) return this.sendRecordedFailure(statusCode, String(body))
      this.code(statusCode)
    }
    return this.type(jsonType).send(jsonBody(body))
  })
}, { name: 'call-replies', dependencies: ['errors', 'server-sent-events', 'not-cached', 'tool-calls'] })
