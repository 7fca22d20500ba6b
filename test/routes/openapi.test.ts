import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { build } from '../support/service.ts'
import { version } from '../../lib/version.ts'

interface Operation {
  summary?: string
  tags?: string[]
  requestBody?: {
    required?: boolean
    content: Record<string, { schema: { properties: Record<string, unknown>; required: string[] } }>
  }
  responses: Record<
    string,
    {
      description: string
      content: Record<string, { schema: { properties?: Record<string, unknown>; required?: string[] } }>
    }
  >
}

interface Description {
  openapi: string
  info: { title: string; version: string }
  paths: Record<string, Record<string, Operation>>
}

async function describe (t: Test): Promise<Description> {
  const app = await build(t)
  const response = await app.inject({ method: 'GET', url: '/openapi.json' })
  t.equal(response.statusCode, 200)
  t.match(response.headers['content-type'], /^application\/json/)
  return response.json()
}

t.test('the description names the API and its version', async t => {
  t.match(await describe(t), { openapi: '3.1.0', info: { title: 'MCP client service', version } })
})

t.test("the description says where a caller's key goes", async t => {
  t.match(await describe(t), {
    components: {
      securitySchemes: {
        apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
        bearer: { type: 'http', scheme: 'bearer' }
      }
    },
    security: [{ apiKey: [] }, { bearer: [] }, {}]
  })
})

t.test('every endpoint is described with the statuses it may answer', async t => {
  const { paths } = await describe(t)
  const endpoints = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { responses }]) => [
      `${method.toUpperCase()} ${path}`,
      Object.keys(responses)
        .map(Number)
        .sort((a, b) => a - b)
    ])
  )
  t.strictSame(Object.fromEntries(endpoints), {
    'POST /init': [200, 400, 401, 403, 429, 502, 503, 504],
    'POST /sessions': [201, 400, 401, 429, 502, 503, 504],
    'GET /session': [200, 400, 409, 503],
    'DELETE /session': [200, 400, 503],
    'PUT /session/values': [200, 400, 403, 409, 503],
    'DELETE /session/values/{name}': [200, 400, 403, 409, 503],
    'POST /tools': [200, 400, 401, 409, 429, 502, 503, 504],
    'GET /tools': [200, 304, 400, 401, 409, 429, 502, 503, 504],
    'POST /call-tool': [200, 202, 400, 401, 404, 409, 422, 429, 502, 503, 504],
    'GET /calls': [200, 400, 409, 503],
    'GET /calls/{id}': [200, 202, 400, 404, 409, 503],
    'POST /calls/{id}': [200, 202, 400, 401, 404, 409, 429, 502, 503, 504],
    'DELETE /calls/{id}': [200, 202, 400, 404, 409, 503],
    'POST /resources': [200, 400, 401, 409, 429, 502, 503, 504],
    'GET /resources': [200, 304, 400, 401, 409, 429, 502, 503, 504],
    'POST /resource-templates': [200, 400, 401, 409, 429, 502, 503, 504],
    'GET /resource-templates': [200, 304, 400, 401, 409, 429, 502, 503, 504],
    'POST /read-resource': [200, 202, 400, 401, 404, 409, 429, 502, 503, 504],
    'POST /prompts': [200, 400, 401, 409, 429, 502, 503, 504],
    'GET /prompts': [200, 304, 400, 401, 409, 429, 502, 503, 504],
    'POST /get-prompt': [200, 202, 400, 401, 404, 409, 429, 502, 503, 504],
    'POST /complete': [200, 400, 401, 404, 409, 429, 502, 503, 504],
    'POST /shutdown': [200, 400, 503],
    'GET /tools-schema': [200, 409, 502, 503, 504],
    'GET /health': [200, 503],
    'GET /livez': [200],
    'GET /readyz': [200, 503]
  })
})

t.test('every endpoint has a summary and a tag, and every answer a description', async t => {
  for (const [path, methods] of Object.entries((await describe(t)).paths)) {
    for (const { summary, tags, responses } of Object.values(methods)) {
      t.match(
        { summary, tags },
        { summary: /^[A-Z]/, tags: [/^(sessions|tools|resources|prompts|operations)$/] },
        path
      )
      for (const { description } of Object.values(responses)) t.match(description, /\S+ .*\.$/, path)
    }
  }
})

