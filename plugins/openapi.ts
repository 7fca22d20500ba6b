import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import fp from 'fastify-plugin'
import { loadTheme } from '../lib/docs-page/docs-page.ts'
import { version } from '../lib/version.ts'

const description = 'Calls the tools of MCP servers over plain HTTP, for a signed-in user. With some settings, ' +
  'any request may also be answered 401 (no API key), 403 (a web page or host name that is not allowed) or 429 (too ' +
  'many requests). docs/errors.md lists the codes.'

/** Styles may stand in the page: Swagger UI puts them on its elements. Scripts may not. */
const pageHeaders = {
  'content-security-policy': [
    "default-src 'none'", "script-src 'self'", "style-src 'self' 'unsafe-inline'", "img-src 'self' data:",
    "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"
  ].join('; '),
  'referrer-policy': 'no-referrer'
}

/**
 * Operations phase: describes the API from the routes' own schemas, and serves a page that shows the description.
 *
 * All that the page takes and all that it asks comes from this service, and no page of others may embed it.
 */
export default fp(async (fastify) => {
  const { basePath } = fastify.config
  await fastify.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      // Its paths are described without it.
      ...(basePath !== '' && { servers: [{ url: basePath }] }),
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
  await fastify.register(async (pages) => {
    pages.addHook('onRoute', route => {
      // The page asks for the key itself. The document, which it shows, needs the key.
      route.config = { ...route.config, cache: 'public', isPage: !/\/(json|yaml)$/.test(route.url) }
    })
    pages.addHook('onRequest', (request, reply, done) => {
      reply.headers(pageHeaders)
      done()
    })
    // Without `null` a visitor's browser sends the address of the description to a checker of others.
    await pages.register(swaggerUi, {
      routePrefix: `${basePath}/docs`, uiConfig: { validatorUrl: null }, theme: loadTheme()
    })
  })
}, {
  name: 'openapi',
  dependencies: [
    'config',
    'errors', 'response-headers', 'api-keys' // order: the pages inherit the handler and the hooks before them
  ]
})
