import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { nameOfKey, bearerToken } from '../lib/http/api-keys.ts'
import { ApiKeyError } from '../lib/errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Part of a page that asks for the API key itself. It needs none, and says nothing of users or servers. */
    isPage?: boolean
  }
  interface FastifyRequest {
    /** Name of the API key that the request came with; `null` where no keys are configured, and for a probe without. */
    client: string | null
  }
}

const warning = 'MCP_CLIENT_API_KEYS is not set: anyone who reaches the port may call this service'

/**
 * Edge phase: refuses requests without an API key, where keys are configured.
 *
 * A request without a key learns nothing, not even that a path does not exist. Only probes need no key, because load
 * balancers cannot send one, and the files of the page `/docs`, where a person enters it.
 */
export default fp(async (fastify) => {
  const { apiKeys } = fastify.config
  fastify.decorateRequest('client', null)
  if (apiKeys === null) {
    // Only once there is a port: a start that fails before that says only why.
    fastify.addHook('onListen', async () => fastify.log.warn(warning))
    return
  }

  fastify.addHook('onRequest', (request, reply, done) => {
    if (request.asyncCall !== null) {
      request.client = request.asyncCall.ref.client
      return done()
    }
    const presented = keyIn(request)
    request.client = presented === undefined ? null : nameOfKey(apiKeys, presented)
    const { probe, isPage } = request.routeOptions.config
    if (request.client !== null || probe || isPage) return done()
    reply.header('www-authenticate', 'Bearer')
    done(new ApiKeyError())
  })
}, {
  name: 'api-keys',
  dependencies: [
    'config', 'async-requests',
    'origins' // order: a browser's preflight carries no key
  ]
})

/** With an `X-API-Key`, `Authorization` holds something else: a session's token. */
function keyIn ({ headers }: FastifyRequest): string | undefined {
  const ownHeader = headers['x-api-key']
  if (ownHeader !== undefined) return String(ownHeader)
  return bearerToken(headers.authorization)
}
