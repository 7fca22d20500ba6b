import fp from 'fastify-plugin'

/** MCP phase: tells the metrics what only Fastify and this worker's runtime know. */
export default fp(async (fastify) => {
  const { metrics, sessions } = fastify
  if (metrics === null) return

  fastify.onRequestEnd(({ request, reply, isAnswered }) => metrics.addRequest({
    method: request.method,
    route: request.routeOptions.url,
    statusCode: reply.statusCode,
    isAnswered,
    failureCode: request.failureCode,
    seconds: reply.elapsedTime / 1000
  }))

  metrics.addGauge({
    name: 'mcpc_processes',
    help: 'Processes of MCP servers, those that start or end included in alive',
    label: 'state',
    read () {
      const { alive, starting, sparesReady } = fastify.processCounts()
      return [['alive', alive], ['starting', starting], ['spare', sparesReady]]
    }
  })
  metrics.addGauge({
    name: 'mcpc_processes_limit',
    help: 'How many processes of MCP servers may be alive',
    read: () => [['', fastify.processLimit]]
  })
  metrics.addGauge({
    name: 'mcpc_queue_length',
    help: 'Requests that wait for their turn at MCP servers',
    label: 'kind',
    read: () => [['process', fastify.processCounts().waiting], ['http', fastify.upstreamCounts().waiting]]
  })
  metrics.addGauge({
    name: 'mcpc_upstream_requests',
    help: 'Requests that MCP servers over HTTP have now',
    read: () => [['', fastify.upstreamCounts().running]]
  })
  metrics.addGauge({
    name: 'mcpc_upstream_connections',
    help: 'Open connections to MCP servers over HTTP',
    label: 'server',
    read: () => fastify.upstreamConnections()
  })
  metrics.addGauge({
    name: 'mcpc_servers',
    help: 'MCP servers by whether their entry can be used',
    label: 'state',
    read () {
      const usable = fastify.serverCatalog().all.filter(({ server }) => server.spec.kind !== 'faulty')
      return [['usable', usable.length], ['faulty', fastify.faultyEntries().length]]
    }
  })
  metrics.addGauge({
    name: 'mcpc_sessions',
    help: 'About how many sessions there are, in Redis and so of all workers; NaN while Redis does not say',
    read: () => sessions.count().catch(() => null)
  })
}, {
  name: 'worker-metrics',
  dependencies: ['metrics', 'redis', 'errors', 'request-end', 'server-runtime']
})
