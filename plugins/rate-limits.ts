import rateLimit from '@fastify/rate-limit'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { digestOf } from '../lib/digest.ts'
import { RateLimitError } from '../lib/errors.ts'
import { createRateCounter } from '../lib/redis/rate-counter.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Opens sessions: counted by the caller's address, which slows down who tries tokens, or ids of others' sessions. */
    initRate?: boolean
  }
}

const windowMs = 60_000

/**
 * How often somebody may ask, counted before the session is loaded: a request too many neither restarts its idle TTL nor takes
 * one of its places. What cannot be counted is let through: the limits guard the service, and are no part of what it does.
 */
export default fp(async (fastify) => {
  const { rateLimits: { requestsOfSession, initsOfAddress }, session: { keyPrefix }, redis: { commandTimeoutMs } } = fastify.config

  const count = createRateCounter(fastify.redis, {
    keyPrefix,
    commandTimeoutMs,
    onLost: err => fastify.log.warn({ err }, 'rates cannot be counted, requests are let through'),
    onRestored: () => fastify.log.info('rates are counted again')
  })

  /** The library's own would wait for Redis as long as it takes. */
  class Store {
    incr (key: string, done: (error: Error | null, result?: { current: number, ttl: number }) => void, windowMs: number): void {
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
    // With its token: a caller who knows only the id of somebody's session cannot use up its rate. Hashed, because an id alone opens a session.
    const limit = createLimit(requestsOfSession, request => `session:${digestOf(Object.values(request.claim(idOf(request))))}`)
    const hasIdInHeader = (request: FastifyRequest) => request.idInHeader() !== undefined
    fastify.addHook('onRequest', async (request, reply) => {
      if (request.routeOptions.config.session && hasIdInHeader(request)) await limit(request, reply)
    })
    fastify.addHook('preHandler', async (request, reply) => {
      if (request.routeOptions.config.session && !hasIdInHeader(request)) await limit(request, reply)
    })
  }
}, { name: 'rate-limits', dependencies: ['redis', 'clients', 'caller-address'] })

/** Whichever way it came, and was checked; empty when it did not come. */
function idOf (request: FastifyRequest): string {
  const { session_id: idInBody = '' } = (request.body ?? {}) as { session_id?: string | number }
  return request.idInHeader() ?? String(idInBody)
}
