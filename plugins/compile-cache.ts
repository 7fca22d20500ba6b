import fp from 'fastify-plugin'
import { maxCompileCacheBytes, prepareCompileCache, trimCompileCache } from '../lib/mcp/processes/compile-cache.ts'
import { createRecentReading } from '../lib/recent-reading.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** A server has started: from time to time, what the compiled code of servers takes is bounded then. */
    readonly trimCompileCache: () => void
  }
}

/** How often the folder is looked at, at most (ms). */
const trimEveryMs = 600_000

const removed = 'compiled code of mcp servers took too much, and the oldest is removed'

/**
 * Start phase: the folder where MCP servers keep compiled code. It is refused when others may write to it. Its size is
 * looked at when the service starts, and now and then when a server does; there is no timer.
 */
export default fp(async (fastify) => {
  const { isDescribed, compileCache } = fastify.config
  const folder = isDescribed ? null : compileCache
  if (folder !== null) prepareCompileCache(folder)

  const trim = createRecentReading(async () => {
    if (folder === null) return
    try {
      const bytes = await trimCompileCache(folder, maxCompileCacheBytes)
      if (bytes > 0) fastify.log.info({ folder, bytes }, removed)
    } catch (err) {
      fastify.log.warn({ err }, 'what compiled code of mcp servers takes is not known')
    }
  }, trimEveryMs)

  fastify.decorate('trimCompileCache', () => { trim() }) // never rejects
  fastify.addHook('onReady', trim)
}, { name: 'compile-cache', dependencies: ['config'] })
