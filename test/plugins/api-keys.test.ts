import { createHash } from 'node:crypto'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import service from '../../app.ts'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { redisClient } from '../support/redis.ts'
import { failure, post } from '../support/requests.ts'
import { build, environment, listen, spawnService } from '../support/service.ts'

const key = 'mcpk_canary-of-billing'
const hash = (text: string) => createHash('sha256').update(text).digest('hex')
const keys = { MCP_CLIENT_API_KEYS: `billing:${hash(key)}, billing:${hash('mcpk_next')}\n chat:${hash('mcpk_chat')}` }
const refusal = failure(
  'API_KEY', 'The request needs a valid API key, in the header X-API-Key or as Authorization: Bearer'
)

t.test('without configured keys anyone may call, and the log says so once at start', async t => {
  const service = await listen(t)
  t.equal((await post(`${service.url}/init`, { session_id: 'a', apiUrl, jwtToken })).status, 200)
  t.equal(service.output().match(/"level":"warn".*anyone who reaches the port may call.*/g)?.length, 1)
  t.match(service.output(), /MCP_CLIENT_API_KEYS is not set/)
})

t.test('with keys nobody gets anything without one', async t => {
  const app = await build(t, keys)
  const requests: Array<['GET' | 'POST' | 'PUT' | 'OPTIONS', string]> = [
    ['POST', '/init'], ['POST', '/tools'], ['POST', '/call-tool'], ['POST', '/shutdown'], ['GET', '/tools-schema'],
    ['GET', '/nothing'], ['POST', '/nothing'], ['PUT', '/init'], ['OPTIONS', '/init'],
    ['GET', '/openapi.json'], ['GET', '/docs/json'], ['GET', '/docs/yaml'], ['GET', '/docs/nothing'], ['GET', '/docsx']
  ]
  for (const [method, url] of requests) {
    for (const headers of [
      {}, { 'x-api-key': 'wrong' }, { 'x-api-key': '' }, { 'x-api-key': hash(key) }, { authorization: 'Bearer wrong' },
      { authorization: key }, { authorization: `Basic ${key}` }
    ]) {
      const response = await app.inject({ method, url, headers })
      t.equal(response.statusCode, 401, `${method} ${url} ${JSON.stringify(headers)}`)
      t.strictSame(response.json(), { ...refusal, ...(url === '/call-tool' && { acted: 'no' }) })
      t.equal(response.headers['www-authenticate'], 'Bearer')
    }
  }
})

t.test('the files of the page /docs need no key, and say nothing of this service', async t => {
  const [closed, open] = [await build(t, keys), await build(t)]
  for (const url of [
    '/docs', '/docs/', '/docs/static/swagger-ui.css', '/docs/static/swagger-ui-bundle.js', '/docs/static/theme/page.js'
  ]) {
    for (const headers of [{}, { 'x-api-key': 'wrong' }]) {
      const response = await closed.inject({ url, headers })
      t.equal(response.statusCode, 200, url)
      t.equal(response.body, (await open.inject(url)).body, 'the same for every service')
    }
  }
  for (const url of ['/docs/static/../json', '/docs/static/%2e%2e/json', '/docs//json', '/docs/static/../../openapi.json']) {
    const response = await closed.inject(url)
    t.not(response.statusCode, 200, url)
    t.notMatch(response.body, 'call-tool', url)
  }
})

t.test('a key is taken from either header, and a name may have an old and a new key', async t => {
  const app = await build(t, keys)
  for (const headers of [
    { 'x-api-key': key }, { 'x-api-key': 'mcpk_next' }, { 'x-api-key': 'mcpk_chat' },
    { authorization: `Bearer ${key}` }, { authorization: `bearer  ${key} ` },
    { 'x-api-key': key, authorization: 'Bearer the-session\'s-own' }
  ]) t.equal((await app.inject({ url: '/tools-schema', headers })).statusCode, 200, JSON.stringify(headers))
  const other = await app.inject({
    url: '/tools-schema', headers: { 'x-api-key': 'wrong', authorization: `Bearer ${key}` }
  })
  t.equal(other.statusCode, 401, 'X-API-Key comes first')
})

t.test('request.client is the name of the key', async t => {
  for (const [env, name] of [[keys, 'billing'], [{}, null]] as const) {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(fp(service), { env: await environment(t, env) })
    app.get('/who', async request => ({ client: request.client }))
    t.strictSame((await app.inject({ url: '/who', headers: { 'x-api-key': key } })).json(), { client: name })
  }
})

t.test('probes need no key', async t => {
  const app = await build(t, keys)
  for (const method of ['GET', 'HEAD'] as const) {
    for (const url of ['/health', '/livez', '/readyz']) {
      t.equal((await app.inject({ method, url })).statusCode, 200, url)
    }
  }
})

t.test('a request without a key touches no session, wherever the id is', async t => {
  const app = await build(t, keys)
  const redis = await redisClient(t)
  const { keyPrefix } = app.config.session
  await app.inject({
    method: 'POST', url: '/init', headers: { 'x-api-key': key }, payload: { session_id: 'a', apiUrl, jwtToken }
  })
  await redis.expire(`${keyPrefix}:a`, 1_000)

  for (const request of [{ headers: { 'x-session-id': 'a' }, payload: {} }, { payload: { session_id: 'a' } }]) {
    t.equal((await app.inject({ method: 'POST', url: '/tools', ...request })).statusCode, 401)
  }
  t.ok(await redis.ttl(`${keyPrefix}:a`) <= 1_000)
})

t.test('a large body is refused unread, and its sender sees the answer', async t => {
  const service = await listen(t, keys)
  t.match(
    await post(`${service.url}/call-tool`, { session_id: 'a', tool: 'echo', params: { text: 'x'.repeat(4_000_000) } }),
    { status: 401, body: refusal }
  )
})

t.test('no key is in any answer or log line, right or wrong', async t => {
  const service = await listen(t, { ...keys, MCP_LOG_LEVEL: 'trace' })
  const answers = []
  for (const headers of [
    { 'x-api-key': key }, { authorization: `Bearer ${key}` }, { 'x-api-key': `${key}x` },
    { authorization: `Bearer ${key}x` }
  ] as Array<Record<string, string>>) {
    for (const path of ['/init', '/nothing']) {
      answers.push(await post(service.url + path, { session_id: 'a', apiUrl, jwtToken }, headers))
    }
  }
  await service.close()
  t.match(answers.map(({ status }) => status), [200, 404, 200, 404, 401, 401, 401, 401])
  t.notMatch(JSON.stringify(answers), key)
  t.notMatch(service.output(), key)
  t.notMatch(service.output(), hash(key))
  t.match(service.output(), 'MCPC_ERR_API_KEY')
  t.notMatch(service.output(), 'anyone who reaches the port')
})

t.test('a wrong list of keys stops the start with one line, which does not repeat it', async t => {
  const service = await spawnService(
    t, await environment(t, { MCP_CLIENT_HOST: '127.0.0.1', MCP_CLIENT_PORT: '0', MCP_CLIENT_API_KEYS: key })
  )
  t.match(await service.exited, { code: 1 })
  t.equal(
    service.output().trim(),
    'MCP_CLIENT_API_KEYS must be name:sha256 pairs with commas or spaces between, but is a value that is not shown'
  )
})
