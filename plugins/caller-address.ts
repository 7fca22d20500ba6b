import type { IncomingMessage } from 'node:http'
import fp from 'fastify-plugin'
import { createCallerAddress } from '../lib/http/caller-address.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The IP address of whoever calls, behind the proxies that are trusted; empty over a unix socket. */
    readonly callerAddress: string
  }
}

/** Not Fastify's `trustProxy`: that is an option of the server, which plain `fastify start` does not apply, and would also believe `X-Forwarded-Host`. */
export default fp(async (fastify) => {
  const callerAddress = createCallerAddress(fastify.config.trustedProxies)
  fastify.decorateRequest('callerAddress', {
    getter () {
      return callerAddress(this.raw as IncomingMessage)
    }
  })
}, { name: 'caller-address', dependencies: ['config'] })
