import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { InvalidFieldError, UnknownContinuationError, UnknownResourceError } from '../lib/errors.ts'
import { objectText } from '../lib/json-text.ts'
import type { Continuation } from '../lib/mcp/client/server-client.ts'
import { createUriMatcher } from '../lib/mcp/client/uri-matcher.ts'
import { requestAll } from '../lib/tools/all-servers.ts'
import type { CatalogedServer } from '../lib/tools/cataloged-server.ts'
import { continuationOf, listText, suspend, type SuspendableReply } from '../lib/tools/suspended-request.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * The server that has a resource or a template: the one of that name, or the only one that lists it or has a
     * template that the URI matches. Rejects with UnknownResourceError when no server has it, and with
     * InvalidFieldError when several may be meant.
     */
    serverOfResource: (uri: string, server?: string) => Promise<CatalogedServer>
    /** Reads a resource of the server that has it. */
    readResource: (uri: string, server?: string) => Promise<SuspendableReply>
    /** Goes on with a reading whose server requested input. The responses are the body's `responses`. */
    resumeReading: (token: string) => Promise<SuspendableReply>
  }
}

/** Operations phase: finds the server of a resource, and reads the resource. */
export default fp(async (fastify) => {
  const { pendingCalls, config: { elicitation } } = fastify

  fastify.decorateRequest('serverOfResource', async function (uri, name) {
    const server = await findServer(this, uri, name)
    this.audit({ server: server.name })
    return server
  })

  async function findServer (request: FastifyRequest, uri: string, name?: string): Promise<CatalogedServer> {
    const { all, byName } = request.servers
    if (name !== undefined) {
      const named = byName(name)
      if (named === null) throw new InvalidFieldError('server', `one of ${all.map(({ name }) => name).join(', ')}`)
      return named
    }
    const [only, ...others] = all
    if (only !== undefined && others.length === 0) return only

    request.setTurn({ priority: 'list', callTimeoutMs: null }) // it asks all servers, as a listing does
    // A template of one server may match what another lists: nobody but the caller knows which one is meant.
    const namesOfServersWith = async (
      kind: 'resources' | 'resourceTemplates', hasIt: (uris: readonly string[]) => boolean
    ) => {
      const { answers } = await requestAll(all, server => request.list(server, kind))
      return answers.flatMap(({ server, answer }) => hasIt(answer.uris) ? [server] : [])
    }
    const found = await Promise.allSettled([
      namesOfServersWith('resources', uris => uris.includes(uri)),
      namesOfServersWith('resourceTemplates', templates => {
        const { matches } = createUriMatcher(uri)
        return templates.some(template => template === uri || matches(template))
      })
    ])
    const owners = new Set(found.flatMap(outcome => outcome.status === 'fulfilled' ? outcome.value : []))
    const failure = found.find(outcome => outcome.status === 'rejected')
    if (owners.size === 0 && failure !== undefined) throw failure.reason
    const [owner, ...rivals] = all.filter(({ name }) => owners.has(name))
    if (rivals.length > 0) {
      throw new InvalidFieldError('server', `given, for ${[...owners].join(' and ')} may have this resource`)
    }
    if (owner === undefined) throw new UnknownResourceError(uri, 'no server lists it')
    return owner
  }

  fastify.decorateRequest('readResource', async function (uri, name) {
    return await read(this, { server: await this.serverOfResource(uri, name), uri })
  })

  fastify.decorateRequest('resumeReading', async function (token) {
    const pending = (await pendingCalls.take(this.session, 'resource', token))?.request ?? null
    const server = pending && this.servers.byName(pending.server)
    if (pending === null || server === null) throw new UnknownContinuationError()
    this.audit({ server: server.name })
    return await read(this, { server, uri: pending.uri }, continuationOf(pending, this.fieldText('responses')))
  })

  async function read (
    request: FastifyRequest, { server, uri }: { server: CatalogedServer, uri: string }, continuation?: Continuation
  ): Promise<SuspendableReply> {
    const answer = await request.useServer(server, 'list', (client, limits) =>
      client.readResource(uri, limits, continuation))
    if ('result' in answer) return { body: objectText([['contents', listText(answer.result, 'contents')]]) }
    const body = await suspend(answer.inputRequired, {
      pendingCalls: elicitation ? pendingCalls : null,
      session: request.session,
      kind: 'resource',
      request: { server: server.name, uri },
      server: server.name,
      mask: request.maskFor(server),
      what: `resource ${uri}`
    })
    request.audit({ outcome: 'input_required' })
    return { body, isSuspended: true }
  }
}, {
  name: 'resources',
  dependencies: ['config', 'redis', 'json-body', 'audit', 'session', 'request-clients', 'masking', 'server-requests']
})
