import rateLimit from '@fastify/rate-limit'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { digestOf } from '../lib/digest.ts'
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

/**
 * Session phase: limits how often a session is used and how often an address opens one.
 *
 * A request is counted before its session is loaded: one too many neither restarts the idle TTL nor takes a call slot.
 * A request that cannot be counted is let through: the limits guard the service and are not part of what it does.
 */
export default fp(async (fastify) => {
  const { rateLimits: { requestsOfSession, initsOfAddress }, session, redis } = fastify.config

  const count = createRateCounter(fastify.redis, {
    keyPrefix: session.keyPrefix,
    commandTimeoutMs: redis.commandTimeoutMs,
    onLost: err => fastify.log.warn({ err }, 'rates cannot be counted, requests are let through'),
    onRestored: () => fastify.log.info('rates are counted again')
  })

  /** The library's own store would wait for Redis without a limit. */
  class Store {
    incr (key: string, done: Counted, windowMs: number): void {
      count(key, windowMs).then(result => done(null, result), done)
    }

    child (): this {
      return this
    }
  }

  await fastify.register(rateLimit, { global: false, store: Store, skipOnError: true, timeWindow: windowMs })

  const createLimit = (max: number, keyGenerator: (request: FastifyRequest) => string) => {
    const consume = fastify.createRateLimit({ max, keyGenerator })
    return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
      const verdict = await consume(request)
      if (verdict.isAllowed || verdict.ttl === 0) return // nothing was counted
      const { remaining, ttlInSeconds, isExceeded } = verdict
      reply.headers({ 'ratelimit-limit': max, 'ratelimit-remaining': remaining, 'ratelimit-reset': ttlInSeconds })
      if (!isExceeded) return
      reply.header('retry-after', ttlInSeconds)
      throw new RateLimitError(ttlInSeconds)
    }
  }

  if (initsOfAddress > 0) {
    const limit = createLimit(initsOfAddress, ({ callerAddress }) => `init:${rateLimit.normalizeIP(callerAddress, 64)}`)
    fastify.addHook('onRequest', async (request, reply) => {
      if (request.routeOptions.config.initRate) await limit(request, reply)
    })
  }

  if (requestsOfSession > 0) {
    // The token counts, too: a caller who knows only the id of another's session must not use up its rate. The key is a
    // hash, because an id alone may open a session.
    const limit = createLimit(requestsOfSession, request => `session:${digestOf(Object.values(refOf(request)))}`)
    const limitSession = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
      request.audit({ session: refOf(request) }) // a refused request never gets as far as the session plugin
      await limit(request, reply)
    }
    const hasIdInHeader = (request: FastifyRequest) => request.idInHeader() !== undefined
    fastify.addHook('onRequest', async (request, reply) => {
      if (request.routeOptions.config.session && hasIdInHeader(request)) await limitSession(request, reply)
    })
    fastify.addHook('preHandler', async (request, reply) => {
      if (request.routeOptions.config.session && !hasIdInHeader(request)) await limitSession(request, reply)
    })
  }
}, { name: 'rate-limits', dependencies: ['config', 'redis', 'caller-address', 'session-reference', 'audit'] })

/** The session of the id in the header, or in the validated body; of an empty id when there is neither. */
function refOf (request: FastifyRequest) {
  const { session_id: idInBody = '' } = (request.body ?? {}) as { session_id?: string | number }
  return request.sessionRef(request.idInHeader() ?? String(idInBody))
}
