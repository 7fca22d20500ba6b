import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { AnyObjectSchema, askErrors, ServerNameSchema, SessionIdSchema, UriSchema } from '../lib/http/schemas.ts'

/** Reads a resource. Binary contents are in Base64, as in MCP. */
export default (async (fastify) => {
  fastify.post('/read-resource', {
    config: {
      session: true,
      missing: 'Missing session_id or uri',
      wants: request => ({ upstreams: request.servers.sessionKeepers })
    },
    schema: {
      tags: ['resources'],
      summary: 'Read a resource',
      body: Type.Object({ session_id: SessionIdSchema, uri: UriSchema, server: Type.Optional(ServerNameSchema) }),
      response: {
        200: Type.Object({ contents: Type.Array(AnyObjectSchema) }, {
          description: 'The contents, each with `uri`, `mimeType`, and `text` or `blob` (Base64).'
        }),
        ...askErrors
      }
    }
  }, async (request) => {
    const { uri, server: name } = request.body
    const server = await request.serverOfResource(uri, name)
    const { contents } = await request.useServer(server, 'list', (client, limits) => client.readResource(uri, limits))
    return { contents }
  })
}) satisfies FastifyPluginAsyncTypebox
