import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { AnySchema, errorResponses, SessionIdSchema } from '../lib/schemas.ts'
import { splitFields } from '../lib/session-fields.ts'

const BodySchema = Type.Object({
  session_id: SessionIdSchema,
  apiUrl: Type.String({ title: 'a string', description: 'http(s) URL of the user\'s API.', examples: ['https://api.example.com'] }),
  jwtToken: Type.String({ title: 'a string', description: 'The user\'s token for that API.', examples: ['header.payload.signature'] })
}, {
  additionalProperties: AnySchema,
  description: 'Further fields: those named in MCP_SENSITIVE_PARAMS are credentials, all others are cached parameters that fill later calls.'
})

/** Opens a session, or finds it open. Nothing is stored unless the API accepts the credentials. */
export default (async (fastify) => {
  const { sessions, validateCredentials, config } = fastify

  fastify.post('/init', {
    config: { missing: 'Missing session_id, apiUrl, or jwtToken' },
    schema: {
      tags: ['sessions'],
      summary: 'Open a session with a user\'s credentials',
      body: BodySchema,
      response: {
        200: Type.Object({ status: Type.Literal('ok') }, { description: 'The session is open.' }),
        ...errorResponses({
          400: 'A field is missing or wrong.',
          401: 'The credentials were not accepted.',
          502: 'The validation API cannot be reached or gave no verdict.',
          503: 'Redis does not answer.',
          504: 'The validation API did not answer in time.'
        })
      }
    }
  }, async (request) => {
    const { session_id: givenId, ...fields } = request.body
    const id = String(givenId)
    const opened = splitFields(fields, config.sensitiveParams)

    if (await sessions.findOwner(id) === opened.owner) {
      const session = await sessions.load(id)
      if (session !== null && await sessions.write(session, opened.values)) return { status: 'ok' as const }
    }
    await validateCredentials(request.body, request.callerSignal)
    await sessions.create(id, opened)
    return { status: 'ok' as const }
  })
}) satisfies FastifyPluginAsyncTypebox
