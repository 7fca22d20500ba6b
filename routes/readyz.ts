import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { ClosingError } from '../lib/errors.ts'
import { errorResponses } from '../lib/http/schemas.ts'

/** Readiness: whether a load balancer should send requests here. */
export default (async (fastify) => {
  fastify.get('/readyz', {
    config: { probe: true },
    schema: {
      tags: ['operations'],
      summary: 'Whether requests should be sent here',
      response: {
        200: Type.Object({ status: Type.Literal('ok') }, { description: 'Redis answers, and the service is not closing.' }),
        ...errorResponses({ 503: 'Redis does not answer, or the service is closing.' })
      }
    }
  }, async () => {
    if (fastify.isClosing) throw new ClosingError()
    await fastify.sessions.ping()
    return { status: 'ok' as const }
  })
}) satisfies FastifyPluginAsyncTypebox
