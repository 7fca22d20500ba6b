import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type, { type Static } from 'typebox'
import { gapsIn } from '../lib/parameter-injection.ts'
import { AnySchema, errorResponses, SessionIdSchema } from '../lib/schemas.ts'

const ParamsSchema = Type.Unsafe<Record<string, unknown> | null>({
  type: ['object', 'null'],
  additionalProperties: true,
  description: 'Arguments of the tool. What is left out is filled from the session, where it knows a value of that name.'
})

const BodySchema = Type.Object({
  session_id: SessionIdSchema,
  tool: Type.String({ maxLength: 1_024, title: 'a string of at most 1024 characters', examples: ['list_sources'] }),
  params: Type.Optional(ParamsSchema)
})

/** Calls a tool. The reply is the tool's result; its status speaks of the service, `status` in its body of the tool. */
export default (async (fastify) => {
  fastify.post('/call-tool', {
    config: {
      session: true,
      toolCall: true,
      missing: 'Missing session_id or tool name',
      wants: request => {
        const { tool, params } = request.body as Static<typeof BodySchema> // it is checked by then
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
      body: BodySchema,
      response: {
        200: { ...AnySchema, description: 'What the tool gave, without its intermediate data; `{"status":"error","error":…}` when it failed.' },
        ...errorResponses({
          400: 'A field is missing or wrong, or the tool refused its arguments.',
          404: 'There is no such tool.',
          409: 'There is no such session.',
          429: 'The session has as many calls running as it may.',
          502: 'The MCP server cannot be started or broke off.',
          503: 'Redis does not answer, or too many requests wait for a server.',
          504: 'The tool did not answer in time.'
        })
      }
    }
  }, async (request, reply) => {
    const { tool, params } = request.body
    const { body, notCached } = await request.callTool(tool, params ?? {})
    if (notCached.length > 0) reply.header('x-mcp-not-cached', asHeader(notCached))
    return reply.type('application/json; charset=utf-8').send(body)
  })
}) satisfies FastifyPluginAsyncTypebox

/** Clients and proxies refuse an answer whose headers are longer than a few kilobytes. */
const maxHeaderLength = 2_048

/** Names, percent-encoded, as many as fit; `...` stands for the rest. A lone surrogate, which has no encoding, becomes U+FFFD. */
function asHeader (names: string[]): string {
  const text = names.map(name => encodeURIComponent(Buffer.from(name).toString())).join(', ')
  return text.length <= maxHeaderLength ? text : `${text.slice(0, maxHeaderLength)}...`
}
