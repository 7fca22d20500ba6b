import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { pino } from 'pino'
import { ConfigError } from '../lib/errors.ts'
import type { SessionRef } from '../lib/sessions/session-ref.ts'

/** What only some requests have. Of the claim, only a keyed hash is written; of the rest, nothing is anybody's secret. */
export interface AuditFacts {
  /** Which session. */
  claim?: SessionRef
  /** A tool that there is, and its server. */
  tool?: string
  server?: string
  /** How a tool call ended that did not fail. */
  outcome?: string
}

const kFacts = Symbol('auditFacts')

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the audit log calls a request of this route. Requests of other routes are there when they are refused. */
    audit?: 'init' | 'shutdown' | 'tool_call'
  }
  interface FastifyRequest {
    /** Adds to what the audit log says of this request. */
    audit: (facts: AuditFacts) => void
    [kFacts]: AuditFacts | null
  }
}

const tellEveryMs = 60_000

/** What waits for a disk that is full; what is more than that is lost. */
const maxUnwrittenBytes = 1_000_000

/** Refusals for who asks or for how much, and not for what. */
const refusals = new Set([401, 403, 409, 429])

/**
 * Who did what: one line for each session that is opened or ended, each tool call, and each request that is refused, when it is over.
 *
 * By a logger of its own, so that it can go to a file of its own.
 */
export default fp(async (fastify) => {
  const { audit } = fastify.config
  fastify.decorateRequest(kFacts, null)
  fastify.decorateRequest('audit', function (facts) {
    this[kFacts] = { ...this[kFacts], ...facts }
  })
  if (audit === 'off') return
  // Who turns the log down does not mean these lines; who turns it off does.
  const level = fastify.log.level === 'silent' ? 'silent' : 'info'
  const log = audit === 'log' ? fastify.log.child({ name: 'audit' }, { level }) : openFile(audit.file)

  let toldAt = -Infinity
  fastify.addHook('onRequest', (request, reply, done) => {
    reply.raw.once('close', () => {
      try {
        write(log, request, reply)
      } catch (err) {
        // A full disk must not end the service, nor fill the log as well.
        if (performance.now() - toldAt < tellEveryMs) return
        toldAt = performance.now()
        fastify.log.error({ err }, 'audit lines cannot be written')
      }
    })
    done()
  })
}, { name: 'audit', dependencies: ['errors', 'caller-address'] })

function openFile (file: string): FastifyBaseLogger {
  try {
    // Each line is written before the next request is looked at: an audit log that loses its last lines in a crash is none.
    return pino({ level: 'info', base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ dest: file, mkdir: true, sync: true, maxLength: maxUnwrittenBytes }))
  } catch (error) {
    throw new ConfigError(`MCP_AUDIT_LOG must be on, off, or a file that can be written, but ${file} cannot: ${(error as Error).message}`)
  }
}

function write (log: FastifyBaseLogger, request: FastifyRequest, reply: FastifyReply): void {
  const { audit } = request.routeOptions.config
  const { statusCode } = reply
  if (audit === undefined && !refusals.has(statusCode)) return
  const { outcome = 'ok', claim, ...facts } = request[kFacts] ?? {}
  log.info({
    event: audit ?? 'refused',
    client: request.client,
    address: request.callerAddress,
    method: request.method,
    route: request.routeOptions.url,
    ...(claim !== undefined && { session: request.server.sessions.nameForLog(claim) }),
    ...facts,
    statusCode,
    outcome: request.failureCode ?? (reply.raw.writableEnded ? outcome : 'caller_left'),
    durationMs: Math.round(reply.elapsedTime * 10) / 10
  }, 'audit')
}
