import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type Answers, requestAll } from '../lib/tools/all-servers.ts'
import { InvalidFieldError, UnknownResourceError } from '../lib/errors.ts'
import type { JsonObject } from '../lib/json.ts'
import type { Listed, ServerClient, RequestLimits } from '../lib/mcp/client/server-client.ts'
import { matchesTemplate } from '../lib/mcp/client/uri-template.ts'
import type { CatalogedServer } from '../lib/tools/server-catalog.ts'

export interface ListedItems extends Pick<Answers<unknown>, 'errors'> {
  /** As the servers describe them; of several servers, each with the name of its `server`. */
  items: JsonObject[]
}

type Kind = 'resources' | 'resourceTemplates'

declare module 'fastify' {
  interface FastifyRequest {
    listResources: (kind: 'resources' | 'resourceTemplates') => Promise<ListedItems>
    /**
     * Where a resource, or a template, is to be had: at the server of that name, at the only one that lists it, or at the only
     * one of whose templates it can come. Rejects with UnknownResourceError, with InvalidFieldError when several have it.
     */
    serverOfResource: (uri: string, server?: string) => Promise<CatalogedServer>
    /** A server, asked something that is neither a list nor a tool call. */
    ask: <Answer>(entry: CatalogedServer, question: (manager: ServerClient, limits: RequestLimits) => Promise<Answer>) => Promise<Answer>
  }
}

/** The resources of all servers. */
export default fp(async (fastify) => {
  fastify.decorateRequest('ask', async function (entry, question) {
    return await this.recheckingCredentials(async () => await question(await this.mcp(entry), this.limits(entry, 'list')))
  })

  const list = (request: FastifyRequest, entry: CatalogedServer, kind: Kind): Promise<JsonObject[]> =>
    entry[kind].get(entry.audienceOf(request.session.credentials), async () => {
      const { items, ttlMs } = await request.ask<Listed<JsonObject>>(entry, (manager, limits) =>
        kind === 'resources' ? manager.listResources(limits) : manager.listResourceTemplates(limits))
      return { list: items, ttlMs }
    })

  const listAll = (request: FastifyRequest, kind: Kind) => requestAll(request.servers.entries, entry => list(request, entry, kind))

  fastify.decorateRequest('listResources', async function (kind) {
    const { answers, errors } = await listAll(this, kind)
    const isOne = this.servers.entries.length === 1
    return { items: answers.flatMap(({ server, answer }) => isOne ? answer : answer.map(item => ({ ...item, server }))), errors }
  })

  fastify.decorateRequest('serverOfResource', async function (uri, server) {
    const { entries, entry } = this.servers
    if (server !== undefined) {
      const named = entry(server)
      if (named === null) throw new InvalidFieldError('server', `one of ${entries.map(({ name }) => name).join(', ')}`)
      return named
    }
    const [only, ...others] = entries
    if (only !== undefined && others.length === 0) return only

    const listing = async (kind: Kind, has: (item: JsonObject) => boolean) =>
      (await listAll(this, kind)).answers.flatMap(({ server, answer }) => answer.some(has) ? [server] : [])
    const owners = await listing('resources', item => item.uri === uri)
    if (owners.length === 0) {
      owners.push(...await listing('resourceTemplates', ({ uriTemplate }) => uriTemplate === uri || matchesTemplate(String(uriTemplate), uri)))
    }
    const [owner, ...rivals] = owners
    if (rivals.length > 0) throw new InvalidFieldError('server', `given, for ${owners.join(' and ')} have this resource`)
    const found = entry(owner ?? '')
    if (found === null) throw new UnknownResourceError(uri, 'no server lists it')
    return found
  })
}, { name: 'resources', dependencies: ['session', 'request-clients', 'credential-recheck'] })
