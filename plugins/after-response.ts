import fp from 'fastify-plugin'
import { StoreUnavailableError } from '../lib/errors.ts'

const kTasks = Symbol('tasks')

/** Work that nobody waits for. May reject: that is logged. */
export type Task = () => Promise<unknown>

declare module 'fastify' {
  interface FastifyInstance {
    /** Resolves when all work that was deferred so far is done. */
    deferredSettled: () => Promise<void>
  }
  interface FastifyRequest {
    /** Does `task` once, when the reply has been sent or the caller has left; at once when that has happened. Closing waits for it. */
    defer: (task: Task) => void
    [kTasks]: Task[] | 'over' | null
  }
}

/**
 * Last chapter of a request: what must be done when it is over, and must not make its caller wait, like ending an MCP server.
 *
 * onResponse does not run when the caller leaves while the handler works; the response's `close` does. Whichever comes first
 * does the work, the other finds it done. Fastify's close() waits for neither, so ours does, before Redis is let go.
 */
export default fp(async (fastify) => {
  const running = new Set<Promise<void>>()

  async function deferredSettled (): Promise<void> {
    while (running.size > 0) await Promise.all(running)
  }

  fastify.decorate('deferredSettled', deferredSettled)
  fastify.decorateRequest(kTasks, null)
  fastify.decorateRequest('defer', function (task) {
    const tasks = this[kTasks] ??= []
    if (tasks === 'over') run(task, this.log)
    else tasks.push(task)
  })

  function run (task: Task, log: typeof fastify.log): void {
    const work = task().catch(err => {
      // An outage of Redis has its own line.
      log[err instanceof StoreUnavailableError ? 'debug' : 'warn']({ err }, 'work after the response failed')
    }).then(() => { running.delete(work) })
    running.add(work)
  }

  fastify.addHook('onRequest', (request, reply, done) => {
    reply.raw.once('close', () => finish(request))
    done()
  })
  fastify.addHook('onResponse', (request, reply, done) => {
    finish(request)
    done()
  })

  function finish (request: { [kTasks]: Task[] | 'over' | null, log: typeof fastify.log }): void {
    const tasks = request[kTasks]
    request[kTasks] = 'over'
    if (tasks !== null && tasks !== 'over') for (const task of tasks) run(task, request.log)
  }

  fastify.addHook('onClose', deferredSettled)
}, { name: 'after-response', dependencies: ['redis', 'caller-signal'] })
