import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { RouteNotFoundError } from '../lib/errors.ts'
import {
  aboutReferences, inputRequired, NotifySchema, SessionHeaderSchema, toolCallErrors, ToolReplySchema
} from '../lib/http/schemas.ts'
import type { Inject } from '../lib/tools/parameter-injection.ts'

const NameSchema = Type.String({
  maxLength: 1_024,
  title: 'a string of at most 1024 characters',
  description: 'Name of the tool, percent-encoded.'
})

/** The options that `/call-tool` takes beside the arguments. Texts, as a query has them. */
const QuerySchema = Type.Object({
  timeout: Type.Optional(Type.String({
    pattern: '^(?=.*[1-9])\\d{1,9}(\\.\\d{1,9})?$',
    title: 'a number of seconds above 0',
    description: 'How long the tool may take (s), where that is less than the service allows.'
  })),
  inject: Type.Optional(Type.Union([Type.String(), Type.Array(Type.String())], {
    title: 'true, false, or names',
    description: 'Which missing arguments the session may fill: all that the operator lets it (`true`), none ' +
      '(`false`), or those of these names.'
  })),
  dry_run: Type.Optional(Type.Enum(['true', 'false'], {
    title: 'true or false',
    description: 'Says what the tool would be called with, and does not call it.'
  })),
  result: Type.Optional(Type.Enum(['default', 'json', 'mcp'], {
    title: '"default", "json" or "mcp"',
    description: 'The form of the answer: `json` for the JSON in a text, `mcp` for MCP\'s own result.'
  })),
  notify: Type.Optional(NotifySchema),
  reference: Type.Optional(Type.Enum(['true', 'false'], {
    title: 'true or false', description: aboutReferences
  }))
})

/**
 * Calls one tool: the same as `/call-tool`, with the arguments as the body and the session's id in the header. So each
 * tool is an operation of its own in the OpenAPI document.
 */
export default (async (fastify) => {
  // A wildcard: the length of a parameter is limited where the server's options are not ours.
  fastify.post('/tools/*', {
    config: {
      session: true,
      sessionInHeader: true,
      toolCall: true,
      audit: 'tool_call',
      parameters: 'body',
      // The document calls the wildcard by a name.
      swaggerTransform: ({ schema, url }) => ({
        schema: { ...schema, params: Type.Object({ tool: NameSchema }) }, url: url.replace('*', ':tool')
      })
    },
    schema: {
      tags: ['tools'],
      operationId: 'callNamedTool',
      summary: 'Call a tool by its path',
      description: 'The body is the arguments. With `Accept: text/event-stream` the answer is a stream of events.',
      headers: SessionHeaderSchema,
      params: Type.Object({ '*': NameSchema }),
      querystring: QuerySchema,
      body: Type.Object({}, { additionalProperties: true, description: 'The arguments of the tool.' }),
      response: { 200: ToolReplySchema, 202: inputRequired('The tool'), ...toolCallErrors }
    }
  }, async (request, reply) => {
    const { '*': tool } = request.params
    if (tool === '') throw new RouteNotFoundError(request.method, request.url.split('?', 1)[0] ?? '')
    const { timeout, inject, dry_run: dryRun, result: shape, reference, notify } = request.query
    return await reply.sendCall({
      tool,
      isWholeBody: true,
      timeout: timeout === undefined ? undefined : Number(timeout),
      inject: inject === undefined ? undefined : injectOf(inject),
      dryRun: dryRun === 'true',
      shape,
      reference: reference === undefined ? undefined : reference === 'true',
      notify
    })
  })
}) satisfies FastifyPluginAsyncTypebox

function injectOf (inject: string | string[]): Inject {
  return inject === 'true' || inject === 'false' ? inject === 'true' : [inject].flat()
}