t.test('every failure has the one shape', async t => {
  for (const [path, methods] of Object.entries((await describe(t)).paths)) {
    for (const [method, { responses }] of Object.entries(methods)) {
      const isCall = path === '/call-tool' || (path === '/calls/{id}' && method === 'post')
      for (const [status, { content }] of Object.entries(responses).filter(([status]) => Number(status) >= 400)) {
        const { properties = {}, required } = content['application/json']?.schema ?? {}
        const acted = isCall ? ['acted'] : []
        const more = isCall ? ['acted', 'arguments'] : []
        t.strictSame(
          [Object.keys(properties), required],
          [
            ['status', 'error', 'code', 'retryable', 'authorization', ...more],
            ['status', 'error', 'code', 'retryable', ...acted]
          ],
          `${path} ${status}`
        )
      }
    }
  }
})

t.test('every body is described with its required fields', async t => {
  const { paths } = await describe(t)
  const bodies = Object.entries(paths).flatMap(([path, { post }]) => {
    const schema = post?.requestBody?.content['application/json']?.schema
    return schema === undefined ? [] : [[path, [schema.required, Object.keys(schema.properties)]]]
  })
  t.strictSame(Object.fromEntries(bodies), {
    '/init': [
      ['session_id', 'apiUrl', 'jwtToken'],
      ['session_id', 'apiUrl', 'jwtToken']
    ],
    '/sessions': [
      ['apiUrl', 'jwtToken'],
      ['apiUrl', 'jwtToken']
    ],
    '/tools': [['session_id'], ['session_id', 'servers']],
    '/calls/{id}': [['session_id', 'responses'], ['session_id', 'responses']],
    '/call-tool': [
      ['session_id'],
      ['session_id', 'tool', 'params', 'timeout', 'inject', 'dry_run', 'result', 'continue', 'responses']
    ],
    '/resources': [['session_id'], ['session_id', 'servers']],
    '/resource-templates': [['session_id'], ['session_id', 'servers']],
    '/read-resource': [
      ['session_id'],
      ['session_id', 'uri', 'server', 'continue', 'responses']
    ],
    '/prompts': [['session_id'], ['session_id', 'servers']],
    '/get-prompt': [
      ['session_id'],
      ['session_id', 'name', 'arguments', 'continue', 'responses']
    ],
    '/complete': [
      ['session_id', 'ref', 'argument'],
      ['session_id', 'ref', 'argument', 'context']
    ],
    '/shutdown': [['session_id'], ['session_id']]
  })
})

t.test('the page that shows it takes everything from this service', async t => {
  const app = await build(t)
  const page = await app.inject({ method: 'GET', url: '/docs/' })
  t.equal(page.statusCode, 200)
  t.match(page.headers['content-type'], /^text\/html/)
  const assets = [...page.body.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, asset]) => asset ?? '')
  t.ok(assets.length >= 4)
  for (const asset of assets) {
    t.notMatch(asset, /^(https?:)?\/\//, 'no other host')
    const response = await app.inject({ method: 'GET', url: new URL(asset, 'http://localhost/docs/').pathname })
    t.equal(response.statusCode, 200, asset)
    t.ok(response.rawPayload.length > 0, asset)
  }
})

t.test('the page runs scripts of this service only, sends no address on, and cannot be embedded', async t => {
  const app = await build(t)
  const key = createHash('sha256').update('key').digest('hex')
  const closed = await build(t, { MCP_CLIENT_API_KEYS: `a:${key}` })
  const headers = { 'x-api-key': 'key' }
  for (const url of ['/docs', '/docs/', '/docs/static/index.html', '/docs/static/swagger-initializer.js', '/docs/json']) {
    for (const response of [await app.inject({ url }), await closed.inject({ url, headers })]) {
      const policy = Object.fromEntries(String(response.headers['content-security-policy']).split('; ')
        .map(directive => [directive.split(' ')[0], directive.split(' ').slice(1).join(' ')]))
      t.strictSame(policy, {
        'default-src': "'none'",
        'script-src': "'self'",
        'style-src': "'self' 'unsafe-inline'",
        'img-src': "'self' data:",
        'connect-src': "'self'",
        'base-uri': "'none'",
        'form-action': "'none'",
        'frame-ancestors': "'none'"
      }, url)
      t.match(response.headers, { 'referrer-policy': 'no-referrer', 'x-content-type-options': 'nosniff' })
    }
  }
})

t.test('the page has no script of its own in it, and asks no checker of others', async t => {
  const app = await build(t)
  const { body } = await app.inject({ url: '/docs/' })
  for (const [, attributes = '', script = ''] of body.matchAll(/<script([^>]*)>([^]*?)<\/script>/g)) {
    t.match(attributes, /src=/)
    t.equal(script.trim(), '')
  }
  t.notMatch(body, /\son\w+=|javascript:|<base/)
  t.match((await app.inject({ url: '/docs/static/swagger-initializer.js' })).body, /"validatorUrl":\s*null/)
})
