import rateLimit from '@fastify/rate-limit'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { RateLimitError } from '../lib/errors.ts'
import { createRateCounter } from '../lib/redis/rate-counter.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route opens sessions. The limit slows down a caller who tries tokens, or ids of others' sessions. */
    initRate?: boolean
  }
}

type Counted = (error: Error | null, result?: { current: number, ttl: number }) => void

const windowMs = 60_000

/** What is left of a window (requests and ms), and whether the request is one too many. */
interface Verdict { remaining: number, ttl: number, isExceeded: boolean }

/**
 * Session phase: limits how often a session is used and how often an address opens one.
 *
 * A request is counted before its session is loaded: one too many neither restarts the idle TTL nor takes a call slot.
 * A request that cannot be counted is let through: the limits guard the service and are not part of what it does.
 *
 * The requests of a session are counted in the session, and those for none are not: callers make no counters by ids and
 * tokens that they invent.
 */
export default fp(async (fastify) => {
  const { rateLimits: { requestsOfSession, initsOfAddress }, session: { keyPrefix }, redis } = fastify.config
  const { commandTimeoutMs } = redis
  let isLost = false

  /** Logs the first request that cannot be counted (`null`), and the first one that is counted again. */
  async function reported<Count> (counting: Promise<Count>, { log }: FastifyRequest): Promise<Count | null> {
    try {
      const count = await counting
      if (isLost) log.info('rates are counted again')
      isLost = false
      return count
    } catch (err) {
      if (!isLost) log.warn({ err }, 'rates cannot be counted, requests are let through')
      isLost = true
      return null
    }
  }

  function answer (reply: FastifyReply, max: number, { remaining, ttl, isExceeded }: Verdict): void {
    const seconds = Math.ceil(ttl / 1000)
    reply.headers({ 'ratelimit-limit': max, 'ratelimit-remaining': remaining, 'ratelimit-reset': seconds })
    if (!isExceeded) return
    reply.header('retry-after', seconds)
    throw new RateLimitError(seconds)
  }

  if (initsOfAddress > 0) {
    const count = createRateCounter(fastify.redis, { keyPrefix, commandTimeoutMs })

    /** The library's own store would wait for Redis without a limit. */
    class Store {
      incr (key: string, done: Counted, windowMs: number): void {
        count(key, windowMs).then(result => done(null, result), done)
      }

      child (): this {
        return this
      }
    }

    await fastify.register(rateLimit, { global: false, store: Store, skipOnError: false, timeWindow: windowMs })
    const consume = fastify.createRateLimit({
      max: initsOfAddress,
      keyGenerator: ({ callerAddress }) => `init:${rateLimit.normalizeIP(callerAddress, 64)}`
    })
    fastify.addHook('onRequest', async (request, reply) => {
      if (!request.routeOptions.config.initRate) return
      const verdict = await reported(consume(request), request)
      if (verdict === null || verdict.isAllowed) return // nothing was counted
      answer(reply, initsOfAddress, verdict)
    })
  }

  if (requestsOfSession > 0) {
    const limitSession = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
      if (request.asyncCall !== null) return // it was counted when it was accepted
      const ref = refOf(request)
      request.audit({ session: ref }) // a refused request never gets as far as the session plugin
      const rate = { windowMs, most: requestsOfSession }
      const counted = await reported(fastify.sessions.countRequest(ref, rate), request)
      if (counted === null) return
      const { current, ttl } = counted
      const remaining = Math.max(0, requestsOfSession - current)
      answer(reply, requestsOfSession, { remaining, ttl, isExceeded: current > requestsOfSession })
    }
    const hasIdInHeader = (request: FastifyRequest) => request.idInHeader() !== undefined
    fastify.addHook('onRequest', async (request, reply) => {
      if (request.routeOptions.config.session && hasIdInHeader(request)) await limitSession(request, reply)
    })
    fastify.addHook('preHandler', async (request, reply) => {
      if (request.routeOptions.config.session === true && !hasIdInHeader(request)) await limitSession(request, reply)
    })
  }
}, {
  name: 'rate-limits',
  dependencies: ['config', 'redis', 'caller-address', 'async-requests', 'session-reference', 'audit']
})

/** The session of the id in the header, or in the validated body; of an empty id when there is neither. */
function refOf (request: FastifyRequest) {
  const { session_id: idInBody = '' } = (request.body ?? {}) as { session_id?: string | number }
  return request.sessionRef(request.idInHeader() ?? String(idInBody))
}
