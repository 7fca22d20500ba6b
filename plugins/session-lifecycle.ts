import fp from 'fastify-plugin'
import type { Credentials } from '../lib/sessions/credential-validator.ts'
import { memberTexts } from '../lib/json-text.ts'
import { splitFields } from '../lib/sessions/fields.ts'
import { openSession, type OpenedSession } from '../lib/sessions/open-session.ts'
import { parseUpstream } from '../lib/sessions/upstream-sessions.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * Opens the session of an id, or finds it open; see lib/sessions/open-session.ts. The fields of the body but
     * `session_id` are the session's, and the credentials among them are checked.
     */
    openSession: (id: string, credentials: Credentials) => Promise<OpenedSession>
    /** Ends the session of an id, if there is one. Its sessions at MCP servers are ended after the reply. */
    endSession: (id: string) => Promise<void>
  }
}

/** Operations phase: opens and ends a session. */
export default fp(async (fastify) => {
  const { sessions, config: { sensitiveParams } } = fastify

  fastify.decorateRequest('openSession', async function (id, credentials) {
    const fields = memberTexts(this.bodyDocument)
    fields.delete('session_id')
    const ref = this.sessionRef(id)
    this.audit({ session: ref })
    return await openSession(ref, splitFields(fields, sensitiveParams), {
      sessions,
      validate: () => fastify.validateCredentials(credentials, this.callerSignal)
    })
  })

  fastify.decorateRequest('endSession', async function (id) {
    const { servers } = this
    const ref = this.sessionRef(id)
    this.audit({ session: ref })
    const removed = await sessions.remove(ref, servers.sessionKeepers)
    if (removed === null) return this.audit({ outcome: 'not_found' })
    for (const [server, text] of removed.upstreams) {
      const upstream = parseUpstream(text)
      if (upstream === null) continue
      this.defer(async () => await servers.byName(server)?.server.sessions?.end(upstream, removed.credentials))
    }
  })
}, {
  name: 'session-lifecycle',
  dependencies: [
    'config', 'redis', 'json-body', 'session-reference', 'audit', 'caller-signal', 'after-response', 'credentials',
    'request-clients'
  ]
})
