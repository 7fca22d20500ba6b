import type { FastifyReply } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * Who may keep a good answer of this route: any cache, where it holds nothing of a caller (`public`), or the
     * caller's own cache, which must ask each time whether it still holds (`private`). Nobody, when left out.
     */
    cache?: 'public' | 'private'
  }
}

/**
 * Edge phase: says of every answer which cache may keep it, which is none for most, and that its type is as it says.
 *
 * Answers hold tokens, values and results of tools. A failure may repeat a caller's own words, so none is kept.
 */
export default fp(async (fastify) => {
  fastify.addHook('onSend', (request, reply, payload, done) => {
    const cache = reply.statusCode < 400 ? request.routeOptions.config.cache : undefined
    if (cache === undefined) reply.header('cache-control', 'no-store')
    if (cache === 'private') {
      reply.header('cache-control', 'private, no-cache')
      addVary(reply, identifyingHeaders)
    }
    reply.header('x-content-type-options', 'nosniff').header('x-request-id', request.id)
    done(null, payload)
  })
}, { name: 'response-headers' })

/** Headers that say who asks and about which session. */
const identifyingHeaders = ['x-session-id', 'authorization', 'x-api-key']

/** Adds names of request headers on which the answer depends. In lower case, as other plugins write theirs. */
export function addVary (reply: FastifyReply, names: readonly string[]): void {
  const known = [reply.getHeader('vary') ?? []].flat().map(String)
  reply.header('vary', [...known, ...names].join(', '))
}
