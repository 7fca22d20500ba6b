import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { root } from '../support/paths.ts'
import { build, type Environment } from '../support/service.ts'
import { statusOfCodes } from '../../lib/errors.ts'
import { version } from '../../lib/version.ts'

interface Operation {
  operationId?: string
  security?: Array<Record<string, string[]>>
  parameters?: Array<{ name: string }>
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
      content: Record<string, { schema: { $ref?: string } }>
    }
  >
}

interface Description {
  openapi: string
  info: { title: string; version: string }
  paths: Record<string, Record<string, Operation>>
  components: {
    securitySchemes: Record<string, unknown>
    schemas: Record<string, { properties?: Record<string, unknown>, required?: string[] }>
  }
  security?: unknown
}

/** The description of the service's own operations. */
async function describe (t: Test, env: Environment = {}): Promise<Description> {
  const app = await build(t, env)
  return JSON.parse(JSON.stringify(app.swagger())) as Description
}

t.test('the description names the API and its version', async t => {
  t.match(await describe(t), { openapi: '3.1.0', info: { title: 'MCP client service', version } })
})

t.test('the description demands what the settings demand, and nothing else', async t => {
  const keys = { MCP_CLIENT_API_KEYS: `a:${createHash('sha256').update('key').digest('hex')}` }
  const tokens = { MCP_SESSION_TOKENS: 'required' }
  const session = { session: [] }
  const demands: Array<[env: Environment, schemes: string[], demanded: Record<string, unknown>]> = [
    [{}, ['session'], { 'GET /session': [session], 'POST /tools': [], 'POST /init': [], 'GET /livez': [] }],
    [keys, ['session', 'apiKey', 'bearer'], {
      'GET /session': [{ apiKey: [], ...session }, { bearer: [], ...session }],
      'POST /tools': [{ apiKey: [] }, { bearer: [] }],
      'POST /init': [{ apiKey: [] }, { bearer: [] }],
      'GET /livez': []
    }],
    [tokens, ['session', 'sessionToken'], {
      'GET /session': [{ ...session, sessionToken: [] }], 'POST /tools': [{ sessionToken: [] }], 'POST /init': []
    }],
    [{ ...keys, ...tokens }, ['session', 'apiKey', 'sessionToken'], {
      'GET /session': [{ apiKey: [], ...session, sessionToken: [] }],
      'POST /tools': [{ apiKey: [], sessionToken: [] }],
      'POST /init': [{ apiKey: [] }]
    }]
  ]
  for (const [env, schemes, demanded] of demands) {
    const { paths, components, security } = await describe(t, env)
    t.strictSame(Object.keys(components.securitySchemes).sort(), schemes.sort())
    t.equal(security, undefined, 'each operation says what it demands')
    for (const [endpoint, expected] of Object.entries(demanded)) {
      const [method = '', path = ''] = endpoint.split(' ')
      t.strictSame(paths[path]?.[method.toLowerCase()]?.security, expected, endpoint)
    }
    for (const [path, methods] of Object.entries(paths)) {
      for (const { security = [], parameters = [] } of Object.values(methods)) {
        for (const scheme of security.flatMap(Object.keys)) t.ok(schemes.includes(scheme), path)
        t.notOk(parameters.some(({ name }) => /session/i.test(name)), 'the id of a session is no parameter')
      }
    }
  }
})

