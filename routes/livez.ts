import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'

/** Liveness. Does not depend on Redis: a restart of this service does not repair Redis. */
export default (async (fastify) => {
  fastify.get('/livez', {
    config: { probe: true },
    schema: {
      tags: ['operations'],
      operationId: 'checkLife',
      summary: 'Check that the process is alive',
      response: { 200: Type.Object({ status: Type.Literal('ok') }, { description: 'The process answers.' }) }
    }
  }, async () => ({ status: 'ok' as const }))
}) satisfies FastifyPluginAsyncTypebox
