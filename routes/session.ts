import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { MissingFieldError, SessionNotFoundError } from '../lib/errors.ts'
import { EndedSchema, errorResponses, SessionHeaderSchema } from '../lib/http/schemas.ts'

const DescriptionSchema = Type.Object({
  status: Type.Literal('ok'),
  session_id: Type.String(),
  created_at: Type.String({ description: 'ISO 8601, UTC.' }),
  idle_seconds_left: Type.Number({
    description: 'Seconds until the session ends when it is not used. This request has restarted them.'
  }),
  lifetime_seconds_left: Type.Union([Type.Number(), Type.Null()], {
    description: 'Seconds until the session ends in any case; `null` without a limit.'
  }),
  calls: Type.Integer({ description: 'Number of tool calls so far.' }),
  last_call: Type.Union([
    Type.Object({ tool: Type.String(), outcome: Type.String(), duration_ms: Type.Number(), at: Type.String() }),
    Type.Null()
  ]),
  cached_bytes: Type.Integer({ description: 'Stored bytes of all cached values and their names.' }),
  values: Type.Array(
    Type.Object({
      name: Type.String(),
      bytes: Type.Integer({ description: 'As stored.' }),
      server: Type.Optional(Type.String({ description: 'The server that was sent it or gave it, or `caller`.' })),
      tool: Type.Optional(Type.String()),
      as: Type.Optional(Type.String({ description: '`parameter`, `result`, `init` or `put`.' })),
      at: Type.Optional(Type.String({ description: 'ISO 8601, UTC.' }))
    }, { description: 'Where it came from is absent where that is not known.' }),
    { description: 'The cached values, without what they hold.' }
  )
}, { description: 'The session, without its credentials and values.' })

/** Describes or ends the caller's own session, whose id is in the header `X-Session-Id`. */
export default (async (fastify) => {
  fastify.get('/session', {
    config: { session: true },
    schema: {
      tags: ['sessions'],
      operationId: 'describeSession',
      summary: 'Describe a session',
      headers: SessionHeaderSchema,
      response: {
        200: DescriptionSchema,
        ...errorResponses({
          400: 'The header is missing or wrong.',
          409: 'There is no such session.',
          503: 'Redis does not answer.'
        })
      }
    }
  }, async ({ session }) => {
    const described = await fastify.sessions.describe(session)
    if (described === null) throw new SessionNotFoundError(session.id)
    const { meta, idleLeftMs, calls, lastCall, cachedBytes, values } = described
    return {
      status: 'ok' as const,
      session_id: session.id,
      created_at: String(meta.created_at),
      idle_seconds_left: idleLeftMs / 1000,
      lifetime_seconds_left: session.endsAt === null ? null : (session.endsAt - Date.now()) / 1000,
      calls,
      last_call: lastCall,
      cached_bytes: cachedBytes,
      values: values.map(({ name, bytes, origin }) => ({ name, bytes, ...origin }))
    }
  })

  fastify.delete('/session', {
    config: { audit: 'shutdown' },
    schema: {
      tags: ['sessions'],
      operationId: 'deleteSession',
      summary: 'End a session',
      headers: SessionHeaderSchema,
      response: {
        200: EndedSchema,
        ...errorResponses({ 400: 'The header is missing or wrong.', 503: 'Redis does not answer.' })
      }
    }
  }, async (request) => {
    const id = request.idInHeader()
    if (id === undefined) throw new MissingFieldError('Missing X-Session-Id')
    await request.endSession(id)
    return { status: 'ok' as const, message: `Session ${id} shut down.` }
  })
}) satisfies FastifyPluginAsyncTypebox
