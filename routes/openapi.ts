import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { MissingFieldError, RouteNotFoundError } from '../lib/errors.ts'
import { isKnownToCaller, weakEtag } from '../lib/http/etag.ts'
import { jsonBody, jsonType } from '../lib/http/schemas.ts'

const QuerySchema = Type.Object({
  operations: Type.Optional(Type.Enum(['all', 'tools'], { title: '"all" or "tools"' }))
})

/**
 * Gives the OpenAPI document: of all routes, with an operation for each tool. A caller who names a session gets the
 * tools that this session may call; any other one gets those that are the same for everybody.
 */
export default (async (fastify) => {
  const options = {
    config: {
      session: 'optional',
      audit: 'list',
      cache: 'private',
      wants: (request: FastifyRequest) => ({ upstreams: request.servers.sessionKeepers })
    },
    schema: { hide: true, querystring: QuerySchema }
  } as const

  fastify.get('/openapi.json', options, async (request, reply) => {
    const { all } = request.servers
    const isToolsOnly = request.query.operations === 'tools'
    return sendWithTag(request, reply, request.hasSession
      ? await request.describeTools(all, { isToolsOnly })
      : await request.describeTools(all.filter(server => server.isForEverybody), { isToolsOnly, isTolerant: true }))
  })

  fastify.get('/openapi/*', options, async (request, reply) => {
    const { '*': file } = request.params as { '*': string }
    const server = file.endsWith('.json') ? request.servers.byName(file.slice(0, -'.json'.length)) : null
    if (server === null) throw new RouteNotFoundError(request.method, request.url.split('?', 1)[0] ?? '')
    if (!request.hasSession && !server.isForEverybody) throw new MissingFieldError('Missing X-Session-Id')
    const isToolsOnly = request.query.operations === 'tools'
    return sendWithTag(request, reply, await request.describeTools([server], { isToolsOnly }))
  })
}) satisfies FastifyPluginAsyncTypebox

function sendWithTag ({ headers }: FastifyRequest, reply: FastifyReply, text: string): FastifyReply {
  const etag = weakEtag(text)
  reply.header('etag', etag)
  const isKnown = isKnownToCaller(headers['if-none-match'], etag)
  return isKnown ? reply.code(304).send() : reply.type(jsonType).send(jsonBody(text))
}
