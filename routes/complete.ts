import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import Type, { type Static } from 'typebox'
import {
  AnyObjectSchema, askErrors, asText, jsonType, PromptNameSchema, ServerNameSchema, SessionIdSchema, TextsSchema,
  UriSchema
} from '../lib/http/schemas.ts'
import { objectText, presentMember, textOf } from '../lib/json-text.ts'
import type { Reference } from '../lib/mcp/client/server-client.ts'
import type { CatalogedServer } from '../lib/tools/cataloged-server.ts'

const ReferenceSchema = Type.Union([
  Type.Object({ type: Type.Literal('ref/prompt'), name: PromptNameSchema }),
  Type.Object({ type: Type.Literal('ref/resource'), uri: UriSchema, server: Type.Optional(ServerNameSchema) })
], {
  title: '{"type":"ref/prompt","name"} or {"type":"ref/resource","uri"}',
  description: 'The prompt or the resource template that has the argument.'
})

const BodySchema = Type.Object({
  session_id: SessionIdSchema,
  ref: ReferenceSchema,
  argument: Type.Object({ name: Type.String(), value: Type.String() }, {
    title: 'an object with name and value, both strings',
    description: 'The argument that is being typed, and its text so far.'
  }),
  context: Type.Optional(Type.Object({ arguments: Type.Optional(TextsSchema) }, {
    title: 'an object with arguments',
    description: 'The arguments that have a value already.'
  }))
})

/** Suggests values for an argument while it is being typed. */
export default (async (fastify) => {
  fastify.post('/complete', {
    config: {
      session: true,
      audit: 'complete',
      missing: 'Missing session_id, ref, or argument',
      wants: request => ({ upstreams: request.servers.sessionKeepers })
    },
    schema: {
      tags: ['prompts', 'resources'],
      operationId: 'completeArgument',
      summary: 'Complete an argument of a prompt or of a resource template',
      body: BodySchema,
      response: {
        200: asText(Type.Object({ completion: AnyObjectSchema }, {
          description: 'At most a hundred `values`, with `total` and `hasMore` where the server gives them. ' +
            '`values` is empty where the server has no completions.'
        })),
        ...askErrors
      }
    }
  }, async (request, reply) => {
    const { server, reference } = await resolveReference(request, request.body.ref)
    const argument = request.fieldText('argument') ?? '{}'
    const { bodyDocument: document } = request
    const known = presentMember(presentMember(document.root, 'context'), 'arguments')
    const completion = await request.useServer(server, 'list', (client, limits) =>
      client.complete(reference, argument, known === null ? '{}' : textOf(document, known), limits))
    return reply.type(jsonType).send(objectText([['completion', completion]]))
  })
}) satisfies FastifyPluginAsyncTypebox

/** The server that a reference leads to, and the reference with that server's own names. */
async function resolveReference (
  request: FastifyRequest, ref: Static<typeof ReferenceSchema>
): Promise<{ server: CatalogedServer, reference: Reference }> {
  if (ref.type === 'ref/prompt') {
    const { server, name } = await request.findPrompt(ref.name)
    return { server, reference: { type: ref.type, name } }
  }
  const server = await request.serverOfResource(ref.uri, ref.server)
  return { server, reference: { type: ref.type, uri: ref.uri } }
}
