import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { AnySchema, errorResponses, SessionIdSchema } from '../lib/schemas.ts'

const ParamsSchema = Type.Unsafe<Record<string, unknown> | null>({
  type: ['object', 'null'],
  additionalProperties: true,
  description: 'Arguments of the tool. What is left out is filled from the session, where it knows a value of that name.'
})

/** Calls a tool. The reply is the tool's result; its status speaks of the service, `status` in its body of the tool. */
export default (async (fastify) => {
  fastify.post('/call-tool', {
    config: { session: true, missing: 'Missing session_id or tool name' },
    schema: {
      tags: ['tools'],
      summary: 'Call a tool',
      body: Type.Object({
        session_id: SessionIdSchema,
        tool: Type.String({ maxLength: 1_024, title: 'a string of at most 1024 characters', examples: ['list_sources'] }),
        params: Type.Optional(ParamsSchema)
      }),
      response: {
        200: { ...AnySchema, description: 'What the tool gave, without its intermediate data; `{"status":"error","error":…}` when it failed.' },
        ...errorResponses({
          400: 'A field is missing or wrong, or the tool refused its arguments.',
          404: 'There is no such tool.',
          409: 'There is no such session.',
          502: 'The MCP server cannot be started or broke off.',
          503: 'Redis does not answer.',
          504: 'The tool did not answer in time.'
        })
      }
    }
  }, async (request, reply) => {
    const { tool, params } = request.body
    const { body, notCached } = await request.callTool(tool, params ?? {})
    if (notCached.length > 0) reply.header('x-mcp-not-cached', notCached.map(encodeURIComponent).join(', '))
    return reply.type('application/json; charset=utf-8').send(body)
  })
}) satisfies FastifyPluginAsyncTypebox
