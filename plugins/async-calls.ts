import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type HeldCall, isOver } from '../lib/calls/call.ts'
import { type CallNotices, createCallNotices } from '../lib/calls/call-notices.ts'
import { type CallQueue, createCallQueue, type Job } from '../lib/calls/call-queue.ts'
import { createCallRunner } from '../lib/calls/call-runner.ts'
import { createTaskRecords } from '../lib/calls/task-records.ts'
import { describeCall } from '../lib/calls/describe-call.ts'
import { answerOf, type StoredCall } from '../lib/calls/stored-call.ts'
import {
  CallCancelledError, CallTooLargeError, IdempotencyKeyReusedError, SessionNotFoundError, TooManyKeptCallsError
} from '../lib/errors.ts'
import { anySignal, Cancellation, type CancelSignal } from '../lib/cancellation.ts'
import { readPreferences } from '../lib/http/prefer.ts'
import { createAwaitCommand } from '../lib/redis/command.ts'
import type { Session } from '../lib/sessions/session.ts'
import { tellCall } from '../lib/telemetry/channels.ts'
import { goesBack } from './async-requests.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** What workers tell each other of calls; `null` where none are accepted. */
    readonly callNotices: CallNotices | null
  }
  interface FastifyRequest {
    /**
     * Accepts a call for any worker, and answers as far as it has come when its caller wants to know. `notify` names
     * the receiver that is told of its end.
     */
    acceptCall: (
      data: string, notify: string | null, note: (name: string, value: string) => void
    ) => Promise<AcceptedReply>
    /** Waits until a call of the session is over or requests input, or for so long. */
    waitForCall: (id: string, milliseconds: number) => Promise<void>
    /** Cancels a call, on whichever worker it runs. */
    cancelCall: (id: string) => Promise<void>
  }
}

export interface AcceptedReply { body: string, statusCode: number, outcome: 'accepted', notCached: [] }

/** A notice may be lost, so a call is looked at again after this (ms). */
const lookEveryMs = 1_000

/** How many calls of others a worker runs at once. */
const mostAtOnce = 50

