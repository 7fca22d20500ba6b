import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { errorResponses } from '../lib/http/schemas.ts'
import { createRecentReading } from '../lib/recent-reading.ts'
import { version } from '../lib/version.ts'

const HealthSchema = Type.Object({
  status: Type.Literal('ok'),
  sessions: Type.Optional(Type.Integer({ description: 'The approximate number of sessions.' })),
  redis_latency_ms: Type.Optional(Type.Number()),
  processes: Type.Optional(Type.Object({
    alive: Type.Integer({ description: 'Running MCP servers of this worker.' }),
    starting: Type.Integer(),
    waiting: Type.Integer({ description: 'Requests that wait until their server may start.' }),
    spares_ready: Type.Integer({ description: 'Warm spares that are ready for a request.' })
  })),
  upstreams: Type.Optional(Type.Object({
    running: Type.Integer({ description: 'Requests of this worker that MCP servers over HTTP have.' }),
    waiting: Type.Integer({ description: 'Requests that wait until their server may get them.' })
  })),
  servers: Type.Optional(Type.Object({
    faulty: Type.Array(Type.Object({
      name: Type.String(),
      reason: Type.String({ description: 'The field and the rule that it breaks.' }),
      keeps_old_form: Type.Boolean({ description: 'The server runs on as its entry was before a reload.' })
    }), { description: 'Entries of the servers file with a fault. Their servers are not run, or run in the old form.' })
  })),
  version: Type.Optional(Type.String()),
  uptime_s: Type.Optional(Type.Number())
}, { description: 'Redis answers. Where API keys are configured, all but `status` needs one.' })

/** Counting costs Redis some hundred commands, and anybody may ask. */
const maxAgeMs = 1_000

/** Reports the state of the service. Does not restart the TTL of any session. */
export default (async (fastify) => {
  const isOpen = fastify.config.apiKeys === null
  const readRedis = createRecentReading(async () => ({
    latencyMs: await fastify.sessions.ping(),
    sessions: await fastify.sessions.count()
  }), maxAgeMs)

  fastify.get('/health', {
    config: { probe: true },
    schema: {
      tags: ['operations'],
      operationId: 'checkHealth',
      summary: 'Show the state of the service and of Redis',
      response: { 200: HealthSchema, ...errorResponses({ 503: 'Redis does not answer.' }) }
    }
  }, async (request) => {
    const { latencyMs, sessions } = await readRedis()
    if (!isOpen && request.client === null) return { status: 'ok' as const }
    const { sparesReady, ...processes } = fastify.processCounts()
    return {
      status: 'ok' as const,
      sessions,
      redis_latency_ms: Math.round(latencyMs * 1000) / 1000,
      processes: { ...processes, spares_ready: sparesReady },
      upstreams: fastify.upstreamCounts(),
      servers: {
        faulty: fastify.faultyEntries()
          .map(({ name, reason, keepsOldForm }) => ({ name, reason, keeps_old_form: keepsOldForm }))
      },
      version,
      uptime_s: Math.round(process.uptime())
    }
  })
}) satisfies FastifyPluginAsyncTypebox
