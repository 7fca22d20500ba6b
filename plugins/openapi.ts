import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import fp from 'fastify-plugin'
import { version } from '../lib/version.ts'

/** The API's description, made from the routes' own schemas, and a page to read it; its assets come from this service. */
export default fp(async (fastify) => {
  await fastify.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'MCP client service',
        description: 'MCP servers\' tools over plain HTTP, for a signed-in user. As the service is set up, any request may also be answered 401 (no API key), 403 (a web page, or a host name, that may not ask) or 429 (too often); docs/errors.md has the codes.',
        version
      },
      // Where keys are configured; probes want none.
      components: {
        securitySchemes: {
          apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
          bearer: { type: 'http', scheme: 'bearer' }
        }
      },
      security: [{ apiKey: [] }, { bearer: [] }, {}],
      tags: [
        { name: 'sessions', description: 'Open and end a session.' },
        { name: 'tools', description: 'List and call tools.' },
        { name: 'resources', description: 'List and read resources.' },
        { name: 'prompts', description: 'List, complete and get prompts.' },
        { name: 'operations', description: 'For operators and probes.' }
      ]
    }
  })
  await fastify.register(swaggerUi, { routePrefix: '/docs' })
}, {
  name: 'openapi',
  dependencies: [
    'errors', 'api-keys' // order: the pages inherit the error handler and the hooks that are there before them
  ]
})
