import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import {
  AnyObjectSchema, askErrors, asText, ContinueSchema, inputRequired, jsonBody, jsonType, ReferenceSchema,
  ResponsesSchema, ServerNameSchema, SessionIdSchema, UriSchema
} from '../lib/http/schemas.ts'
import { contentOfResource } from '../lib/results/reply-content.ts'

const BodySchema = Type.Object({
  session_id: SessionIdSchema,
  uri: Type.Optional({ ...UriSchema, description: 'Required, unless the request has `continue`.' }),
  server: Type.Optional(ServerNameSchema),
  reference: Type.Optional(ReferenceSchema),
  continue: Type.Optional(ContinueSchema),
  responses: Type.Optional(ResponsesSchema)
})

/** Reads a resource. Binary contents are in Base64, as in MCP. */
export default (async (fastify) => {
  fastify.post('/read-resource', {
    config: {
      session: true,
      audit: 'read_resource',
      missing: 'Missing session_id or uri',
      requires: body => body.continue === undefined ? ['uri'] : [],
      wants: request => ({ upstreams: request.servers.sessionKeepers })
    },
    schema: {
      tags: ['resources'],
      operationId: 'readResource',
      summary: 'Read a resource',
      body: BodySchema,
      response: {
        200: asText(Type.Object({ contents: Type.Array(AnyObjectSchema) }, {
          description: 'The contents, each with `uri`, `mimeType`, and `text` or `blob` (Base64). A reference to ' +
            'them where they are kept.'
        })),
        202: inputRequired('The server'),
        ...askErrors
      }
    }
  }, async (request, reply) => {
    const { uri = '', server, continue: token, reference } = request.body
    const refer = request.referring(reference, (name, value) => { reply.header(name, value) })
    const { body: given, isSuspended = false } = token === undefined
      ? await request.readResource(uri, server)
      : await request.resumeReading(token)
    const body = refer === null || isSuspended ? given : await refer(given, () => contentOfResource(given))
    return reply.code(isSuspended ? 202 : 200).type(jsonType).send(jsonBody(body))
  })
}) satisfies FastifyPluginAsyncTypebox
