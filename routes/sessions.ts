import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { AnySchema, CredentialFields, furtherFields, openErrors, SessionTokenSchema } from '../lib/http/schemas.ts'
import { createSessionId } from '../lib/sessions/session-ref.ts'

const OpenedSchema = Type.Object({
  status: Type.Literal('ok'),
  session_id: Type.String({ description: 'Id of the session: 192 random bits.' }),
  session_token: Type.Optional(SessionTokenSchema)
}, { description: 'The session is open.' })

/** Opens a session under a new id that cannot be guessed. */
export default (async (fastify) => {
  fastify.post('/sessions', {
    config: {
      audit: 'init',
      initRate: true,
      parameters: 'body',
      missing: 'Missing apiUrl or jwtToken',
      refused: { session_id: 'absent: the service makes the id' }
    },
    schema: {
      tags: ['sessions'],
      operationId: 'createSession',
      summary: 'Open a session under a new id',
      body: Type.Object(CredentialFields, { additionalProperties: AnySchema, description: furtherFields }),
      response: {
        201: OpenedSchema,
        ...openErrors
      }
    }
  }, async (request, reply) => {
    const id = createSessionId()
    const { token, notCached } = await request.openSession(id, request.body)
    reply.notCached(notCached).code(201)
    return { status: 'ok' as const, session_id: id, ...(token !== undefined && { session_token: token }) }
  })
}) satisfies FastifyPluginAsyncTypebox
