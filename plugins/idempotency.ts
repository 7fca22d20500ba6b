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
}

const header = 'idempotency-key'

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
    const { dry_run: isDryRun, continue: token } = (this.body ?? {}) as { dry_run?: boolean, continue?: string }
    const key = parseIdempotencyKey(String(this.headers[header]))
    if (key === null) throw new InvalidFieldError('Idempotency-Key', keyRule)
    // A token is good for once already, and its call may have a key of its own.
    if (token !== undefined) throw new InvalidFieldError('Idempotency-Key', 'absent in a request with `continue`')
    return isDryRun === true ? null : claimOf(this, key)
  })

  const claimOf = ({ routeOptions: { url = '' }, params, bodyDocument }: FastifyRequest, key: string): CallClaim => ({
    keyHash: hashOfKey(key),
    digest: digestOfRequest(key, url, params, bodyDocument),
    id: createCallId(),
    lease: createLease(),
    leaseMs,
    ttlMs: idempotencyTtlMs,
    mostCalls: maxCalls
  })
}, { name: 'idempotency', dependencies: ['config', 'json-body'] })
