import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { AnyObjectSchema, AnySchema, errorResponses, ServerErrorsSchema } from '../lib/http/schemas.ts'

/** Lists the tools without a session, for programs that describe them before a user has signed in. */
export default (async (fastify) => {
  fastify.get('/tools-schema', {
    schema: {
      tags: ['tools'],
      summary: 'List the tools without a session',
      response: {
        200: Type.Object({
          status: Type.Literal('success'),
          tools: Type.Array(AnyObjectSchema),
          system_info: AnySchema,
          errors: Type.Optional(ServerErrorsSchema)
        }, { description: 'The tools as their servers describe them, without credentials.' }),
        ...errorResponses({
          409: 'The only server needs a session\'s credentials.',
          502: 'The MCP server cannot be started or reached, or it broke off.',
          503: 'Too many requests wait for a server.',
          504: 'The MCP server did not answer in time.'
        })
      }
    }
  }, async (request) => {
    const { items, errors } = await request.listAll('tools')
    return { status: 'success' as const, tools: items, system_info: fastify.guidance?.systemInfo ?? null, ...errors }
  })
}) satisfies FastifyPluginAsyncTypebox
