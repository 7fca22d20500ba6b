import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'

/** Liveness. Asks nobody, Redis least of all: restarting this service does not heal Redis. */
export default (async (fastify) => {
  fastify.get('/livez', {
    config: { probe: true },
    schema: {
      tags: ['operations'],
      summary: 'Whether the process works',
      response: { 200: Type.Object({ status: Type.Literal('ok') }, { description: 'It does.' }) }
    }
  }, async () => ({ status: 'ok' as const }))
}) satisfies FastifyPluginAsyncTypebox
