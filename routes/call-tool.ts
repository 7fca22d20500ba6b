import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import Type, { type Static } from 'typebox'
import {
  AnySchema, ContinueSchema, inputRequired, NotifySchema, ReferenceSchema, ResponsesSchema, SessionIdSchema,
  toolCallErrors, ToolReplySchema
} from '../lib/http/schemas.ts'
import { InvalidFieldError } from '../lib/errors.ts'
import { presentMember, stringMember } from '../lib/json-text.ts'
import type { LoadOptions } from '../lib/sessions/session.ts'
import { type Inject, planReads } from '../lib/tools/parameter-injection.ts'

const ParamsSchema = Type.Unsafe<Record<string, unknown> | null>({
  type: ['object', 'null'],
  additionalProperties: true,
  description: 'Arguments of the tool. A missing one is filled from the session, where the operator lets it.'
})

const BodySchema = Type.Object({
  session_id: SessionIdSchema,
  tool: Type.Optional(Type.String({
    maxLength: 1_024,
    title: 'a string of at most 1024 characters',
    description: 'Required, unless the request has `continue`.',
    examples: ['list_sources']
  })),
  params: Type.Optional(ParamsSchema),
  timeout: Type.Optional(Type.Number({
    exclusiveMinimum: 0,
    title: 'a number of seconds above 0',
    description: 'How long the tool may take (s), where that is less than the service allows.'
  })),
  inject: Type.Optional(Type.Unsafe<Inject>({
    type: ['boolean', 'array'],
    items: { type: 'string' },
    title: 'true, false, or an array of names',
    description: 'Which missing arguments the session may fill: all that the operator lets it, none, or these. ' +
      'Credentials, and arguments that the operator gives, are sent in any case.'
  })),
  dry_run: Type.Optional(Type.Boolean({
    title: 'true or false',
    description: 'Says what the tool would be called with, and does not call it.'
  })),
  result: Type.Optional(Type.Unsafe<'default' | 'json' | 'mcp'>(Type.Enum(['default', 'json', 'mcp'], {
    title: '"default", "json" or "mcp"',
    description: 'The form of the answer: `json` for the JSON in a text, `mcp` for MCP\'s own result.'
  }))),
  notify: Type.Optional(NotifySchema),
  reference: Type.Optional(ReferenceSchema),
  continue: Type.Optional(ContinueSchema),
  responses: Type.Optional(ResponsesSchema)
})

type Body = Static<typeof BodySchema>

/**
 * Calls a tool and answers with its result. The HTTP status is about the service, the body's `status` about the tool.
 */
export default (async (fastify) => {
  /** The fields that the call will read from its session. A guess where the server's tools differ by session. */
  function predictReads ({ body, bodyDocument, servers }: FastifyRequest): Pick<LoadOptions, 'values' | 'upstreams'> {
    const exposedName = stringMember(bodyDocument, bodyDocument.root, 'tool') ?? ''
    const server = servers.byExposedName(exposedName)
    const tool = server?.peekTool(exposedName)
    const { inject = true, dry_run: wantsOrigins = false } = body as Body
    const params = presentMember(bodyDocument.root, 'params')
    return {
      // A wrong guess costs a round trip and nothing else.
      values: tool ? planReads(params, tool, { inject, wantsOrigins }).map(({ read }) => read) : [],
      upstreams: server?.server.sessions ? [server.name] : []
    }
  }

  fastify.post('/call-tool', {
    config: {
      session: true,
      toolCall: true,
      audit: 'tool_call',
      parameters: 'params',
      missing: 'Missing session_id or tool name',
      requires: body => body.continue === undefined ? ['tool'] : [],
      wants: predictReads
    },
    schema: {
      tags: ['tools'],
      operationId: 'callTool',
      summary: 'Call a tool',
      description: 'With `Accept: text/event-stream` the answer is a stream of events: any number of `progress` and ' +
        '`log`, then one `result`, `input_required` or `error`.',
      body: BodySchema,
      response: {
        200: ToolReplySchema,
        202: {
          ...AnySchema,
          description: `${inputRequired('The tool').description} Or the call was accepted, as ` +
            '`Prefer: respond-async` wants it: `{"status","call","created_at","expires_at"}`. `Location` says ' +
            'where to read it.'
        },
        ...toolCallErrors
      }
    }
  }, async (request, reply) => {
    const { tool, timeout, continue: token, inject, dry_run: dryRun, result: shape, reference, notify } = request.body
    if (dryRun && token !== undefined) throw new InvalidFieldError('dry_run', 'absent in a request with `continue`')
    return reply.sendCall({ tool, timeout, continue: token, inject, dryRun, shape, reference, notify })
  })
}) satisfies FastifyPluginAsyncTypebox
