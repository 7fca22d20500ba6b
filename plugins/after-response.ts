import { Readable } from 'node:stream'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { StoreUnavailableError } from '../lib/errors.ts'

const kTasks = Symbol('tasks')

/** Work that the caller does not wait for. A rejection is logged. */
export type Task = () => Promise<unknown>

declare module 'fastify' {
  interface FastifyInstance {
    /** Resolves when all work that was deferred so far is done. */
    deferredSettled: () => Promise<void>
  }
  interface FastifyRequest {
    /**
     * Runs `task` once, when the work of the request is done: its answer is handed over, read or not, or the caller has
     * left. At once when that was before. Closing waits for it.
     */
    defer: (task: Task) => void
    /** Ends the work of a request whose answer is a stream, which may be sent for long. */
    finishWork: () => void
    [kTasks]: Task[] | 'over' | null
  }
}

/**
 * Edge phase: runs what must be done after a request and must not delay its answer, like ending an MCP server.
 *
 * That is not when the answer is read: a caller who does not read would hold a server that others wait for.
 *
 * Fastify's close() does not wait for such work. This plugin's onClose hook does, before Redis is closed.
 */
export default fp(async (fastify) => {
  let running = 0
  const waiting: Array<() => void> = []

  async function deferredSettled (): Promise<void> {
    if (running === 0) return
    await new Promise<void>(resolve => { waiting.push(resolve) })
    await deferredSettled()
  }

  async function run (task: Task, log: FastifyBaseLogger): Promise<void> {
    running++
    try {
      await task()
    } catch (err) {
      // An outage of Redis has its own line.
      log[err instanceof StoreUnavailableError ? 'debug' : 'warn']({ err }, 'work after the response failed')
    }
    running--
    if (running === 0) for (const resolve of waiting.splice(0)) resolve()
  }

  fastify.decorate('deferredSettled', deferredSettled)
  fastify.decorateRequest(kTasks, null)
  fastify.decorateRequest('defer', function (task) {
    const tasks = this[kTasks] ??= []
    if (tasks === 'over') run(task, this.log)
    else tasks.push(task)
  })

  function finish (request: FastifyRequest): void {
    const tasks = request[kTasks]
    request[kTasks] = 'over'
    if (Array.isArray(tasks)) for (const task of tasks) run(task, request.log)
  }

  fastify.decorateRequest('finishWork', function () { finish(this) })
  fastify.addHook('onSend', (request, reply, payload, done) => {
    // The next tick comes once the answer is handed over.
    if (!(payload instanceof Readable)) process.nextTick(finish, request)
    done()
  })
  fastify.onRequestEnd(({ request }) => finish(request))

  fastify.addHook('onClose', deferredSettled)
}, {
  name: 'after-response',
  dependencies: [
    'request-end',
    'redis' // order: onClose hooks run last-registered first, and deferred work still needs Redis
  ]
})
