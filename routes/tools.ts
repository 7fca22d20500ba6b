import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { AnyObjectSchema, AnySchema, listErrors, ServerErrorsSchema, SessionIdSchema } from '../lib/http/schemas.ts'

/** The tools that a session may call. */
export default (async (fastify) => {
  fastify.post('/tools', {
    config: { session: true, missing: 'Missing session_id', wants: request => ({ upstreams: request.servers.sessionKeepers }) },
    schema: {
      tags: ['tools'],
      summary: 'List the tools',
      body: Type.Object({ session_id: SessionIdSchema }),
      response: {
        200: Type.Object({ tools: Type.Array(AnyObjectSchema), workflow_guidance: AnySchema, errors: Type.Optional(ServerErrorsSchema) }, { description: 'The tools as their server describes them, credentials left out.' }),
        ...listErrors
      }
    }
  }, async (request) => {
    const { tools, instructions, errors } = await request.listTools()
    return { tools, workflow_guidance: fastify.guidance?.workflowGuidance ?? { instructions }, ...errors }
  })
}) satisfies FastifyPluginAsyncTypebox
