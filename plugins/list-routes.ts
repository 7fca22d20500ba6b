import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import Type, { type TSchema } from 'typebox'
import {
  AnyObjectSchema, asText, jsonType, listErrors, PendingServersSchema,
  ServerErrorsSchema, ServerWarningsSchema, SessionIdSchema
} from '../lib/http/schemas.ts'
import { arrayText, objectText } from '../lib/json-text.ts'
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
    /** Adds a route that lists something of all servers for a session. */
    readonly addListRoute: (path: string, route: ListRoute) => void
  }
}

/** Operations phase: adds the routes that list something. They differ only in what they list. */
export default fp(async (fastify) => {
  fastify.decorate('addListRoute', function (this: FastifyInstance, path: string, route: ListRoute) {
    const { kind, tag, summary, description, extra } = route
    this.post(path, {
      config: {
        session: true,
        audit: 'list',
        missing: 'Missing session_id',
        wants: request => ({ upstreams: request.servers.sessionKeepers })
      },
      schema: {
        tags: [tag],
        summary,
        body: Type.Object({ session_id: SessionIdSchema }),
        response: {
          200: asText(Type.Object({
            [kind]: Type.Array(AnyObjectSchema),
            ...(extra && { [extra.name]: extra.schema }),
            errors: Type.Optional(ServerErrorsSchema),
            warnings: Type.Optional(ServerWarningsSchema),
            pending: Type.Optional(PendingServersSchema)
          }, { description })),
          ...listErrors
        }
      }
    }, async (request, reply) => {
      const list = await request.listAll(kind)
      return reply.type(jsonType).send(objectText([
        [kind, arrayText(list.items)],
        ...(extra === undefined ? [] : [[extra.name, JSON.stringify(extra.valueOf(list))] as const]),
        ...list.notes
      ]))
    })
  })
}, { name: 'list-routes', dependencies: ['request-clients', 'server-requests'] })
