import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { errorResponses } from '../lib/http/schemas.ts'
import { version } from '../lib/version.ts'

const HealthSchema = Type.Object({
  status: Type.Literal('ok'),
  sessions: Type.Integer({ description: 'The approximate number of sessions.' }),
  redis_latency_ms: Type.Number(),
  processes: Type.Object({
    alive: Type.Integer({ description: 'Running MCP servers of this worker.' }),
    starting: Type.Integer(),
    waiting: Type.Integer({ description: 'Requests that wait until their server may start.' }),
    spares_ready: Type.Integer({ description: 'Warm spares that are ready for a request.' })
  }),
  version: Type.String(),
  uptime_s: Type.Number()
}, { description: 'Redis answers.' })

/** Reports the state of the service. Does not restart the TTL of any session. */
export default (async (fastify) => {
  fastify.get('/health', {
    config: { probe: true },
    schema: {
      tags: ['operations'],
      summary: 'Show the state of the service and of Redis',
      response: { 200: HealthSchema, ...errorResponses({ 503: 'Redis does not answer.' }) }
    }
  }, async () => {
    const latencyMs = await fastify.sessions.ping()
    const sessions = await fastify.sessions.count()
    const { sparesReady, ...processes } = fastify.processCounts()
    return {
      status: 'ok' as const,
      sessions,
      redis_latency_ms: Math.round(latencyMs * 1000) / 1000,
      processes: { ...processes, spares_ready: sparesReady },
      version,
      uptime_s: Math.round(process.uptime())
    }
  })
}) satisfies FastifyPluginAsyncTypebox
