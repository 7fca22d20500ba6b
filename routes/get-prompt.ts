import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { AnyObjectSchema, askErrors, PromptNameSchema, SessionIdSchema, TextsSchema } from '../lib/http/schemas.ts'

/** Gives a prompt, filled with its arguments. */
export default (async (fastify) => {
  fastify.post('/get-prompt', {
    config: {
      session: true,
      missing: 'Missing session_id or name',
      wants: request => ({ upstreams: request.servers.sessionKeepers })
    },
    schema: {
      tags: ['prompts'],
      summary: 'Get a prompt',
      body: Type.Object({
        session_id: SessionIdSchema, name: PromptNameSchema, arguments: Type.Optional(TextsSchema)
      }),
      response: {
        200: Type.Object({ description: Type.Optional(Type.String()), messages: Type.Array(AnyObjectSchema) }, {
          description: 'The messages as the server gives them.'
        }),
        ...askErrors
      }
    }
  }, async (request) => {
    const { name: exposedName, arguments: args = {} } = request.body
    const { server, name } = await request.findPrompt(exposedName)
    const { description, messages } = await request.useServer(server, 'list', (client, limits) =>
      client.getPrompt(name, args, limits))
    return { ...(description !== undefined && { description }), messages }
  })
}) satisfies FastifyPluginAsyncTypebox
