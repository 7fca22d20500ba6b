import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import {
  AnyObjectSchema, AnySchema, asText, errorResponses, jsonType, PendingServersSchema,
  ServerErrorsSchema, ServerWarningsSchema
} from '../lib/http/schemas.ts'
import { arrayText, objectText } from '../lib/json-text.ts'

/** Lists the tools without a session, for programs that describe them before a user has signed in. */
export default (async (fastify) => {
  fastify.get('/tools-schema', {
    config: { audit: 'list' },
    schema: {
      tags: ['tools'],
      operationId: 'listToolsWithoutSession',
      summary: 'List the tools without a session',
      response: {
        200: asText(Type.Object({
          status: Type.Literal('success'),
          tools: Type.Array(AnyObjectSchema),
          system_info: AnySchema,
          errors: Type.Optional(ServerErrorsSchema),
          warnings: Type.Optional(ServerWarningsSchema),
          pending: Type.Optional(PendingServersSchema)
        }, { description: 'The tools as their servers describe them, without credentials.' })),
        ...errorResponses({
          409: 'The only server needs a session\'s credentials.',
          502: 'The MCP server cannot be started or reached, or it broke off.',
          503: 'Too many requests wait for a server.',
          504: 'The MCP server did not answer in time.'
        })
      }
    }
  }, async (request, reply) => {
    const { items, notes } = await request.listAll('tools')
    return reply.type(jsonType).send(objectText([
      ['status', '"success"'],
      ['tools', arrayText(items)],
      ['system_info', JSON.stringify(fastify.guidance?.systemInfo ?? null)],
      ...notes
    ]))
  })
}) satisfies FastifyPluginAsyncTypebox
