import type { FastifyInstance } from 'fastify'
import type { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { isGiven, redisClient } from '../support/redis.ts'
import { call, failure } from '../support/requests.ts'
import { build } from '../support/service.ts'
import { answer, startApi } from '../support/validation-api.ts'

async function init (app: FastifyInstance, fields: Record<string, unknown> = {}): Promise<[number, unknown]> {
  const response = await app.inject({
    method: 'POST',
    url: '/init',
    payload: { session_id: 's1', apiUrl, jwtToken, ...fields }
  })
  return [response.statusCode, response.json()]
}

const keyOf = (app: FastifyInstance) => `${app.config.session.keyPrefix}:s1`
const ok: [number, unknown] = [200, { status: 'ok' }]
const accepted = answer(200, { status: 'success' })
const refused = (error: string): [number, unknown] => [401, failure('INVALID_CREDENTIALS', error)]
const broken = (error: string): [number, unknown] => [
  502,
  failure('VALIDATION_API', `The credentials could not be checked: ${error}`, { retryable: true })
]

/** A service whose API answers as told; validation is on. */
async function buildWith (t: Test, handle: Parameters<typeof startApi>[1], env: Record<string, string> = {}) {
  const api = await startApi(t, handle)
  const app = await build(t, { MCP_SKIP_VALIDATION: 'false', MCP_API_BASE_URL: api.url, ...env })
  return { app, api, redis: await redisClient(t) }
}

/**
 * Runs /init beside a live session of other credentials, and holds that neither it nor its TTL was touched, nor
 * anything stored.
 */
async function leavesAlone (
  t: Test,
  app: FastifyInstance,
  redis: Redis,
  expected: [number, unknown],
  fields: Record<string, unknown> = {}
) {
  await redis.del(keyOf(app))
  t.strictSame(await init(app, { question: 'why', ...fields }), expected)
  t.strictSame(await redis.keys(`${app.config.session.keyPrefix}:*`), [], 'nothing is stored')

  const session = {
    meta: '{"version":1,"owner":"somebody","generation":"g"}',
    credentials: '{"apiUrl":"http://a","jwtToken":"a.b.c"}',
    'p:question': '"old"'
  }
  await redis.hset(keyOf(app), session)
  await redis.expire(keyOf(app), 5_000)
  t.strictSame(await init(app, { question: 'why', ...fields }), expected)
  t.strictSame({ ...(await redis.hgetall(keyOf(app))) }, session, 'a live session is as it was')
  t.ok((await redis.ttl(keyOf(app))) <= 5_000, 'and so is its TTL')
}

t.test(
  'credentials that the API accepts open a session; it is asked once, with apiUrl and jwtToken alone',
  async t => {
    const { app, api, redis } = await buildWith(t, accepted)
    t.strictSame(await init(app, { question: 'why', tenant: 'north' }), ok)
    t.strictSame(api.requests, [{ apiUrl, jwtToken }])

    await redis.expire(keyOf(app), 50)
    t.strictSame(await init(app, { other: 1 }), ok)
    t.strictSame(api.requests, [{ apiUrl, jwtToken }], 'not asked again for the same credentials')
    t.ok(await isGiven(redis, keyOf(app), 86_400), 'but the idle TTL is restarted')
    t.match(await redis.hgetall(keyOf(app)), { 'p:question': '"why"', 'p:tenant': '"north"', 'p:other': '1' })

    t.strictSame(await init(app, { jwtToken: 'a.b.c' }), [
      403,
      failure('SESSION_TAKEN', 'Session s1 belongs to another user')
    ])
    t.strictSame(
      api.requests,
      [
        { apiUrl, jwtToken },
        { apiUrl, jwtToken: 'a.b.c' }
      ],
      'asked for others'
    )
  }
)

t.test('the check is a JSON POST to the path that is set, at a base URL with or without a slash', async t => {
  const seen: unknown[] = []
  const { app, api } = await buildWith(t, (body, response, { method, url, headers }) => {
    seen.push([method, url, headers['content-type']])
    accepted(body, response)
  })
  const other = await build(t, {
    MCP_SKIP_VALIDATION: 'false',
    MCP_API_BASE_URL: undefined,
    INSIGHT_DIGGER_API_URL: `${api.url}/api/`,
    MCP_API_VALIDATION_PATH: '/check'
  })
  t.strictSame(await init(app), ok)
  t.strictSame(await init(other), ok)
  t.strictSame(seen, [
    ['POST', '/settings/validate', 'application/json'],
    ['POST', '/api/check', 'application/json']
  ])
})

t.test('credentials that cannot be right are refused before the API is asked', async t => {
  const { app, api, redis } = await buildWith(t, accepted)
  for (const url of [
    'example.com',
    'ftp://example.com',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'http://',
    '//example.com',
    ' '
  ]) {
    t.strictSame(await init(app, { apiUrl: url }), refused('Invalid API URL format'), url)
  }
  for (const token of ['a.b', 'abc', 'a.b.c.d', 'a..c', '.b.c', 'a.b.', '..', 'a b.c.d']) {
    t.strictSame(await init(app, { jwtToken: token }), refused('Invalid JWT token format'), token)
  }
  await leavesAlone(t, app, redis, refused('Invalid JWT token format'), { jwtToken: 'a.b' })
  t.strictSame(api.requests, [])
})

t.test('what the API refuses is 401 with its own sentence, without the token', async t => {
  const verdicts: Array<[number, unknown, string]> = [
    [200, { status: 'error', error: 'The token has expired' }, 'The token has expired'],
    [
      200,
      { status: 'error', error: `Token ${jwtToken} is unknown (${jwtToken})` },
      'Token [hidden] is unknown ([hidden])'
    ],
    [200, { status: 'error' }, 'The credentials were not accepted'],
    [200, { status: 'error', error: { code: 7 } }, 'The credentials were not accepted'],
    [401, { error: 'Not for you' }, 'Not for you'],
    [403, { status: 'error', error: 'Forbidden' }, 'Forbidden'],
    [400, { status: 'success' }, 'The credentials were not accepted'],
    [404, '<html>', 'The credentials were not accepted'],
    [422, '', 'The credentials were not accepted'],
    [429, [], 'The credentials were not accepted']
  ]
  let verdict: [number, unknown] = [200, {}]
  const { app, redis } = await buildWith(t, (body, response) => answer(...verdict)(body, response))
  for (const [status, body, sentence] of verdicts) {
    verdict = [status, body]
    await leavesAlone(t, app, redis, refused(sentence))
  }
})

t.test('an API that gives no verdict is 502', async t => {
  const verdicts: Array<[number, unknown, string]> = [
    [500, { status: 'error', error: 'token refused' }, '500'],
    [503, '<html>', '503'],
    [302, '', '302'],
    [201, { status: 'success' }, '201'],
    [200, '<html>', '200 without a verdict'],
    [200, '', '200 without a verdict'],
    [200, 'null', '200 without a verdict'],
    [200, [{ status: 'success' }], '200 without a verdict'],
    [200, { status: 'SUCCESS' }, '200 without a verdict'],
    [200, { ok: true }, '200 without a verdict'],
    [200, { status: 'success', padding: 'x'.repeat(70_000) }, '200 without a verdict']
  ]
  let verdict: [number, unknown] = [200, {}]
  const { app, redis } = await buildWith(t, (body, response) => answer(...verdict)(body, response))
  for (const [status, body, sentence] of verdicts) {
    verdict = [status, body]
    await leavesAlone(t, app, redis, broken(`the validation API answered ${sentence}`))
  }
})

t.test('an API that breaks off, or is not there, is 502', async t => {
  const { app, redis } = await buildWith(t, (_, response) => response.destroy())
  await leavesAlone(t, app, redis, broken('the validation API cannot be reached'))
  const cutOff = await buildWith(t, (_, response) => {
    response.writeHead(200, { 'content-length': 100 }).write('{"status":')
    response.destroy()
  })
  await leavesAlone(t, cutOff.app, redis, broken('the validation API cannot be reached'))
  const nowhere = await build(t, { MCP_SKIP_VALIDATION: 'false', MCP_API_BASE_URL: 'http://127.0.0.1:1' })
  await leavesAlone(t, nowhere, redis, broken('the validation API cannot be reached'))
})

t.test('an API that is too slow is 504, also when its body is', async t => {
  const late: [number, unknown] = [
    504,
    failure(
      'VALIDATION_TIMEOUT',
      'The credentials could not be checked: the validation API did not answer within 0.2 s',
      { retryable: true }
    )
  ]
  const silent = await buildWith(t, () => {}, { MCP_API_VALIDATION_TIMEOUT: '0.2' })
  await leavesAlone(t, silent.app, silent.redis, late)
  const trickling = await buildWith(
    t,
    (_, response) => {
      response.writeHead(200).write('{"status":"succ')
    },
    { MCP_API_VALIDATION_TIMEOUT: '0.2' }
  )
  await leavesAlone(t, trickling.app, trickling.redis, late)
})

t.test('without validation the form is still looked at, and nobody is asked', async t => {
  const { app, api, redis } = await buildWith(t, answer(401, {}), { MCP_SKIP_VALIDATION: 'true' })
  await leavesAlone(t, app, redis, refused('Invalid API URL format'), { apiUrl: 'nowhere' })
  await redis.del(keyOf(app))
  t.strictSame(await init(app), ok)
  t.strictSame((await call(app, 's1', 'echo', { text: 'hi' })).json(), { text: 'hi', jwtToken })
  t.strictSame(api.requests, [])
})

t.test('a session may only point to a host that is allowed; the API is not asked, and nothing is stored', async t => {
  const { app, api, redis } = await buildWith(t, accepted, {
    MCP_ALLOWED_API_HOSTS: 'api.example.com, *.example.org'
  })
  const elsewhere: [number, unknown] = [
    403,
    failure('API_HOST', 'apiUrl is not allowed: its host must be one that is allowed here')
  ]
  for (const url of [
    'https://canary.example',
    'https://api.example.com@canary.example',
    'https://canary.example\\@api.example.com',
    'https://example.org'
  ]) {
    await leavesAlone(t, app, redis, elsewhere, { apiUrl: url })
  }
  t.strictSame(api.requests, [])
  await redis.del(keyOf(app))
  t.strictSame(await init(app, { apiUrl: 'https://a.b.example.org' }), ok)
  t.equal(api.requests.length, 1)
})

t.test('in production a session may only point to https, whether credentials are checked or not', async t => {
  for (const skip of ['true', 'false']) {
    const { app } = await buildWith(t, accepted, { NODE_ENV: 'production', MCP_SKIP_VALIDATION: skip })
    t.strictSame(await init(app, { apiUrl: 'http://api.example.com' }), [
      403,
      failure('API_HOST', 'apiUrl is not allowed: it must be https')
    ])
    t.strictSame(await init(app), ok)
  }
  const { app } = await buildWith(t, accepted, {
    NODE_ENV: 'production',
    MCP_ALLOWED_API_HOSTS: '*.example.com, http://api.internal:8080'
  })
  t.strictSame(await init(app, { apiUrl: 'http://api.internal:8080' }), ok)
})
