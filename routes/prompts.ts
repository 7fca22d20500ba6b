import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { AnyObjectSchema, listErrors, ServerErrorsSchema, SessionIdSchema } from '../lib/http/schemas.ts'

/** The prompts that a session may get. */
export default (async (fastify) => {
  fastify.post('/prompts', {
    config: { session: true, missing: 'Missing session_id', wants: request => ({ upstreams: request.servers.sessionKeepers }) },
    schema: {
      tags: ['prompts'],
      summary: 'List the prompts',
      body: Type.Object({ session_id: SessionIdSchema }),
      response: {
        200: Type.Object({ prompts: Type.Array(AnyObjectSchema), errors: Type.Optional(ServerErrorsSchema) }, { description: 'The prompts as their servers describe them; of several servers, named as their tools are.' }),
        ...listErrors
      }
    }
  }, async (request) => {
    const { items, errors } = await request.listPrompts()
    return { prompts: items, ...errors }
  })
}) satisfies FastifyPluginAsyncTypebox
