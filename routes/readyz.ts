import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { ClosingError } from '../lib/errors.ts'
import { errorResponses } from '../lib/http/schemas.ts'

const ReadySchema = Type.Object(
  { status: Type.Literal('ok') },
  { description: 'Redis answers, and the service is not closing.' }
)

/** Readiness: a load balancer sends requests only to a worker that answers 200. */
export default (async (fastify) => {
  fastify.get('/readyz', {
    config: { probe: true },
    schema: {
      tags: ['operations'],
      summary: 'Check that the service is ready for requests',
      response: {
        200: ReadySchema,
        ...errorResponses({ 503: 'Redis does not answer, or the service is closing.' })
      }
    }
  }, async () => {
    if (fastify.isClosing) throw new ClosingError()
    await fastify.sessions.ping()
    return { status: 'ok' as const }
  })
}) satisfies FastifyPluginAsyncTypebox
