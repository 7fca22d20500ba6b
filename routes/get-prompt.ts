import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import {
  AnyObjectSchema, askErrors, asText, ContinueSchema, inputRequired, jsonBody, jsonType, PromptNameSchema,
  ResponsesSchema, SessionIdSchema, TextsSchema
} from '../lib/http/schemas.ts'

const BodySchema = Type.Object({
  session_id: SessionIdSchema,
  name: Type.Optional({ ...PromptNameSchema, description: 'Required, unless the request has `continue`.' }),
  arguments: Type.Optional(TextsSchema),
  continue: Type.Optional(ContinueSchema),
  responses: Type.Optional(ResponsesSchema)
})

/** Gives a prompt, filled with its arguments. */
export default (async (fastify) => {
  fastify.post('/get-prompt', {
    config: {
      session: true,
      audit: 'get_prompt',
      missing: 'Missing session_id or name',
      requires: body => body.continue === undefined ? ['name'] : [],
      wants: request => ({ upstreams: request.servers.sessionKeepers })
    },
    schema: {
      tags: ['prompts'],
      operationId: 'getPrompt',
      summary: 'Get a prompt',
      body: BodySchema,
      response: {
        200: asText(Type.Object({ description: Type.Optional(Type.String()), messages: Type.Array(AnyObjectSchema) }, {
          description: 'The messages as the server gives them.'
        })),
        202: inputRequired('The server'),
        ...askErrors
      }
    }
  }, async (request, reply) => {
    const { name = '', continue: token } = request.body
    const { body, isSuspended } = token === undefined
      ? await request.getPrompt(name)
      : await request.resumePrompt(token)
    return reply.code(isSuspended ? 202 : 200).type(jsonType).send(jsonBody(body))
  })
}) satisfies FastifyPluginAsyncTypebox
