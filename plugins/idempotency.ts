import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { createCallId, createLease, leaseMs } from '../lib/calls/call.ts'
import { digestOfRequest, hashOfKey, keyRule, parseIdempotencyKey } from '../lib/calls/idempotency.ts'
import { InvalidFieldError } from '../lib/errors.ts'
import type { CallClaim } from '../lib/sessions/scripts.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Whether the request is a tool call with an `Idempotency-Key`: what it asks is known once its body is read. */
    readonly isRepeatable: boolean
    /**
     * The call that the request begins in its session, unless an earlier one has its key; `null` without a key, and for
     * a request that calls no tool. Throws InvalidFieldError.
     */
    callClaim: () => CallClaim | null
  }
  interface FastifyContextConfig {
    /** The request goes on with a call that was made before. */
    continuesCall?: boolean
  }
}

const header = 'idempotency-key'

const onceRule = 'absent in a request that goes on with a call'

/** Session phase: knows by which key a tool call may be sent again without being made again. */
export default fp(async (fastify) => {
  const { calls: { idempotencyTtlMs, maxCalls } } = fastify.config

  fastify.decorateRequest('isRepeatable', {
    getter () {
      return this.headers[header] !== undefined && this.routeOptions.config.toolCall === true
    }
  })

  fastify.decorateRequest('callClaim', function () {
    if (!this.isRepeatable) return null
    const key = parseIdempotencyKey(String(this.headers[header]))
    if (key === null) throw new InvalidFieldError('Idempotency-Key', keyRule)
    // A question is responded to once already, and its call may have a key of its own.
    if (continuesCall(this)) throw new InvalidFieldError('Idempotency-Key', onceRule)
    return beginsCall(this) ? claimOf(this, key) : null
  })

  const claimOf = (request: FastifyRequest, key: string): CallClaim => ({
    keyHash: hashOfKey(key),
    digest: digestOf(request, key),
    id: createCallId(),
    lease: createLease(),
    leaseMs,
    ttlMs: idempotencyTtlMs,
    mostCalls: maxCalls
  })
}, { name: 'idempotency', dependencies: ['config', 'json-body'] })

/** Whether a tool call, whose body was read, makes a call of its own. */
export const beginsCall = (request: FastifyRequest): boolean =>
  !continuesCall(request) && String(optionsOf(request).dry_run) !== 'true'

const continuesCall = (request: FastifyRequest): boolean =>
  request.routeOptions.config.continuesCall === true || optionsOf(request).continue !== undefined

/** What a call asks beside the arguments. Where the whole body is the arguments, it is asked in the query. */
function optionsOf ({ routeOptions, body, query }: FastifyRequest): { dry_run?: unknown, continue?: string } {
  return (routeOptions.config.sessionInHeader === true ? query : body) ?? {}
}

function digestOf ({ routeOptions, params, query, bodyDocument }: FastifyRequest, key: string): string {
  const { url = '', config: { sessionInHeader = false } } = routeOptions
  return digestOfRequest(key, [url, params, query], bodyDocument, sessionInHeader ? [] : ['session_id'])
}
