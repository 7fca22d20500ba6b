import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type HeldCall, renewEveryMs } from '../lib/calls/call.ts'
import type { CallEnd } from '../lib/calls/call-store.ts'
import { answerOf, type StoredCall } from '../lib/calls/stored-call.ts'
import {
  CallCancelledError, CallerLeftError, CallRunningError, ClosingError, IdempotencyKeyReusedError, StoreUnavailableError
} from '../lib/errors.ts'
import { jsonBody, jsonType } from '../lib/http/schemas.ts'
import { tellCall } from '../lib/telemetry/channels.ts'
import { goesBack } from './async-requests.ts'

const kHeld = Symbol('heldCall')

declare module 'fastify' {
  interface FastifyRequest {
    /** The call that this request runs; `null` for one that nothing is kept of. */
    readonly heldCall: HeldCall | null
    /** Holds a call until the request is over. A call that has not begun by then is released. */
    holdCall: (held: HeldCall) => void
    /** Notes that the call begins: from here on, its tool may act. */
    beginHeldCall: () => void
    /** Notes that the call was settled by a script that does more. */
    noteCallSettled: (state: 'completed' | 'input_required') => void
    /** Settles the call of a request that failed. Does nothing without one. Never rejects. */
    settleFailedCall: (error: unknown) => Promise<void>
    [kHeld]: Holding | null
  }
  interface FastifyReply {
    /** Answers with what was recorded of a call; throws the failure that says why there is nothing. */
    replayCall: (call: StoredCall) => FastifyReply
  }
}

interface Holding { held: HeldCall, hasBegun: boolean, isSettled: boolean }

/** Whether another worker goes on with what this request was broken off in. */
export const isHandedOn = ({ asyncCall, interruption }: FastifyRequest) =>
  asyncCall?.task.isKept === true && interruption instanceof ClosingError

/**
 * Session phase: keeps the lease of the call that a request runs, and answers a request that was sent again with what
 * the first one was answered.
 */
export default fp(async (fastify) => {
  const { calls } = fastify
  fastify.decorateRequest(kHeld, null)
  fastify.decorateRequest('heldCall', {
    getter () {
      return this[kHeld]?.held ?? null
    }
  })

  fastify.decorateRequest('holdCall', function (held) {
    const holding: Holding = { held, hasBegun: false, isSettled: false }
    this[kHeld] = holding
    tellCall('working')
    const timer = setInterval(() => renew(this, holding), renewEveryMs)
    this.defer(async () => {
      clearInterval(timer)
      // One that was accepted has no other caller to tell that it was never made.
      if (!holding.hasBegun && this.asyncCall === null) await settle(this, holding, { state: 'released' })
    })
  })

  function renew (request: FastifyRequest, { held }: Holding): void {
    const task = request.asyncCall?.task
    calls.renew(request.session, held).then(
      async state => {
        if (state === 'cancelled') request.interrupt(new CallCancelledError())
        // This worker was not heard of for too long. Another one may go on with the task.
        else if (state === 'lost' && task?.isKept) request.interrupt(new ClosingError())
        else await task?.renew()
      }
    ).catch(
      err => {
        // An outage of Redis has a log line of its own.
        const level = err instanceof StoreUnavailableError ? 'debug' : 'warn'
        request.log[level]({ err }, 'the lease of a running call could not be renewed')
      }
    )
  }

  async function settle (request: FastifyRequest, holding: Holding, end: CallEnd): Promise<void> {
    if (holding.isSettled) return
    holding.isSettled = true
    const state = await calls.settle(request.session, holding.held, end)
    if (state !== null) tellCall(state)
  }

  fastify.decorateRequest('beginHeldCall', function () {
    if (this[kHeld] !== null) this[kHeld].hasBegun = true
  })

  fastify.decorateRequest('noteCallSettled', function (state) {
    if (this[kHeld] !== null) this[kHeld].isSettled = true
    // A question makes a call of one that nothing was kept of before.
    if (this[kHeld] !== null || state === 'input_required') tellCall(state)
  })

  fastify.decorateRequest('settleFailedCall', async function (error) {
    const holding = this[kHeld]
    if (holding === null || holding.isSettled) return
    if (isHandedOn(this)) {
      holding.isSettled = true
      return await this.asyncCall?.task.letGo().catch(err => this.log.debug({ err }, 'a task could not be let go'))
    }
    const answer = fastify.failureAnswer(error as FastifyError, this)
    // Who made the request gives the call back.
    if (this.asyncCall !== null && goesBack(answer)) holding.isSettled = true
    // Should Redis be away, the lease lapses, and the call is unknown: which is true.
    await settle(this, holding, endOf(error, this)).catch(err => {
      this.log.debug({ err }, 'a failed call could not be settled')
    })
  })

  function endOf (error: unknown, request: FastifyRequest): CallEnd {
    const { interruption } = request
    const { statusCode, body, acted } = fastify.failureAnswer(error as FastifyError, request)
    if (interruption instanceof CallCancelledError) return { state: 'cancelled' }
    if (acted === 'no' && request.asyncCall === null) return { state: 'released' }
    const answer = { statusCode, headers: {}, body }
    // Its caller was told of the call, and reads of its failure there. The same request may be sent again.
    if (acted === 'no') return { state: 'failed', answer, freesKey: true }
    // Whoever sends the request again wants to know what became of it, and not that its first caller left.
    const isBrokenOff = error instanceof CallerLeftError || interruption instanceof ClosingError
    return isBrokenOff ? { state: 'unknown' } : { state: 'failed', answer }
  }

  fastify.decorateReply('replayCall', function (call) {
    const { state } = call
    if (state === 'working' || state === 'queued') throw new CallRunningError()
    const { statusCode, headers, body } = answerOf(call)
    if (!this.request.wantsEvents) {
      this.code(statusCode).headers(headers)
      return statusCode >= 400 ? this.sendRecordedFailure(statusCode, body) : this.type(jsonType).send(jsonBody(body))
    }
    return this.sendEvents(async events => {
      for (const [name, value] of Object.entries(headers)) events.note(name, value)
      const event = statusCode >= 400 ? 'error' : state === 'input_required' ? state : 'result'
      return { event, json: body }
    })
  })

  fastify.addHook('preHandler', (request, reply, done) => {
    if (!request.hasSession || !request.routeOptions.config.toolCall) return done()
    const { earlier, call } = request.session
    if (call !== null) request.holdCall({ ...call, round: 0 })
    if (request.asyncCall !== null) request.holdCall(request.asyncCall.held)
    if (earlier === null) return done()
    const stored = calls.opened(request.session, earlier)
    if (stored.digest !== request.callClaim()?.digest) throw new IdempotencyKeyReusedError()
    replay(reply, stored)
  })

  function replay (reply: FastifyReply, stored: StoredCall): void {
    if (stored.state === 'working' || stored.state === 'queued') reply.header('retry-after', '1')
    reply.header('idempotency-replayed', 'true')
    reply.replayCall(stored)
  }
}, {
  name: 'held-calls',
  dependencies: [
    'redis', 'errors', 'caller-signal', 'async-requests', 'after-response', 'server-sent-events', 'idempotency',
    'session'
  ]
})
