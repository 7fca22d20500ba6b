import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { InvalidFieldError, SessionNotFoundError, ValueNotWritableError } from '../lib/errors.ts'
import { AnySchema, errorResponses, SessionHeaderSchema } from '../lib/http/schemas.ts'
import { memberTexts } from '../lib/json-text.ts'
import { keptAs } from '../lib/sessions/values.ts'
import { callerOrigin } from '../lib/value-origin.ts'

const failures = errorResponses({
  400: 'The header is missing or wrong, or a name is one of a credential.',
  403: 'The value is an argument that the operator gives to a tool.',
  409: 'There is no such session.',
  503: 'Redis does not answer.'
})

/** Puts values into the caller's own session, and takes them out, without a call of a tool. */
export default (async (fastify) => {
  const { sessions, config: { sensitiveParams } } = fastify

  function refuseCredential (name: string): void {
    if (sensitiveParams.includes(name)) {
      throw new InvalidFieldError(name, 'absent: it is a credential, which /init sets')
    }
  }

  fastify.put('/session/values', {
    config: {
      session: true,
      audit: 'values',
      parameters: 'body',
      refused: { session_id: 'absent: the id is in the header X-Session-Id' }
    },
    schema: {
      tags: ['sessions'],
      operationId: 'putSessionValues',
      summary: 'Put values into a session',
      headers: SessionHeaderSchema,
      body: Type.Object({}, {
        additionalProperties: AnySchema,
        description: 'Values by name. Each is a value of the caller\'s, as the further fields of `/init` are.'
      }),
      response: {
        200: Type.Object({ status: Type.Literal('ok') }, { description: 'The values are kept.' }),
        ...failures
      }
    }
  }, async (request, reply) => {
    const values = memberTexts(request.bodyDocument)
    for (const name of values.keys()) {
      refuseCredential(name)
      if (!request.servers.isWritable(name)) throw new ValueNotWritableError(name)
    }
    const { session } = request
    const origin = { server: callerOrigin, as: 'put', at: new Date().toISOString() } as const
    const notCached = await sessions.write(session, { values: keptAs(values, origin) })
    if (notCached === null) throw new SessionNotFoundError(session.id)
    reply.notCached(notCached)
    return { status: 'ok' as const }
  })

  fastify.delete('/session/values/:name', {
    config: { session: true, audit: 'values' },
    schema: {
      tags: ['sessions'],
      operationId: 'removeSessionValue',
      summary: 'Remove a value from a session',
      headers: SessionHeaderSchema,
      params: Type.Object({ name: Type.String({ description: 'Name of the value, whatever it came from.' }) }),
      response: {
        200: Type.Object(
          { status: Type.Literal('ok'), removed: Type.Integer({ description: 'How many values had the name.' }) },
          { description: 'The session has no value of that name.' }
        ),
        ...failures
      }
    }
  }, async (request) => {
    const { name } = request.params
    refuseCredential(name)
    if (!request.servers.isRemovable(name)) throw new ValueNotWritableError(name)
    const removed = await sessions.removeValues(request.session, name)
    if (removed === null) throw new SessionNotFoundError(request.session.id)
    return { status: 'ok' as const, removed }
  })
}) satisfies FastifyPluginAsyncTypebox
