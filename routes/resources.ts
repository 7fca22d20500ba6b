import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { AnyObjectSchema, listErrors, ServerErrorsSchema, SessionIdSchema } from '../lib/http/schemas.ts'

/** The resources that a session may read. */
export default (async (fastify) => {
  fastify.post('/resources', {
    config: { session: true, missing: 'Missing session_id', wants: request => ({ upstreams: request.servers.sessionKeepers }) },
    schema: {
      tags: ['resources'],
      summary: 'List the resources',
      body: Type.Object({ session_id: SessionIdSchema }),
      response: {
        200: Type.Object({ resources: Type.Array(AnyObjectSchema), errors: Type.Optional(ServerErrorsSchema) }, { description: 'The resources as their servers describe them; of several servers, each with its `server`.' }),
        ...listErrors
      }
    }
  }, async (request) => {
    const { items, errors } = await request.listResources('resources')
    return { resources: items, ...errors }
  })
}) satisfies FastifyPluginAsyncTypebox
