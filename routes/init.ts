import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import {
  AnySchema, CredentialFields, errorResponses, furtherFields, openErrors, SessionIdSchema, SessionTokenSchema
} from '../lib/http/schemas.ts'

const BodySchema = Type.Object(
  { session_id: SessionIdSchema, ...CredentialFields },
  { additionalProperties: AnySchema, description: furtherFields }
)

const OpenedSchema = Type.Object(
  { status: Type.Literal('ok'), session_token: Type.Optional(SessionTokenSchema) },
  { description: 'The session is open.' }
)

/** Opens a session, or finds it open. Stores nothing unless the validation API accepts the credentials. */
export default (async (fastify) => {
  fastify.post('/init', {
    config: {
      audit: 'init',
      initRate: true,
      parameters: 'body',
      missing: 'Missing session_id, apiUrl, or jwtToken'
    },
    schema: {
      tags: ['sessions'],
      operationId: 'openSession',
      summary: 'Open a session with a user\'s credentials',
      body: BodySchema,
      response: {
        200: OpenedSchema,
        ...openErrors,
        ...errorResponses({ 403: 'The session belongs to another user.' })
      }
    }
  }, async (request, reply) => {
    const { token, notCached } = await request.openSession(String(request.body.session_id), request.body)
    reply.notCached(notCached)
    return { status: 'ok' as const, ...(token !== undefined && { session_token: token }) }
  })
}) satisfies FastifyPluginAsyncTypebox
