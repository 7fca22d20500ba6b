import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { EndedSchema, errorResponses, SessionIdSchema } from '../lib/http/schemas.ts'

/** Ends a session and its sessions at MCP servers. The answer is the same when there was no session. */
export default (async (fastify) => {
  fastify.post('/shutdown', {
    config: { audit: 'shutdown', missing: 'Missing session_id' },
    schema: {
      tags: ['sessions'],
      operationId: 'endSession',
      summary: 'End a session',
      body: Type.Object({ session_id: SessionIdSchema }),
      response: {
        200: EndedSchema,
        ...errorResponses({ 400: 'session_id is missing or wrong.', 503: 'Redis does not answer.' })
      }
    }
  }, async (request) => {
    const id = String(request.body.session_id)
    await request.endSession(id)
    return { status: 'ok' as const, message: `Session ${id} shut down.` }
  })
}) satisfies FastifyPluginAsyncTypebox
