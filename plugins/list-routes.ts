import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import Type, { type TSchema } from 'typebox'
import { InvalidFieldError } from '../lib/errors.ts'
import { isKnownToCaller, weakEtag } from '../lib/http/etag.ts'
import {
  AnyObjectSchema, asText, jsonType, listErrors, NotModifiedSchema, PendingServersSchema, ServerErrorsSchema,
  ServerNamesSchema, ServerQuerySchema, ServerWarningsSchema, SessionHeaderSchema, SessionIdSchema
} from '../lib/http/schemas.ts'
import { arrayText, objectText } from '../lib/json-text.ts'
import type { CatalogedServer } from '../lib/tools/cataloged-server.ts'
import type { ListKind } from '../lib/tools/server-lists.ts'
import type { JointList } from './server-requests.ts'

/** The description of one list route. */
export interface ListRoute {
  /** The list, which is also the field of the answer that holds it. */
  kind: ListKind
  tag: string
  summary: string
  /** The answer, for the API's description. */
  description: string
  /** A further field of the answer. */
  extra?: { name: string, schema: TSchema, valueOf: (list: JointList) => unknown }
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Adds the two routes that list something of all servers for a session: by POST, and by GET for caches. */
    readonly addListRoute: (path: string, route: ListRoute) => void
  }
}

/** Operations phase: adds the routes that list something. They differ only in what they list. */
export default fp(async (fastify) => {
  fastify.decorate('addListRoute', function (this: FastifyInstance, path: string, route: ListRoute) {
    const { kind, tag, summary, description, extra } = route
    const kindName = `${kind.slice(0, 1).toUpperCase()}${kind.slice(1)}`
    const config = {
      session: true,
      audit: 'list',
      missing: 'Missing session_id',
      wants: (request: FastifyRequest) => ({ upstreams: request.servers.sessionKeepers })
    } as const
    const good = asText(Type.Object({
      [kind]: Type.Array(AnyObjectSchema),
      ...(extra && { [extra.name]: extra.schema }),
      errors: Type.Optional(ServerErrorsSchema),
      warnings: Type.Optional(ServerWarningsSchema),
      pending: Type.Optional(PendingServersSchema)
    }, { description }))

    async function listText (request: FastifyRequest, servers: readonly CatalogedServer[]): Promise<string> {
      const list = await request.listAll(kind, servers)
      return objectText([
        [kind, arrayText(list.items)],
        ...(extra === undefined ? [] : [[extra.name, JSON.stringify(extra.valueOf(list))] as const]),
        ...list.notes
      ])
    }

    this.post(path, {
      config,
      schema: {
        tags: [tag],
        operationId: `list${kindName}`,
        summary,
        body: Type.Object({ session_id: SessionIdSchema, servers: Type.Optional(ServerNamesSchema) }),
        response: { 200: good, ...listErrors }
      }
    }, async (request, reply) => {
      const { servers } = request.body as { servers?: string[] }
      return reply.type(jsonType).send(await listText(request, chosenServers(request, 'servers', servers)))
    })

    this.get(path, {
      config: { ...config, cache: 'private' },
      schema: {
        tags: [tag],
        operationId: `get${kindName}`,
        summary: `${summary}, unless the caller has the list already`,
        headers: SessionHeaderSchema,
        querystring: Type.Object({ server: Type.Optional(ServerQuerySchema) }),
        response: { 200: good, 304: NotModifiedSchema, ...listErrors }
      }
    }, async (request, reply) => {
      const { server } = request.query as { server?: string | string[] }
      const names = server === undefined ? undefined : [server].flat()
      const text = await listText(request, chosenServers(request, 'server', names))
      return sendWithTag(reply, request.headers['if-none-match'], text)
    })
  })
}, { name: 'list-routes', dependencies: ['request-clients', 'server-requests'] })

/** The servers of these names, in the order of the servers file; all of them when the caller names none. */
function chosenServers (
  { servers: { all, byName } }: FastifyRequest, field: string, names?: readonly string[]
): readonly CatalogedServer[] {
  if (names === undefined) return all
  if (names.some(name => byName(name) === null)) {
    throw new InvalidFieldError(field, `one or more of ${all.map(({ name }) => name).join(', ')}`)
  }
  const chosen = new Set(names)
  return all.filter(({ name }) => chosen.has(name))
}

/** Sends a list with its tag, or only the tag to a caller who has the list. */
function sendWithTag (reply: FastifyReply, ifNoneMatch: string | undefined, text: string): FastifyReply {
  const etag = weakEtag(text)
  reply.header('etag', etag)
  return isKnownToCaller(ifNoneMatch, etag) ? reply.code(304).send() : reply.type(jsonType).send(text)
}
