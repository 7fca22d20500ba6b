import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { ClosingError, LearningError } from '../lib/errors.ts'
import { errorResponses } from '../lib/http/schemas.ts'

const ReadySchema = Type.Object(
  { status: Type.Literal('ok') },
  { description: 'Redis answers, what the MCP servers offer is known, and the service is not closing.' }
)

/** Readiness: a load balancer sends requests only to a worker that answers 200. */
export default (async (fastify) => {
  let startedAt = 0
  fastify.addHook('onListen', async () => { startedAt = performance.now() })

  fastify.get('/readyz', {
    config: { probe: true },
    schema: {
      tags: ['operations'],
      operationId: 'checkReadiness',
      summary: 'Check that the service is ready for requests',
      response: {
        200: ReadySchema,
        ...errorResponses({ 503: 'Redis does not answer, or the service is still starting, or closing.' })
      }
    }
  }, async () => {
    if (fastify.isClosing) throw new ClosingError()
    await fastify.sessions.ping()
    const unknown = fastify.serverCatalog().all.filter(({ isPending }) => isPending).map(({ name }) => name)
    const isStarting = performance.now() < startedAt + fastify.config.learning.readyWaitMs
    if (unknown.length > 0 && isStarting) throw new LearningError(unknown.join(', '))
    return { status: 'ok' as const }
  })
}) satisfies FastifyPluginAsyncTypebox
