import type { IncomingMessage } from 'node:http'
import fp from 'fastify-plugin'
import { createCallerAddress } from '../lib/http/caller-address.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The caller's IP address, as the trusted proxies report it; empty over a unix socket. */
    readonly callerAddress: string
  }
}

/**
 * Edge phase: knows the address that a request comes from.
 *
 * Fastify's `trustProxy` does not serve: it is a server option, which plain `fastify start` does not apply, and it
 * would also believe `X-Forwarded-Host`.
 */
export default fp(async (fastify) => {
  const callerAddress = createCallerAddress(fastify.config.trustedProxies)
  fastify.decorateRequest('callerAddress', {
    getter () {
      return callerAddress(this.raw as IncomingMessage)
    }
  })
}, { name: 'caller-address', dependencies: ['config'] })