/** Operations phase: accepts calls whose callers do not wait, and makes those that any worker has accepted. */
export default fp(async (fastify) => {
  const { calls, sessions, config } = fastify
  const { session: { keyPrefix }, redis: { commandTimeoutMs }, calls: { isAsync, maxCalls }, basePath } = config
  const queue: CallQueue | null = isAsync
    ? createCallQueue(fastify.redis, { key: `mcp_jobs:${keyPrefix}`, inTime: createAwaitCommand(commandTimeoutMs) })
    : null
  const notices: CallNotices | null = isAsync ? createCallNotices(fastify.redis, `mcp_calls:${keyPrefix}`) : null
  fastify.decorate('callNotices', notices)

  fastify.decorateRequest('waitForCall', async function (id, milliseconds) {
    const until = performance.now() + milliseconds
    while (performance.now() < until && !this.callerSignal.aborted && !fastify.isClosing) {
      // Listening begins before the look, so that no change falls between.
      const stop = new Cancellation()
      const left = Math.min(lookEveryMs, until - performance.now())
      const next = pause(id, left, anySignal(stop, this.callerSignal))
      const call = await calls.read(this.session, id).catch(error => {
        stop.abort()
        throw error
      })
      if (call === null || isOver(call) || call.state === 'input_required') return stop.abort()
      await next
    }
  })

  async function pause (id: string, milliseconds: number, signal: CancelSignal): Promise<void> {
    if (notices !== null) return await notices.next('changed', id, milliseconds, signal)
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, milliseconds)
      signal.addEventListener('abort', () => {
        clearTimeout(timer)
        resolve()
      }, { once: true })
    })
  }

  fastify.decorateRequest('cancelCall', async function (id) {
    const cancelled = await calls.cancel(this.session, id)
    if (cancelled?.isDone !== true) return
    if (cancelled.call.state === 'cancelled') tellCall('cancelled')
    notices?.publish('cancel', id)
    notices?.publish('changed', id)
  })

  /** The receiver of a call, which is set down before the call can run. */
  const watchedBy = ({ call, session, client, notify }: Job) =>
    notify === null ? null : { call, session, client, receiver: notify }

  fastify.decorateRequest('acceptCall', async function (data, notify, note) {
    const { session } = this
    const claim = this.callClaim()
    const opened = await calls.open(session, { state: 'queued', kind: 'tool', data, claim })
    if ('refused' in opened) {
      if (opened.refused === 'session ended') throw new SessionNotFoundError(session.id)
      if (opened.refused === 'full') throw new TooManyKeptCallsError(session.id, maxCalls)
      throw new CallTooLargeError()
    }
    if ('earlier' in opened && opened.earlier.digest !== claim?.digest) throw new IdempotencyKeyReusedError()
    if ('earlier' in opened) note('idempotency-replayed', 'true')
    else tellCall('queued')
    const { id, state } = 'opened' in opened ? opened.opened : opened.earlier
    // Of a call that was accepted twice, once by a worker that died before it put it into the queue, nothing is lost.
    const job: Job = { call: id, session: session.id, client: this.client, notify }
    const watched = watchedBy(job)
    if (watched !== null && !isOver({ state })) await fastify.webhooks.watch(watched)
    if (state === 'queued') await queue?.add(job)
    notices?.publish('queued', id)
    const { waitSeconds } = readPreferences(this.headers.prefer)
    note('preference-applied', waitSeconds > 0 ? `respond-async, wait=${waitSeconds}` : 'respond-async')
    if (waitSeconds > 0) await this.waitForCall(id, waitSeconds * 1000)
    const call = await calls.read(session, id)
    if (call === null) throw new SessionNotFoundError(session.id)
    return replyOf(call, note)
  })

  /** The answer of a call that is over or asks, and else where it can be read later. */
  function replyOf (call: StoredCall, note: (name: string, value: string) => void): AcceptedReply {
    const { state } = call
    note('location', `${basePath}/calls/${call.id}`)
    const shared = { outcome: 'accepted', notCached: [] as [] } as const
    if (state === 'queued' || state === 'working') return { ...shared, body: describeCall(call), statusCode: 202 }
    const { statusCode, headers, body } = answerOf(call)
    for (const [name, value] of Object.entries(headers)) note(name, value)
    return { ...shared, body, statusCode }
  }

  if (queue === null || notices === null) return

  /** Lets another worker make a call that has not begun, or this one when it has less to do. */
  async function giveBack (job: Job, session: Session, held: HeldCall): Promise<void> {
    if (!fastify.isClosing) await delay(lookEveryMs)
    const state = await calls.settle(session, held, { state: 'queued' })
    if (state === null) return
    tellCall(state)
    if (state === 'queued') await queue?.add(job)
    notices?.publish(state === 'queued' ? 'queued' : 'changed', held.id)
  }

  const requests = new Map<string, FastifyRequest>()
  const tasks = createTaskRecords(fastify.redis, {
    key: `mcp_tasks:${keyPrefix}`, inTime: createAwaitCommand(commandTimeoutMs)
  })
  const runner = createCallRunner({
    queue,
    calls,
    tasks,
    mostAtOnce,
    load: async ({ session, client }) =>
      await sessions.load({ id: session, client }, { takeSlot: true }),
    async run ({ job, session, held, data, task: begun }) {
      const task = tasks.recordOf(job, session, held, begun)
      const onRequest = (request: FastifyRequest) => requests.set(held.id, request)
      const ref = { id: job.session, client: job.client }
      const events = calls.events.log(session, held, {
        added: () => notices.publish('said', held.id),
        failure: err => fastify.log.debug({ err }, 'events of a call could not be kept')
      })
      notices.publish('changed', held.id)
      const { statusCode, body } = await fastify.requestAsync({ ref, session, held, task, events, onRequest }, data)
      requests.delete(held.id)
      await events.settled()
      const failure = statusCode >= 400 ? JSON.parse(body) as { code?: string, acted?: string } : null
      if (failure !== null && goesBack(failure)) return await giveBack(job, session, held)
      // One that failed before the tool's turn was not settled. Settled twice, a call stays as it was.
      const settled = await calls.settle(session, held, {
        state: statusCode === 200 ? 'completed' : 'failed',
        answer: { statusCode, headers: {}, body },
        freesKey: failure?.acted === 'no'
      })
      if (settled !== null) tellCall(settled)
      notices.publish('changed', held.id)
      await task.close()
      const watched = watchedBy(job)
      if (watched !== null) await fastify.webhooks.hasEnded(watched)
    },
    onFailure: err => fastify.log.warn({ err }, 'a call that was accepted could not be made yet')
  })
  notices.on('queued', () => runner.look())
  notices.on('cancel', id => requests.get(id)?.interrupt(new CallCancelledError()))
  fastify.metrics?.addGauge({
    name: 'mcpc_call_queue_length',
    help: 'Accepted calls that no worker has begun, in Redis and so of all workers; NaN while Redis does not say',
    read: () => queue.length().catch(() => null)
  })
  const timer = setInterval(() => runner.look(), lookEveryMs)
  fastify.addHook('onReady', async () => runner.look())
  fastify.addHook('preClose', async () => {
    clearInterval(timer)
    runner.stop()
  })
  fastify.addHook('onClose', async () => {
    clearInterval(timer)
    await runner.settled()
    notices.close()
  })
}, {
  name: 'async-calls',
  dependencies: [
    'config', 'metrics', 'redis', 'closing', 'caller-signal', 'api-keys', 'async-requests', 'idempotency', 'session',
    'webhooks'
  ]
})
