import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import fp from 'fastify-plugin'
import { version } from '../lib/version.ts'

const description = 'Calls the tools of MCP servers over plain HTTP, for a signed-in user. With some settings, ' +
  'any request may also be answered 401 (no API key), 403 (a web page or host name that is not allowed) or 429 (too ' +
  'many requests). docs/errors.md lists the codes.'

/**
 * Operations phase: describes the API from the routes' own schemas, and serves a page that shows the description.
 *
 * The assets of the page come from this service.
 */
export default fp(async (fastify) => {
  await fastify.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'MCP client service',
        description,
        version
      },
      // A key is needed where keys are configured, except by probes.
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
