import fp from 'fastify-plugin'
import { InvalidFieldError, UnknownResourceError } from '../lib/errors.ts'
import type { JsonObject } from '../lib/json.ts'
import { matchesTemplate } from '../lib/mcp/client/uri-template.ts'
import { requestAll } from '../lib/tools/all-servers.ts'
import type { CatalogedServer } from '../lib/tools/cataloged-server.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * The server that has a resource or a template: the one of that name, or the only one that lists it, or the only
     * one with a template that the URI matches. Rejects with UnknownResourceError when no server has it, and with
     * InvalidFieldError when several do.
     */
    serverOfResource: (uri: string, server?: string) => Promise<CatalogedServer>
  }
}

/** Finds the server that a resource is read from. */
export default fp(async (fastify) => {
  fastify.decorateRequest('serverOfResource', async function (uri, name) {
    const { all, byName } = this.servers
    if (name !== undefined) {
      const named = byName(name)
      if (named === null) throw new InvalidFieldError('server', `one of ${all.map(({ name }) => name).join(', ')}`)
      return named
    }
    const [only, ...others] = all
    if (only !== undefined && others.length === 0) return only

    const namesOfServersWith = async (kind: 'resources' | 'resourceTemplates', isIt: (item: JsonObject) => boolean) => {
      const { answers } = await requestAll(all, server => this.list(server, kind))
      return answers.flatMap(({ server, answer }) => answer.items.some(isIt) ? [server] : [])
    }
    const owners = await namesOfServersWith('resources', item => item.uri === uri)
    if (owners.length === 0) {
      owners.push(...await namesOfServersWith('resourceTemplates', ({ uriTemplate }) =>
        uriTemplate === uri || matchesTemplate(String(uriTemplate), uri)))
    }
    const [owner, ...rivals] = owners
    if (rivals.length > 0) {
      throw new InvalidFieldError('server', `given, for ${owners.join(' and ')} have this resource`)
    }
    const found = owner === undefined ? null : byName(owner)
    if (found === null) throw new UnknownResourceError(uri, 'no server lists it')
    return found
  })
}, { name: 'resources', dependencies: ['request-clients', 'server-requests'] })
