import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type, { type Static } from 'typebox'
import { gapsIn } from '../lib/tools/parameter-injection.ts'
import { AnySchema, errorResponses, SessionIdSchema } from '../lib/http/schemas.ts'

const ParamsSchema = Type.Unsafe<Record<string, unknown> | null>({
  type: ['object', 'null'],
  additionalProperties: true,
  description: 'Arguments of the tool. What is left out is filled from the session, where it knows a value of that name.'
})

const BodySchema = Type.Object({
  session_id: SessionIdSchema,
  tool: Type.Optional(Type.String({ maxLength: 1_024, title: 'a string of at most 1024 characters', examples: ['list_sources'], description: 'Required, unless the request goes on with a call.' })),
  params: Type.Optional(ParamsSchema),
  timeout: Type.Optional(Type.Number({ exclusiveMinimum: 0, title: 'a number of seconds above 0', description: 'How long the tool may take (s), where that is less than the service allows.' })),
  continue: Type.Optional(Type.String({ maxLength: 256, title: 'a string of at most 256 characters', description: 'Token of an answer 202: goes on with that call.' })),
  responses: Type.Optional(Type.Unsafe<Record<string, object>>({ type: 'object', additionalProperties: { type: 'object' }, title: 'an object of objects', description: 'Answers to the questions of that call, by their `id`.' }))
})

/** Calls a tool. The reply is the tool's result; its status speaks of the service, `status` in its body of the tool. */
export default (async (fastify) => {
  fastify.post('/call-tool', {
    config: {
      session: true,
      toolCall: true,
      audit: 'tool_call',
      parameters: 'params',
      missing: 'Missing session_id or tool name',
      requires: body => body.continue === undefined ? ['tool'] : [],
      wants: request => {
        const { tool = '', params } = request.body as Static<typeof BodySchema> // it is checked by then
        const entry = request.servers.entryOfTool(tool)
        return {
          // Of a server whose tools differ by session this is a guess, which costs a round trip where it is wrong.
          valueNames: gapsIn(params ?? {}, { declared: entry?.tools.peek(tool)?.declared ?? [], sensitiveParams: fastify.config.sensitiveParams }),
          upstreams: entry?.server.keepsSessions ? [entry.name] : []
        }
      }
    },
    schema: {
      tags: ['tools'],
      summary: 'Call a tool',
      description: 'With `Accept: text/event-stream` the answer is a stream of events: `progress`, `log`, and at the end one `result`, `input_required` or `error`.',
      body: BodySchema,
      response: {
        200: { ...AnySchema, description: 'What the tool gave, without its intermediate data; `{"status":"error","error":…}` when it failed.' },
        202: { ...AnySchema, description: 'The tool asks: `{"status":"input_required","requests":[…],"continue":"<token>"}`. Only with MCP_ELICITATION=on.' },
        ...errorResponses({
          400: 'A field is missing or wrong, or the tool refused its arguments.',
          401: 'The tool\'s server refused the session\'s credentials, which are no longer good.',
          404: 'There is no such tool, or no call that goes on under that token.',
          409: 'There is no such session, or it lacks a credential that the tool\'s server needs.',
          429: 'The session has as many calls running as it may.',
          502: 'The MCP server cannot be reached or broke off.',
          503: 'Redis does not answer, or too many requests wait for a server.',
          504: 'The tool did not answer in time.'
        })
      }
    }
  }, async (request, reply) => {
    const call = request.body
    if (!request.wantsEvents) {
      const { body, outcome, notCached } = await request.callTool(call)
      return reply.notCached(notCached).code(outcome === 'input_required' ? 202 : 200).type('application/json; charset=utf-8').send(body)
    }
    return reply.sendEvents(async events => {
      const { body, outcome, notCached } = await request.callTool({ ...call, events })
      if (notCached.length > 0) events.send('not_cached', notCached)
      return { event: outcome === 'input_required' ? outcome : 'result', json: body }
    })
  })
}) satisfies FastifyPluginAsyncTypebox
