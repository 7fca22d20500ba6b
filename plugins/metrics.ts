import { isIPv6 } from 'node:net'
import fp from 'fastify-plugin'
import { isListed, isLoopback, parseHost } from '../lib/http/origins.ts'
import { createMetrics, type Metrics } from '../lib/telemetry/metrics.ts'
import { type MetricsServer, openMetricsServer } from '../lib/telemetry/metrics-server.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** What this worker counts and measures; `null` where nobody wants to know. */
    readonly metrics: Metrics | null
  }
}

/**
 * Start phase: serves metrics on a port of their own, where MCP_METRICS_PORT is set. Otherwise nothing is loaded,
 * nothing is counted, and nothing listens.
 *
 * The port is there before the service's own, and ends after it: what happened at the end can still be read.
 */
export default fp(async (fastify) => {
  const { metrics: settings, allowedHosts } = fastify.config
  if (settings === null) {
    fastify.decorate('metrics', null)
    return
  }
  const metrics = await createMetrics()
  fastify.decorate('metrics', metrics)

  const isOnLoopback = isLoopback(isIPv6(settings.host) ? `[${settings.host}]` : settings.host)
  /** A page whose name resolves to this machine must not read what only this machine may; see plugins/origins.ts. */
  function isForUs (text: string | undefined): boolean {
    if (text === undefined || !isOnLoopback) return true
    const host = parseHost(text)
    return host !== null && (isLoopback(host.name) || isListed(allowedHosts, host))
  }

  let server: MetricsServer | null = null
  fastify.addHook('onReady', async () => {
    server = await openMetricsServer({
      ...settings,
      contentType: metrics.contentType,
      read: metrics.text,
      isForUs,
      onTrouble: err => fastify.log.warn({ err }, 'the metrics could not be served')
    })
    fastify.log.info({ url: server.url }, 'metrics are served')
  })
  fastify.addHook('onClose', async () => {
    await server?.close()
    metrics.close()
  })
}, { name: 'metrics', dependencies: ['config'] })
