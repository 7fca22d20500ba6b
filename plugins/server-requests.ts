import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { abortable, leftBefore, withDeadline } from '../lib/cancellation.ts'
import type { RequestLimits, ServerClient } from '../lib/mcp/client/server-client.ts'
import type { Session } from '../lib/sessions/session.ts'
import { PendingServerError, requestAll } from '../lib/tools/all-servers.ts'
import type { Asker } from '../lib/tools/audience.ts'
import type { CatalogedServer } from '../lib/tools/cataloged-server.ts'
import type { ListReader } from '../lib/tools/list-reader.ts'
import { boundedWarnings, type ListKind, type ServerLists } from '../lib/tools/server-lists.ts'
import type { CatalogTool } from '../lib/tools/tool-catalog.ts'

/** A list of all servers together. */
export interface JointList<Kind extends ListKind = ListKind> {
  /** Each server's own list. */
  answers: Array<{ server: string, answer: ServerLists[Kind] }>
  /** As callers see them, each as JSON text, server by server. */
  items: string[]
  /** How the servers say that they are used, by server. Only with the tools. */
  instructions: Record<string, string>
  /**
   * Members of the reply that say what is missing in the list, as JSON texts: `errors`, with a sentence for each server
   * that failed, `warnings`, with a server's items that cannot be used, and `pending`, with the servers of which nobody
   * knows yet what they offer. Each is there only where it has some.
   */
  notes: Array<readonly [name: 'errors' | 'warnings' | 'pending', text: string]>
}

declare module 'fastify' {
  interface FastifyRequest {
    /** One list of one server, from memory or from the server. */
    list: <Kind extends ListKind>(server: CatalogedServer, kind: Kind) => Promise<ServerLists[Kind]>
    /**
     * One list of several servers, of all when none are given. A server that fails is named in `errors`, and the
     * others' items stay.
     */
    listAll: <Kind extends ListKind>(kind: Kind, servers?: readonly CatalogedServer[]) => Promise<JointList<Kind>>
    /** The tool of a server that callers know under a name, where it is remembered for those who ask like this one. */
    peekTool: (server: CatalogedServer, exposedName: string) => CatalogTool | null
    /** The tool in a fresh list of the server; `null` when it is not there. */
    findTool: (server: CatalogedServer, exposedName: string) => Promise<CatalogTool | null>
    /** The server's own name of the prompt that callers know under a name; `null` when it has none. */
    findPromptName: (server: CatalogedServer, exposedName: string) => Promise<string | null>
    /** Does `work` with this request's client of a server, under the limits of a short request or of a tool call. */
    useServer: <Value>(
      server: CatalogedServer,
      kind: 'list' | 'call',
      work: (client: ServerClient, limits: RequestLimits) => Promise<Value>
    ) => Promise<Value>
  }
}

/**
 * MCP phase: makes the requests to MCP servers that a request of this service needs.
 *
 * Each of them checks the session's credentials again when a server refuses them.
 */
export default fp(async (fastify) => {
  const askerOf = (request: FastifyRequest): Asker => request.hasSession
    ? { credentials: request.session.credentials, session: nameOf(request.session) }
    : { credentials: {}, session: null }

  const readerOf = (request: FastifyRequest, server: CatalogedServer): ListReader => ({
    limits: request.limits(server, 'list'),
    patience: request.patience(server),
    join: (patience, signal) => request.joinClient(server, patience, signal),
    withClient: (signal, work) => request.withClient(server, signal, work),
    ...askerOf(request)
  })

  fastify.decorateRequest('list', function (server, kind) {
    return this.recheckingCredentials(() => server.list(kind, readerOf(this, server)))
  })

  fastify.decorateRequest('listAll', async function (kind, chosen) {
    this.setTurn({ priority: 'list', callTimeoutMs: null })
    const servers = chosen ?? this.servers.all
    const [only, ...others] = servers
    if (only !== undefined && others.length === 0) this.audit({ server: only.name })
    const { answers, errors, pending } = await requestAll(servers, server => listInTime(this, server, kind))
    const warnings = answers.flatMap(({ server, answer }) =>
      answer.warnings.length === 0 ? [] : [[server, boundedWarnings(answer.warnings)] as const])
    return {
      answers,
      items: answers.flatMap(({ answer }) => answer.items),
      instructions: Object.fromEntries(answers.flatMap(({ server, answer }) =>
        'instructions' in answer && answer.instructions !== undefined ? [[server, answer.instructions]] : [])),
      notes: [
        ...(pending.length === 0 ? [] : [['pending', JSON.stringify(pending)] as const]),
        ...(errors.errors === undefined ? [] : [['errors', JSON.stringify(errors.errors)] as const]),
        ...(warnings.length === 0 ? [] : [['warnings', JSON.stringify(Object.fromEntries(warnings))] as const])
      ]
    }
  })

  /**
   * A server that is just being asked for the first time is waited for as long as a list may take, and no longer. If it
   * then is pending no more, its list has failed, or will in a moment.
   */
  async function listInTime<Kind extends ListKind> (request: FastifyRequest, server: CatalogedServer, kind: Kind) {
    const list = request.list(server, kind)
    if (!server.isPending) return await list
    return await withDeadline(list, request.limits(server, 'list').timeoutMs, () => new PendingServerError())
      .catch(async error => {
        if (error instanceof PendingServerError && !server.isPending) return await list
        throw error
      })
  }

  fastify.decorateRequest('peekTool', function (server, exposedName) {
    return server.peekTool(exposedName, askerOf(this))
  })

  fastify.decorateRequest('findTool', function (server, exposedName) {
    return this.recheckingCredentials(() => server.findTool(exposedName, readerOf(this, server)))
  })

  fastify.decorateRequest('findPromptName', function (server, exposedName) {
    return this.recheckingCredentials(() => server.findPrompt(exposedName, readerOf(this, server)))
  })

  fastify.decorateRequest('useServer', function (server, kind, work) {
    return this.recheckingCredentials(async () => {
      // What is broken off while it waits for its server has asked nothing of it.
      const client = await abortable(this.mcp(server), this.callerSignal, leftBefore)
      return await work(client, this.limits(server, kind))
    })
  })
}, {
  name: 'server-requests',
  dependencies: ['caller-signal', 'audit', 'session', 'request-clients', 'credential-recheck']
})

/** No two sessions have the same, not even one after the other under the same id. */
const nameOf = ({ key, meta }: Session) => `${key} ${meta}`
