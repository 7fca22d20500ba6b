import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { AnySchema, CredentialFields, errorResponses, furtherFields, openErrors, SessionIdSchema, SessionTokenSchema } from '../lib/http/schemas.ts'

/** Opens a session, or finds it open. Nothing is stored unless the API accepts the credentials. */
export default (async (fastify) => {
  fastify.post('/init', {
    config: { audit: 'init', initRate: true, parameters: 'body', missing: 'Missing session_id, apiUrl, or jwtToken' },
    schema: {
      tags: ['sessions'],
      summary: 'Open a session with a user\'s credentials',
      body: Type.Object({ session_id: SessionIdSchema, ...CredentialFields }, { additionalProperties: AnySchema, description: furtherFields }),
      response: {
        200: Type.Object({ status: Type.Literal('ok'), session_token: Type.Optional(SessionTokenSchema) }, { description: 'The session is open.' }),
        ...openErrors,
        ...errorResponses({ 403: 'The session is another user\'s.' })
      }
    }
  }, async (request, reply) => {
    const { session_id: id, ...fields } = request.body
    const { token, notCached } = await request.openSession(String(id), fields)
    reply.notCached(notCached)
    return { status: 'ok' as const, ...(token !== undefined && { session_token: token }) }
  })
}) satisfies FastifyPluginAsyncTypebox
