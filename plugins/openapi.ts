import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import fp from 'fastify-plugin'
import { loadTheme } from '../lib/docs-page/docs-page.ts'
import {
  CallErrorSchema, CallProblemSchema, ErrorSchema, ProblemSchema, ToolFailureSchema, ToolReplySchema
} from '../lib/http/schemas.ts'
import { type OpenApiDocument, refTo } from '../lib/openapi/document.ts'
import { finishDocument } from '../lib/openapi/own-document.ts'
import { toolFailureName, toolReplyName } from '../lib/openapi/tool-operation.ts'
import { version } from '../lib/version.ts'

const description = 'Calls the tools of MCP servers over plain HTTP, for a signed-in user. docs/errors.md lists the ' +
  'codes of failures.'

const anyJson = { type: ['object', 'array', 'string', 'number', 'boolean', 'null'] }

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
  const { basePath, apiKeys, sessionTokens, rateLimits } = fastify.config
  const security = { needsKey: apiKeys !== null, needsToken: sessionTokens }
  await fastify.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      // The paths are described without it.
      servers: [{ url: basePath === '' ? '/' : basePath, description: 'This service.' }],
      info: {
        title: 'MCP client service',
        description,
        license: { name: 'MIT', identifier: 'MIT' },
        version
      },
      tags: [
        { name: 'sessions', description: 'Open and end a session.' },
        { name: 'tools', description: 'List and call tools.' },
        { name: 'resources', description: 'List and read resources.' },
        { name: 'prompts', description: 'List, complete and get prompts.' },
        { name: 'operations', description: 'For operators and probes.' }
      ]
    },
    // A probe needs no key.
    transform: ({ schema, url, route }) => ({
      schema: { ...schema, ...(route.config?.probe === true && { security: [] }) },
      url
    }),
    transformObject: described => 'openapiObject' in described
      ? finishDocument(described.openapiObject as unknown as OpenApiDocument, {
        ...security,
        limitsRates: rateLimits.requestsOfSession > 0 || rateLimits.initsOfAddress > 0,
        bodies: {
          Failure: ErrorSchema,
          CallFailure: CallErrorSchema,
          Problem: ProblemSchema,
          CallProblem: CallProblemSchema,
          [toolFailureName]: ToolFailureSchema,
          [toolReplyName]: { description: ToolReplySchema.description, anyOf: [refTo(toolFailureName), anyJson] }
        }
      }) as object
      : described.swaggerObject
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
