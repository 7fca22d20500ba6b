import fp from 'fastify-plugin'
import type { Credentials } from '../lib/sessions/credential-validator.ts'
import type { JsonObject } from '../lib/json.ts'
import { splitFields } from '../lib/sessions/fields.ts'
import { openSession, type OpenedSession } from '../lib/sessions/open-session.ts'
import { parseUpstream } from '../lib/sessions/upstream-sessions.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Opens the session of an id with what /init brings, or finds it open; see lib/session-opening.ts. */
    openSession: (id: string, fields: Credentials & JsonObject) => Promise<OpenedSession>
    /** Ends the session of an id, if there is one, and after the reply the sessions that it has at MCP servers. */
    endSession: (id: string) => Promise<void>
  }
}

/** How a session begins, and how it ends. */
export default fp(async (fastify) => {
  const { sessions, config: { sensitiveParams } } = fastify

  fastify.decorateRequest('openSession', async function (id, fields) {
    return await openSession(this.claim(id), splitFields(fields, sensitiveParams), {
      sessions,
      validate: () => fastify.validateCredentials(fields, this.callerSignal)
    })
  })

  fastify.decorateRequest('endSession', async function (id) {
    const { servers } = this
    const removed = await sessions.remove(this.claim(id), servers.sessionKeepers)
    for (const [server, text] of removed?.upstreams ?? []) {
      const upstream = parseUpstream(text)
      if (removed !== null && upstream !== null) this.defer(async () => await servers.byName(server)?.server.endSession(upstream, removed.credentials))
    }
  })
}, { name: 'session-lifecycle', dependencies: ['session', 'credentials', 'request-clients'] })