t.test('every operation has a name that generators can use', async t => {
  const ids = Object.values((await describe(t)).paths).flatMap(Object.values).map(({ operationId }) => operationId)
  for (const id of ids) t.match(id, /^[a-z][a-zA-Z]+$/)
  t.equal(new Set(ids).size, ids.length)
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
    'POST /init': [200, 400, 401, 403, 413, 429, 500, 502, 503, 504],
    'POST /sessions': [201, 400, 401, 403, 413, 429, 500, 502, 503, 504],
    'GET /session': [200, 400, 403, 409, 500, 503],
    'DELETE /session': [200, 400, 403, 500, 503],
    'PUT /session/values': [200, 400, 403, 409, 413, 500, 503],
    'DELETE /session/values/{name}': [200, 400, 403, 409, 500, 503],
    'POST /tools': [200, 400, 401, 403, 409, 413, 429, 500, 502, 503, 504],
    'GET /tools': [200, 304, 400, 401, 403, 409, 429, 500, 502, 503, 504],
    'POST /tools/{tool}': [200, 202, 400, 401, 403, 404, 409, 413, 422, 429, 500, 502, 503, 504],
    'POST /call-tool': [200, 202, 400, 401, 403, 404, 409, 413, 422, 429, 500, 502, 503, 504],
    'GET /calls': [200, 400, 403, 409, 500, 503],
    'GET /calls/{id}': [200, 202, 400, 403, 404, 409, 500, 503],
    'GET /calls/{id}/events': [200, 204, 400, 403, 404, 409, 500, 503],
    'POST /calls/{id}': [200, 202, 400, 401, 403, 404, 409, 413, 429, 500, 502, 503, 504],
    'DELETE /calls/{id}': [200, 202, 400, 403, 404, 409, 500, 503],
    'GET /results/{ref}': [200, 206, 304, 400, 403, 404, 409, 416, 500, 503],
    'POST /resources': [200, 400, 401, 403, 409, 413, 429, 500, 502, 503, 504],
    'GET /resources': [200, 304, 400, 401, 403, 409, 429, 500, 502, 503, 504],
    'POST /resource-templates': [200, 400, 401, 403, 409, 413, 429, 500, 502, 503, 504],
    'GET /resource-templates': [200, 304, 400, 401, 403, 409, 429, 500, 502, 503, 504],
    'POST /read-resource': [200, 202, 400, 401, 403, 404, 409, 413, 429, 500, 502, 503, 504],
    'POST /prompts': [200, 400, 401, 403, 409, 413, 429, 500, 502, 503, 504],
    'GET /prompts': [200, 304, 400, 401, 403, 409, 429, 500, 502, 503, 504],
    'POST /get-prompt': [200, 202, 400, 401, 403, 404, 409, 413, 429, 500, 502, 503, 504],
    'POST /complete': [200, 400, 401, 403, 404, 409, 413, 429, 500, 502, 503, 504],
    'POST /shutdown': [200, 400, 403, 413, 500, 503],
    'GET /tools-schema': [200, 403, 409, 500, 502, 503, 504],
    'GET /health': [200, 403, 500, 503],
    'GET /livez': [200, 403, 500, 503],
    'GET /readyz': [200, 403, 500, 503]
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
  const { paths, components: { schemas } } = await describe(t)
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, { responses }] of Object.entries(methods)) {
      const isCall = ['/call-tool', '/tools/{tool}'].includes(path) || (path === '/calls/{id}' && method === 'post')
      const schema = isCall ? 'CallFailure' : 'Failure'
      for (const [status, { content }] of Object.entries(responses).filter(([status]) => Number(status) >= 400)) {
        t.strictSame(content, {
          'application/json': { schema: { $ref: `#/components/schemas/${schema}` } },
          'application/problem+json': { schema: { $ref: `#/components/schemas/${schema.replace('Failure', 'Problem')}` } }
        }, `${path} ${status}`)
      }
    }
  }
  const { Failure, CallFailure } = schemas
  const required = ['status', 'error', 'code', 'retryable']
  t.strictSame(Failure?.required, required)
  t.strictSame(CallFailure?.required, [...required, 'acted'])
  t.strictSame(Object.keys(Failure?.properties ?? {}), [...required, 'authorization'])
  t.strictSame(Object.keys(CallFailure?.properties ?? {}), [...required, 'authorization', 'acted', 'arguments'])
})

/** Rows of the tables of a text, each as its cells. */
const rowsOf = (text: string) => text.split('\n').filter(line => line.startsWith('| '))
  .map(line => line.slice(1, -1).split('|').map(cell => cell.trim()))
const codesIn = (text: string) => [...new Set(text.match(/MCPC_ERR_\w+/g) ?? [])]
const readDocs = (name: string) => readFileSync(join(root, 'docs', name), 'utf8')

