import { randomBytes } from 'node:crypto'
import type { FastifyRequest, LightMyRequestResponse } from 'fastify'
import fp from 'fastify-plugin'
import type { HeldCall } from '../lib/calls/call.ts'
import type { TaskRecord } from '../lib/calls/task-records.ts'
import type { EventWriter } from '../lib/http/event-stream.ts'
import { readPreferences } from '../lib/http/prefer.ts'
import type { Session } from '../lib/sessions/session.ts'
import type { SessionRef } from '../lib/sessions/session-ref.ts'
import { beginsCall } from './idempotency.ts'

/** A call that was accepted before, and that a worker makes now. */
export interface AsyncCall {
  ref: SessionRef
  session: Session
  held: HeldCall
  /** The task of its server that it is run as, where another worker could go on with that. */
  task: TaskRecord
  events: Pick<EventWriter, 'send'>
  /** Gets the request that makes the call. */
  onRequest: (request: FastifyRequest) => void
}

const kCall = Symbol('asyncCall')

declare module 'fastify' {
  interface FastifyInstance {
    /** Makes a call by a request to this service. Its caller was checked when the call was accepted. */
    requestAsync: (call: AsyncCall, payload: string) => Promise<LightMyRequestResponse>
  }
  interface FastifyRequest {
    /** The call that this request makes for a caller who does not wait; `null` for any request from outside. */
    readonly asyncCall: AsyncCall | null
    /**
     * Whether the caller wants a tool to be called without waiting for its result. Before its body is read, a request
     * that makes no call of its own seems to want that, too.
     */
    readonly wantsAsync: boolean
    [kCall]: AsyncCall | null
  }
}

/** Failures that are about this worker, and not about the call. */
const ownFailures = new Set(['MCPC_ERR_CLOSING', 'MCPC_ERR_SATURATED'])

/** Whether an accepted call that failed may be made by another worker: nobody has heard of the failure. */
export const goesBack = ({ code, acted }: { code?: string, acted?: string | undefined }) =>
  acted === 'no' && ownFailures.has(code ?? '')

/** Good for one request of this process. */
const header = 'x-mcp-async-call'

/**
 * Edge phase: lets a call that was accepted pass all phases of a request as any other call does.
 *
 * Such a request has a ticket: random bits that nobody outside of this process has seen, and that are good once.
 */
export default fp(async (fastify) => {
  const { config: { calls: { isAsync }, basePath } } = fastify
  const tickets = new Map<string, AsyncCall>()

  fastify.decorateRequest(kCall, null)
  fastify.decorateRequest('asyncCall', {
    getter () {
      return this[kCall]
    }
  })
  fastify.decorateRequest('wantsAsync', {
    getter () {
      return isAsync && this[kCall] === null && this.routeOptions.config.toolCall === true && !this.wantsEvents &&
        readPreferences(this.headers.prefer).respondAsync && beginsCall(this)
    }
  })
  fastify.decorate('requestAsync', async (call: AsyncCall, payload: string) => {
    const ticket = randomBytes(32).toString('base64url')
    tickets.set(ticket, call)
    try {
      const headers = { [header]: ticket }
      return await fastify.inject({ method: 'POST', url: `${basePath}/call-tool`, headers, payload })
    } finally {
      tickets.delete(ticket)
    }
  })
  if (!isAsync) return

  fastify.addHook('onRequest', (request, reply, done) => {
    const ticket = request.headers[header]
    delete request.headers[header]
    const call = typeof ticket === 'string' ? tickets.get(ticket) : undefined
    if (call !== undefined) {
      tickets.delete(ticket as string)
      request[kCall] = call
      call.onRequest(request)
    }
    done()
  })
}, { name: 'async-requests', dependencies: ['config', 'server-sent-events'] })
