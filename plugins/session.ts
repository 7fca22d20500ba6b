import fp from 'fastify-plugin'
import type { FastifyRequest } from 'fastify'
import { bearerToken } from '../lib/http/api-keys.ts'
import { BadRequestError, InvalidFieldError, MissingFieldError, SessionNotFoundError, StoreUnavailableError } from '../lib/errors.ts'
import { sessionIdHeader, sessionIdPattern } from '../lib/http/schemas.ts'
import { isJsonObject } from '../lib/json.ts'
import type { CallSlot } from '../lib/sessions/call-slot.ts'
import type { LoadOptions, Session } from '../lib/sessions/session.ts'
import type { SessionRef } from '../lib/sessions/session-ref.ts'

const kSession = Symbol('session')

declare module 'fastify' {
  interface FastifyRequest {
    /** The caller's session. Reading it on a route without `config.session` throws. */
    readonly session: Session
    /** Whether there is one: false on a route without `config.session`. */
    readonly hasSession: boolean
    /** What the request says of the session of this id, which is the one that it is about. */
    claim: (id: string) => SessionRef
    /** The session's id in the header; `undefined` where there is none. Throws InvalidFieldError. */
    idInHeader: () => string | undefined
    [kSession]: Session | null
  }
  interface FastifyContextConfig {
    /** Load the caller's session before the handler runs; answer 409 when there is none. */
    session?: boolean
    /** The request is a tool call: it takes one of the session's places while it runs, and is answered 429 when there is none. */
    toolCall?: boolean
    /** What the request will want of the session, as far as its body tells. Read with the session, it costs no round trip. */
    wants?: (request: FastifyRequest) => Pick<LoadOptions, 'valueNames' | 'upstreams'>
  }
}

/**
 * Second chapter of a request: find the session and push its expiry back by the full idle TTL.
 *
 * An id in the `x-session-id` header is loaded in onRequest, before the body is read; an id in the body can only be loaded
 * once the body is parsed and checked. Either way one round trip to Redis.
 */
export default fp(async (fastify) => {
  fastify.decorateRequest(kSession, null)
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

  const { sessionTokens } = fastify.config

  fastify.decorateRequest('claim', function (id) {
    const claim = { id, client: this.client, ...(sessionTokens && { token: bearerToken(this.headers.authorization) ?? '' }) }
    this.audit({ claim })
    return claim
  })

  fastify.decorateRequest('idInHeader', function () {
    return idInHeader(this)
  })

  async function load (request: FastifyRequest, id: string): Promise<void> {
    const { toolCall: takeSlot = false, wants } = request.routeOptions.config
    // In onRequest there is no body yet to tell.
    const session = await fastify.sessions.load(request.claim(id), { takeSlot, ...(request.body !== undefined && wants?.(request)) })
    if (session === null) throw new SessionNotFoundError(id)
    request[kSession] = session
    if (session.isStale) request.defer(() => fastify.sessions.reseal(session))
    if (session.slot !== null) holdSlot(request, session.slot)
  }

  /** Renews a call's slot until the request is over. Should this worker die before, the slot lapses. */
  function holdSlot (request: FastifyRequest, slot: CallSlot): void {
    const timer = setInterval(() => {
      slot.renew().catch(err => {
        // An outage of Redis has a log line of its own.
        const level = err instanceof StoreUnavailableError ? 'debug' : 'warn'
        request.log[level]({ err }, 'the slot of a running call could not be renewed')
      })
    }, slot.renewEveryMs)
    request.defer(async () => {
      clearInterval(timer)
      await slot.release()
    })
  }

  fastify.addHook('onRequest', async (request) => {
    if (!request.routeOptions.config.session) return
    const id = idInHeader(request)
    if (id !== undefined) await load(request, id)
  })

  // Every route that knows sessions takes the id in either place; its schema then sees it in the body.
  fastify.addHook('preValidation', (request, reply, done) => {
    if (request.method !== 'POST') return done()
    const id = idInHeader(request)
    if (id === undefined || !isJsonObject(request.body)) return done()
    const { session_id: idInBody } = request.body
    if (idInBody === undefined || idInBody === null || idInBody === '') request.body.session_id = id
    // What cannot be an id the schema refuses, by its own name.
    else if ((typeof idInBody === 'string' || typeof idInBody === 'number') && String(idInBody) !== id) {
      return done(new BadRequestError(`session_id and the header ${sessionIdHeader} name different sessions`))
    }
    done()
  })

  fastify.addHook('preHandler', async (request) => {
    if (!request.routeOptions.config.session || request[kSession] !== null) return
    const { session_id: id } = (request.body ?? {}) as { session_id?: string | number }
    if (id === undefined) throw new MissingFieldError('Missing X-Session-Id')
    await load(request, String(id))
  })
}, { name: 'session', dependencies: ['errors', 'clients', 'audit', 'rate-limits', 'redis', 'after-response'] })

const pattern = new RegExp(sessionIdPattern, 'u')

/** Headers are bytes to HTTP and Latin-1 to Node; ids are UTF-8, and counted in characters, here as in a body. */
function idInHeader (request: FastifyRequest): string | undefined {
  const value = request.headers[sessionIdHeader]
  if (value === undefined || value === '') return undefined
  const id = Buffer.from(String(value), 'latin1').toString('utf8')
  if ([...id].length > 256 || !pattern.test(id) || id.includes('\uFFFD')) throw new InvalidFieldError(sessionIdHeader, 'a string of 1 to 256 characters without control characters')
  return id
}
