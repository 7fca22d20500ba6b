import fp from 'fastify-plugin'
import { tellCall } from '../lib/telemetry/channels.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Cancels a call that waits for responses, and the task of its server that waits for them. */
    cancelWaitingCall: (id: string) => Promise<void>
  }
}

/** How long it may take to reach a server and to cancel a task there (ms). */
const cancelMs = 5_000

/** Operations phase: cancels calls that wait for their callers. */
export default fp(async (fastify) => {
  const { calls, pendingCalls } = fastify

  fastify.decorateRequest('cancelWaitingCall', async function (id) {
    const taken = await pendingCalls.take(this.session, 'tool', { id })
    if (taken === null || taken.held === null) return
    const state = await calls.settle(this.session, taken.held, { state: 'cancelled' })
    if (state !== null) tellCall(state)
    const { tool, name, task } = taken.request
    const server = task === undefined ? null : this.servers.byExposedName(tool)
    if (task === undefined || server === null) return
    // The caller does not wait for it: a server that cannot be told ends the task in its own time.
    this.withClient(server, AbortSignal.timeout(cancelMs), client =>
      client.cancelTask(name, task, this.limits(server, 'call'))).catch(err => {
      this.log.debug({ err, server: server.name }, 'a task could not be cancelled')
    })
  })
}, { name: 'waiting-calls', dependencies: ['redis', 'session', 'request-clients'] })
