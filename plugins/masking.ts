import fp from 'fastify-plugin'
import { createMask, type Mask, maskedCredentials } from '../lib/mask.ts'
import { operatorSecrets } from '../lib/mcp/servers-file/operator-secrets.ts'
import type { CatalogedServer } from '../lib/tools/cataloged-server.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * Masks what a server says, before the caller gets it: the session's credentials, and the secrets of the server's
     * entry. For failed results, progress, log messages and questions. A result that did not fail is never altered.
     */
    maskFor: (server: CatalogedServer) => Mask
  }
}

/** MCP phase: knows what must not be passed on, although a server says it. */
export default fp(async (fastify) => {
  const { maskedParams } = fastify.config

  fastify.decorateRequest('maskFor', function ({ server: { spec } }) {
    let mask: Mask | null = null // most answers need none
    return text => {
      mask ??= createMask([
        ...maskedCredentials(this.session.credentials, maskedParams),
        ...spec.kind === 'faulty' ? [] : operatorSecrets(spec)
      ])
      return mask(text)
    }
  })
}, { name: 'masking', dependencies: ['config', 'session'] })
