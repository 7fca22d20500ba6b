import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { nameOfKey, bearerToken } from '../lib/http/api-keys.ts'
import { ApiKeyError } from '../lib/errors.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Name of the API key that the request came with; `null` where no keys are configured, and for probes. */
    client: string | null
  }
}

/**
 * Who calls. Where API keys are configured, nobody gets an answer without one, not even a 404; only probes do, whose senders
 * have no place for a key.
 */
export default fp(async (fastify) => {
  const { apiKeys } = fastify.config
  fastify.decorateRequest('client', null)
  if (apiKeys === null) {
    // Once there is a port: a start that is refused before says only why.
    fastify.addHook('onListen', async () => fastify.log.warn('MCP_CLIENT_API_KEYS is not set: anyone who reaches the port may call this service'))
    return
  }

  fastify.addHook('onRequest', (request, reply, done) => {
    if (request.routeOptions.config.probe) return done()
    const presented = keyIn(request)
    request.client = presented === undefined ? null : nameOfKey(apiKeys, presented)
    if (request.client !== null) return done()
    reply.header('www-authenticate', 'Bearer')
    done(new ApiKeyError())
  })
}, { name: 'api-keys', dependencies: ['errors', 'origins'] })

/** Where both are there, `Authorization` is not about us. */
function keyIn ({ headers }: FastifyRequest): string | undefined {
  const ownHeader = headers['x-api-key']
  if (ownHeader !== undefined) return String(ownHeader)
  return bearerToken(headers.authorization)
}
