import { statSync } from 'node:fs'
import type { FastifyBaseLogger } from 'fastify'
import fp from 'fastify-plugin'
import { pino } from 'pino'
import { ConfigError } from '../lib/errors.ts'
import type { SessionRef } from '../lib/sessions/session-ref.ts'
import type { RequestEnd } from './request-end.ts'

/** Facts that only some requests have. The log gets a keyed hash of the session; the other facts are no secrets. */
export interface AuditFacts {
  session?: SessionRef
  /** Name of a tool or a prompt that exists, and of its server. No URI of a resource: it may hold a user's data. */
  tool?: string
  prompt?: string
  server?: string
  /** A keyed digest of a call's arguments, by which equal calls are found. */
  arguments?: string
  /** How a request ended that did not fail, where `ok` does not say it. */
  outcome?: string
}

const kFacts = Symbol('auditFacts')

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The event of this route in the audit log. Requests of other routes are logged only when they are refused. */
    audit?: 'init' | 'shutdown' | 'tool_call' | 'values' | 'list' | 'read_resource' | 'get_prompt' | 'complete'
  }
  interface FastifyRequest {
    /** Adds to what the audit log says of this request. */
    audit: (facts: AuditFacts) => void
    [kFacts]: AuditFacts | null
  }
}

/** A log file that cannot be written is reported at most this often. */
const reportEveryMs = 60_000

/** Lines that wait for a full disk. Further lines are lost. */
const maxUnwrittenBytes = 1_000_000

/** The mode of a new file. */
const ownersOnly = 0o600

/** Refusals because of who calls or how often, not because of what is wrong in the request. */
const refusals = new Set([401, 403, 409, 429])

/**
 * Edge phase: writes down who did what, when the request is over.
 *
 * There is one line for each session that is opened or ended, each request that is for MCP servers, and each refused
 * request. The lines have a logger of their own, so that they can go to a file of their own.
 */
export default fp(async (fastify) => {
  const { config: { audit }, sessions } = fastify
  fastify.decorateRequest(kFacts, null)
  fastify.decorateRequest('audit', function (facts) {
    this[kFacts] = Object.assign(this[kFacts] ?? {}, facts)
  })
  if (audit === 'off') return
  // A log level of the operator's does not leave out audit lines, unless it is silent.
  const level = fastify.log.level === 'silent' ? 'silent' : 'info'
  // Its facts are no secrets: see AuditFacts. Looking for some would cost more than the rest of a line.
  const log = audit === 'log' ? fastify.log.child({ name: 'audit' }, { level, redact: [] }) : openFile(audit.file)
  if (audit !== 'log' && isOpenToOthers(audit.file)) {
    fastify.addHook('onListen', async () => {
      fastify.log.warn({ file: audit.file }, 'the audit file can be read or written by other users of the machine')
    })
  }

  let reportedAt = -Infinity
  fastify.onRequestEnd(end => {
    try {
      write(log, end, sessions.nameForLog)
    } catch (err) {
      // A full disk must not end the service, nor fill the log as well.
      if (performance.now() - reportedAt < reportEveryMs) return
      reportedAt = performance.now()
      fastify.log.error({ err }, 'audit lines cannot be written')
    }
  })
}, {
  name: 'audit',
  dependencies: ['config', 'redis', 'errors', 'request-end', 'traces', 'caller-address', 'api-keys']
})

function openFile (file: string): FastifyBaseLogger {
  try {
    return pino(
      { level: 'info', base: null, timestamp: pino.stdTimeFunctions.isoTime },
      // Each line is written at once: an audit log must not lose its last lines in a crash.
      pino.destination({ dest: file, mkdir: true, mode: ownersOnly, sync: true, maxLength: maxUnwrittenBytes })
    )
  } catch (error) {
    const reason = (error as Error).message
    throw new ConfigError(`MCP_AUDIT_LOG must be on, off, or a file that can be written, but ${file} cannot: ${reason}`)
  }
}

/**
 * Whether somebody but its owner may use a file. The mode of a file that is there already is its owner's decision: a
 * collector of logs may need it so. A device or a pipe has no lines to read.
 */
function isOpenToOthers (file: string): boolean {
  const found = statSync(file)
  return found.isFile() && (found.mode & 0o077) !== 0
}

type NameForLog = (ref: SessionRef) => string

function write (log: FastifyBaseLogger, { request, reply, isAnswered }: RequestEnd, nameForLog: NameForLog): void {
  const { url: route, config: { audit } } = request.routeOptions
  const { statusCode } = reply
  if (audit === undefined && !refusals.has(statusCode)) return
  const { outcome = 'ok', session, tool, prompt, server, arguments: args } = request[kFacts] ?? {}
  // What is undefined is left out of the line.
  log.info({
    reqId: request.id,
    traceId: request.traceId ?? undefined,
    event: audit ?? 'refused',
    client: request.client,
    address: request.callerAddress,
    method: request.method,
    route,
    session: session && nameForLog(session),
    tool,
    prompt,
    server,
    arguments: args,
    statusCode,
    outcome: request.failureCode ?? (isAnswered ? outcome : 'caller_left'),
    durationMs: Math.round(reply.elapsedTime * 10) / 10
  }, 'audit')
}
