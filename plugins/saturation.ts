import underPressure from '@fastify/under-pressure'
import fp from 'fastify-plugin'
import { SaturatedError } from '../lib/errors.ts'

/** How often is looked at how long the event loop keeps its work waiting (ms). */
const lookEveryMs = 500

/** How long after its start a worker refuses nothing (ms): its first delays are those of loading. */
const warmUpMs = 2_000

/** How often the log says so at most (ms). */
const tellEveryMs = 10_000

/**
 * Edge phase: refuses requests while the worker has more to do than its processor can, so that those it has taken are
 * answered in time. Otherwise all would be late together, and more so with every further one.
 *
 * Probes are answered: a worker that has much to do is not ill.
 */
export default fp(async (fastify) => {
  const { maxLoopDelayMs } = fastify.config
  if (maxLoopDelayMs === 0) return
  let toldAt = -Infinity
  let readyAt = Infinity
  fastify.addHook('onReady', async () => { readyAt = performance.now() })

  await fastify.register(underPressure, {
    maxEventLoopDelay: maxLoopDelayMs,
    sampleInterval: lookEveryMs,
    pressureHandler (request, reply, type, delayMs) {
      if (request.routeOptions.config.probe || performance.now() - readyAt < warmUpMs) return
      if (performance.now() - toldAt >= tellEveryMs) {
        toldAt = performance.now()
        const line = { delayMs: Math.round(delayMs ?? 0), maxLoopDelayMs }
        fastify.log.warn(line, 'requests are refused: the processor is busy')
      }
      return Promise.reject(new SaturatedError())
    }
  })
}, {
  name: 'saturation',
  dependencies: [
    'config',
    'errors', 'request-end', 'request-log', 'closing' // order: a request that is refused has an end and a log line, too
  ]
})
