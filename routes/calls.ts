import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import Type from 'typebox'
import { isCallId, isOver } from '../lib/calls/call.ts'
import { describeCall, describeHead } from '../lib/calls/describe-call.ts'
import { CallNotWaitingError, UnknownCallError } from '../lib/errors.ts'
import {
  AnyObjectSchema, AnySchema, asText, callErrorResponses, errorResponses, inputRequired, jsonBody, jsonType,
  ResponsesSchema, SessionHeaderSchema, SessionIdSchema
} from '../lib/http/schemas.ts'
import { arrayText } from '../lib/json-text.ts'

const CallParamsSchema = Type.Object({ id: Type.String({ description: 'Id of the call: `c_…`.' }) })

const FollowHeaderSchema = Type.Object({
  ...SessionHeaderSchema.properties,
  'last-event-id': Type.Optional(Type.String({ description: 'Id of the last event that the caller has had.' }))
})

const CallSchema = (description: string) => asText({ ...AnyObjectSchema, description })

const failures = errorResponses({
  400: 'The header is missing or wrong.',
  404: 'The session has no such call.',
  409: 'There is no such session.',
  503: 'Redis does not answer.'
})

const WaitSchema = Type.Object({
  wait: Type.Optional(Type.String({
    pattern: '^([0-9]|[1-5][0-9]|60)$',
    title: 'whole seconds from 0 to 60',
    description: 'How long to wait until the call is over, or requests input (s).'
  }))
})

/** Reads, follows, answers and cancels the calls of a session. The call of another session is an unknown one. */
export default (async (fastify) => {
  const { calls } = fastify

  async function readCall ({ session }: FastifyRequest, id: string) {
    const call = isCallId(id) ? await calls.read(session, id) : null
    if (call === null || call.kind !== 'tool') throw new UnknownCallError()
    return call
  }

  fastify.get('/calls', {
    config: { session: true },
    schema: {
      tags: ['tools'],
      operationId: 'listCalls',
      summary: 'List the calls of a session',
      headers: SessionHeaderSchema,
      response: {
        200: CallSchema('`{"status":"ok","calls":[…]}`, oldest first, without their answers.'),
        ...errorResponses({
          400: 'The header is missing or wrong.', 409: 'There is no such session.', 503: 'Redis does not answer.'
        })
      }
    }
  }, async ({ session }, reply) => {
    const kept = (await calls.list(session)).filter(({ kind }) => kind === 'tool')
    return reply.type(jsonType).send(`{"status":"ok","calls":${arrayText(kept.map(describeHead))}}`)
  })

  fastify.get('/calls/:id', {
    config: { session: true },
    schema: {
      tags: ['tools'],
      operationId: 'readCall',
      summary: 'Read a call',
      headers: SessionHeaderSchema,
      params: CallParamsSchema,
      querystring: WaitSchema,
      response: {
        200: CallSchema('The call is over. It has its answer as `result` or `failure`, where that is kept.'),
        202: CallSchema(
          'The call is not over: it is queued, works, or has a `question`. `progress` is the last that its tool made.'
        ),
        ...failures
      }
    }
  }, async (request, reply) => {
    const { id } = request.params
    const wait = Number(request.query.wait ?? 0)
    let call = await readCall(request, id)
    if (wait > 0 && !isOver(call) && call.state !== 'input_required') {
      await request.waitForCall(id, wait * 1000)
      call = await readCall(request, id)
    }
    return reply.code(isOver(call) ? 200 : 202).type(jsonType).send(jsonBody(describeCall(call)))
  })

  fastify.get('/calls/:id/events', {
    config: { session: true },
    schema: {
      tags: ['tools'],
      operationId: 'followCall',
      summary: 'Follow a call',
      description: 'The answer is a stream of events: any number of `progress` and `log`, then one `result`, ' +
        '`input_required` or `error`. It goes on behind `Last-Event-ID`, on any worker.',
      headers: FollowHeaderSchema,
      params: CallParamsSchema,
      response: {
        200: {
          description: 'Events of the call, each with an `id`.',
          content: { 'text/event-stream': { schema: Type.String() } }
        },
        204: Type.Null({ description: 'The call is over, and `Last-Event-ID` is its last event.' }),
        ...failures
      }
    }
  }, async (request, reply) => reply.sendCallEvents(await readCall(request, request.params.id)))

  fastify.post('/calls/:id', {
    config: { session: true, toolCall: true, continuesCall: true, audit: 'tool_call', missing: 'Missing responses' },
    schema: {
      tags: ['tools'],
      operationId: 'answerCall',
      summary: 'Respond to the question of a call',
      description: 'Does the same as `/call-tool` with `continue`, for the question that the call has now.',
      params: CallParamsSchema,
      body: Type.Object({ session_id: SessionIdSchema, responses: ResponsesSchema }),
      response: {
        200: { ...AnySchema, description: 'The tool\'s result, as `/call-tool` answers it.' },
        202: inputRequired('The tool'),
        ...callErrorResponses({
          400: 'A field is missing or wrong.',
          401: 'The tool\'s server refused the session\'s credentials, which are no longer good.',
          404: 'The session has no such call.',
          409: 'There is no such session, or the call does not wait.',
          429: 'The session has as many calls running as it may.',
          502: 'The MCP server cannot be reached or broke off.',
          503: 'Redis does not answer, or too many requests wait for a server.',
          504: 'The tool did not answer in time.'
        })
      }
    }
  }, async (request, reply) => {
    const { id } = request.params
    const { state } = await readCall(request, id)
    if (state !== 'input_required') throw new CallNotWaitingError(state)
    return await reply.sendCall({ continue: { id } })
  })

  fastify.delete('/calls/:id', {
    config: { session: true },
    schema: {
      tags: ['tools'],
      operationId: 'cancelCall',
      summary: 'Cancel a call',
      description: 'A call that works ends as soon as its worker knows. Its tool may have acted.',
      headers: SessionHeaderSchema,
      params: CallParamsSchema,
      response: {
        200: CallSchema('The call is over: `cancelled`, or as it was before.'),
        202: CallSchema('The call still works, and ends soon.'),
        ...failures
      }
    }
  }, async (request, reply) => {
    const { id } = request.params
    const { state } = await readCall(request, id)
    if (state === 'input_required') await request.cancelWaitingCall(id)
    await request.cancelCall(id)
    const call = await readCall(request, id)
    return reply.code(isOver(call) ? 200 : 202).type(jsonType).send(jsonBody(describeCall(call)))
  })
}) satisfies FastifyPluginAsyncTypebox
