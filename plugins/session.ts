import fp from 'fastify-plugin'
import type { FastifyRequest } from 'fastify'
import { clearAlarm, setAlarm } from '../lib/alarms.ts'
import { MissingFieldError, SessionNotFoundError, StoreUnavailableError } from '../lib/errors.ts'
import type { CallSlot } from '../lib/sessions/call-slot.ts'
import type { LoadOptions, Session } from '../lib/sessions/session.ts'
import { inPhase } from '../lib/telemetry/channels.ts'

const kSession = Symbol('session')
const kSlot = Symbol('slot')

declare module 'fastify' {
  interface FastifyRequest {
    /** The caller's session. Reading it on a route without `config.session` throws. */
    readonly session: Session
    /** Whether there is one: false on a route without `config.session`. */
    readonly hasSession: boolean
    /**
     * Holds one of the session's call slots until the request is over; a tool call does so from its beginning. For
     * requests that start or ask a server, so that one session cannot keep others from theirs. Rejects with
     * TooManyCallsError. `null` where it holds one already, or there is no session.
     */
    holdSlot: () => Promise<void> | null
    [kSession]: Session | null
    [kSlot]: Promise<void> | null
  }
  interface FastifyContextConfig {
    /**
     * Load the caller's session before the handler runs; answer 409 when there is none. `optional`: only a session that
     * the request names in the header.
     */
    session?: boolean | 'optional'
    /** The request is a tool call: it holds one of the session's call slots. Answer 429 when all are taken. */
    toolCall?: boolean
    /** Names of fields to read along with the session, as far as the body says. They cost no further round trip. */
    wants?: (request: FastifyRequest) => Pick<LoadOptions, 'values' | 'upstreams'>
  }
}

/**
 * Session phase: loads the caller's session and restarts its idle TTL, in one round trip to Redis.
 *
 * An id in the header is loaded in onRequest, before the body is read. An id in the body is loaded in preHandler, after
 * the body was parsed and validated.
 */
export default fp(async (fastify) => {
  fastify.decorateRequest(kSession, null)
  fastify.decorateRequest(kSlot, null)
  fastify.decorateRequest('session', {
    getter () {
      const session = this[kSession]
      if (session === null) throw new Error(`${this.routeOptions.url} reads a session without config.session`)
      return session
    }
  })

  fastify.decorateRequest('hasSession', {
    getter () {
      return this[kSession] !== null
    }
  })

  async function load (request: FastifyRequest, id: string): Promise<void> {
    const { toolCall = false, wants } = request.routeOptions.config
    // A call that is only accepted takes its slot when it begins.
    const takeSlot = toolCall && !request.wantsAsync
    const ref = request.sessionRef(id)
    request.audit({ session: ref })
    const claim = takeSlot ? request.callClaim() : null
    // In onRequest the body of a POST is still to come.
    const isKnown = request.body !== undefined || request.method !== 'POST'
    const session = request.asyncCall?.session ?? await inPhase('session', {}, async () => {
      const session = await fastify.sessions.load(ref, { takeSlot, claim, ...(isKnown && wants?.(request)) })
      if (session === null) throw new SessionNotFoundError(id)
      return session
    })
    request[kSession] = session
    if (session.isStale) request.defer(() => fastify.sessions.reseal(session))
    if (session.slot !== null) keepSlot(request, session.slot)
  }

  fastify.decorateRequest('holdSlot', function () {
    const session = this[kSession]
    if (session === null || session.slot !== null) return null
    this[kSlot] ??= fastify.sessions.takeSlot(session).then(slot => keepSlot(this, slot))
    return this[kSlot]
  })

  /** Renews a call's slot until the request is over. Should this worker die before, the slot lapses. */
  function keepSlot (request: FastifyRequest, slot: CallSlot): void {
    let alarm = setAlarm(slot.renewEveryMs, renew)
    function renew (): void {
      alarm = setAlarm(slot.renewEveryMs, renew)
      slot.renew().catch(err => {
        // An outage of Redis has a log line of its own.
        const level = err instanceof StoreUnavailableError ? 'debug' : 'warn'
        request.log[level]({ err }, 'the slot of a running call could not be renewed')
      })
    }
    request.defer(async () => {
      clearAlarm(alarm)
      await slot.release()
    })
  }

  // Neither hook makes a promise for the many requests that have nothing to wait for.
  fastify.addHook('onRequest', (request, _reply, done) => {
    const { session, sessionInHeader = false } = request.routeOptions.config
    if (!session) return done()
    const id = request.idInHeader()
    if (id === undefined && sessionInHeader) throw new MissingFieldError('Missing X-Session-Id')
    // What these calls ask is known once their bodies are read, and a repeatable one begins as its session is loaded.
    if (id === undefined || request.isRepeatable || request.wantsAsync) return done()
    load(request, id).then(() => done(), done)
  })

  fastify.addHook('preHandler', (request, _reply, done) => {
    const { session, sessionInHeader = false } = request.routeOptions.config
    if (session !== true || request[kSession] !== null) return done()
    const { session_id: idInBody } = (request.body ?? {}) as { session_id?: string | number }
    const id = sessionInHeader ? request.idInHeader() : idInBody
    if (id === undefined) throw new MissingFieldError('Missing X-Session-Id')
    load(request, String(id)).then(() => done(), done)
  })
}, {
  name: 'session',
  dependencies: [
    'redis', 'session-reference', 'audit', 'after-response', 'async-requests', 'idempotency',
    'rate-limits' // order: a request too many must not restart the idle TTL
  ]
})
