import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Credentials } from '../lib/sessions/credential-validator.ts'
import { InvalidFieldError } from '../lib/errors.ts'
import { memberTexts } from '../lib/json-text.ts'
import { splitFields } from '../lib/sessions/fields.ts'
import { openSession, type OpenedSession } from '../lib/sessions/open-session.ts'
import type { RemovedSession } from '../lib/sessions/session-repository.ts'
import { parseUpstream } from '../lib/sessions/upstream-sessions.ts'
import { tellSession } from '../lib/telemetry/channels.ts'

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
  const { sessions, config: { sensitiveParams, session: { maxCredentialBytes } } } = fastify

  fastify.decorateRequest('openSession', async function (id, credentials) {
    const fields = memberTexts(this.bodyDocument)
    fields.delete('session_id')
    const ref = this.sessionRef(id)
    this.audit({ session: ref })
    const session = splitFields(fields, sensitiveParams)
    checkCredentials(session.identity.credentials)
    const opened = await openSession(ref, session, {
      sessions,
      upstreams: this.servers.sessionKeepers,
      validate: () => fastify.validateCredentials(credentials, this.callerSignal)
    })
    if (opened.replaced !== undefined) endUpstreams(this, opened.replaced)
    return opened
  })

  fastify.decorateRequest('endSession', async function (id) {
    const ref = this.sessionRef(id)
    this.audit({ session: ref })
    const removed = await sessions.remove(ref, this.servers.sessionKeepers)
    if (removed === null) return this.audit({ outcome: 'not_found' })
    tellSession('ended')
    endUpstreams(this, removed)
  })

  /** Credentials are read with every request, and are no cached values that could be left out. */
  function checkCredentials (credentials: ReadonlyMap<string, string>): void {
    const sizes = Array.from(credentials, ([name, text]) => [name, name.length + Buffer.byteLength(text)] as const)
    if (sizes.reduce((sum, [, bytes]) => sum + bytes, 0) <= maxCredentialBytes) return
    const [[largest] = ['credentials']] = sizes.sort(([, a], [, b]) => b - a)
    const rule = `shorter: the credentials of a session have at most ${maxCredentialBytes} bytes together`
    throw new InvalidFieldError(largest, rule)
  }

  /** Ends sessions at MCP servers after the reply. */
  function endUpstreams (request: FastifyRequest, { credentials, upstreams }: RemovedSession): void {
    const { servers } = request
    for (const [server, text] of upstreams) {
      const upstream = parseUpstream(text)
      if (upstream === null) continue
      request.defer(async () => await servers.byName(server)?.server.sessions?.end(upstream, credentials))
    }
  }
}, {
  name: 'session-lifecycle',
  dependencies: [
    'config', 'redis', 'json-body', 'session-reference', 'audit', 'caller-signal', 'after-response', 'credentials',
    'request-clients'
  ]
})
