import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import Type, { type Static } from 'typebox'
import type { Reference } from '../lib/mcp/client/server-client.ts'
import { AnyObjectSchema, askErrors, PromptNameSchema, ServerNameSchema, SessionIdSchema, TextsSchema, UriSchema } from '../lib/http/schemas.ts'
import type { CatalogedServer } from '../lib/tools/server-catalog.ts'

const ReferenceSchema = Type.Union([
  Type.Object({ type: Type.Literal('ref/prompt'), name: PromptNameSchema }),
  Type.Object({ type: Type.Literal('ref/resource'), uri: UriSchema, server: Type.Optional(ServerNameSchema) })
], { title: '{"type":"ref/prompt","name"} or {"type":"ref/resource","uri"}', description: 'What is being filled in: a prompt, or the template of a resource.' })

const BodySchema = Type.Object({
  session_id: SessionIdSchema,
  ref: ReferenceSchema,
  argument: Type.Object({ name: Type.String(), value: Type.String() }, { title: 'an object with name and value, both strings', description: 'The argument that is being typed, and what was typed so far.' }),
  context: Type.Optional(Type.Object({ arguments: Type.Optional(TextsSchema) }, { title: 'an object with arguments', description: 'The arguments that are filled in already.' }))
})

/** Values that an argument may have, for whoever is typing it. */
export default (async (fastify) => {
  fastify.post('/complete', {
    config: { session: true, missing: 'Missing session_id, ref, or argument', wants: request => ({ upstreams: request.servers.sessionKeepers }) },
    schema: {
      tags: ['prompts', 'resources'],
      summary: 'Complete an argument of a prompt or of a resource template',
      body: BodySchema,
      response: {
        200: Type.Object({ completion: AnyObjectSchema }, { description: '`values`, at most a hundred, and `total` and `hasMore` where the server says so; no values where it completes nothing.' }),
        ...askErrors
      }
    }
  }, async (request) => {
    const { ref, argument, context } = request.body
    const { entry, reference } = await find(request, ref)
    const { completion } = await request.ask(entry, (manager, limits) => manager.complete(reference, argument, context?.arguments ?? {}, limits))
    return { completion }
  })
}) satisfies FastifyPluginAsyncTypebox

/** The server of what is being filled in, and what that server calls it. */
async function find (request: FastifyRequest, ref: Static<typeof ReferenceSchema>): Promise<{ entry: CatalogedServer, reference: Reference }> {
  if (ref.type === 'ref/prompt') {
    const { entry, name } = await request.findPrompt(ref.name)
    return { entry, reference: { type: ref.type, name } }
  }
  return { entry: await request.serverOfResource(ref.uri, ref.server), reference: { type: ref.type, uri: ref.uri } }
}