t.test('every failure names its codes, which are those of docs/errors.md, each with its status', async t => {
  const { paths } = await describe(t, { MCP_RATE_LIMIT_PER_MINUTE: '9', MCP_CLIENT_API_KEYS: `a:${'0'.repeat(64)}` })
  const [requests = ''] = readDocs('errors.md').split('## When the service does not start')
  const documented = new Map(rowsOf(requests).flatMap(([code = '', status = '']) =>
    codesIn(code).map(name => [name, Number(status)] as const)))
  t.ok(documented.size > 50)
  const named = new Map<string, number>()
  for (const [path, methods] of Object.entries(paths)) {
    for (const { responses } of Object.values(methods)) {
      for (const [status, { description }] of Object.entries(responses)) {
        const codes = codesIn(description)
        t.equal(codes.length > 0, Number(status) >= 400, `${path} ${status}: ${description}`)
        for (const code of codes) {
          t.equal(documented.get(code), Number(status), code)
          named.set(code, Number(status))
        }
      }
    }
  }
  // These answer requests that are none of an operation, or that nobody waits for.
  const ofNoOperation = ['NOT_FOUND', 'METHOD_NOT_ALLOWED', 'CALLER_LEFT'].map(name => `MCPC_ERR_${name}`)
  t.strictSame([...documented.keys()].filter(code => !named.has(code)).sort(), ofNoOperation.sort())
})

t.test('every operation has the codes that docs/api.md has at its endpoint, and no code that is not meant there', async t => {
  const { paths } = await describe(t, { MCP_RATE_LIMIT_PER_MINUTE: '9', MCP_CLIENT_API_KEYS: `a:${'0'.repeat(64)}` })
  const sections = [...readDocs('api.md').matchAll(/^## `([A-Z]+) (\/\S*)`$([^]*?)(?=^## |(?![^]))/gm)]
  t.ok(sections.length > 20)
  let checked = 0
  for (const [, method = '', path = '', text = ''] of sections) {
    const operation = paths[path]?.[method.toLowerCase()]
    for (const [statuses = '', said = ''] of rowsOf(text)) {
      if (!/^\d{3}(, \d{3})*$/.test(statuses)) continue
      for (const code of codesIn(said)) {
        const status = statusOfCodes.get(code)
        t.ok(statuses.includes(String(status)), `${code} is at its status`)
        t.match(operation?.responses[String(status)]?.description, code, `${method} ${path} ${status}`)
        checked++
      }
    }
  }
  t.ok(checked > 80, `${checked} codes`)

  const at = (method: string, path: string) =>
    Object.values(paths[path]?.[method]?.responses ?? {}).flatMap(({ description }) => codesIn(description))
  const only: Array<[code: string, places: string[]]> = [
    ['CALL_NOT_WAITING', ['post /calls/{id}']],
    ['UNKNOWN_CALL', ['get /calls/{id}', 'get /calls/{id}/events', 'post /calls/{id}', 'delete /calls/{id}']],
    ['CALL_TOO_LARGE', ['post /call-tool', 'post /tools/{tool}']],
    ['IDEMPOTENCY_KEY_REUSED', ['post /call-tool', 'post /tools/{tool}']],
    ['UNKNOWN_CONTINUATION', ['post /call-tool', 'post /calls/{id}', 'post /read-resource', 'post /get-prompt']],
    ['UNKNOWN_PROMPT', ['post /get-prompt', 'post /complete']],
    ['SESSION_TAKEN', ['post /init']],
    ['LEARNING', ['get /readyz']],
    ['INVALID_PARAMS', ['post /call-tool']]
  ]
  const places = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(method => [method, path] as const))
  for (const [code, expected] of only) {
    const found = places.filter(([method, path]) => at(method, path).includes(`MCPC_ERR_${code}`))
    t.strictSame(found.map(place => place.join(' ')).sort(), expected.sort(), code)
  }
})

t.test('every body is described with its required fields', async t => {
  const { paths } = await describe(t)
  const bodies = Object.entries(paths).flatMap(([path, { post }]) => {
    const schema = post?.requestBody?.content['application/json']?.schema
    return schema === undefined ? [] : [[path, [schema.required, Object.keys(schema.properties ?? {})]]]
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
    '/tools/{tool}': [undefined, []],
    '/calls/{id}': [['session_id', 'responses'], ['session_id', 'responses']],
    '/call-tool': [
      ['session_id'],
      [
        'session_id', 'tool', 'params', 'timeout', 'inject', 'dry_run', 'result', 'notify', 'reference', 'continue',
        'responses'
      ]
    ],
    '/resources': [['session_id'], ['session_id', 'servers']],
    '/resource-templates': [['session_id'], ['session_id', 'servers']],
    '/read-resource': [
      ['session_id'],
      ['session_id', 'uri', 'server', 'reference', 'continue', 'responses']
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
