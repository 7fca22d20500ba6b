import { createHash, randomUUID } from 'node:crypto'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { fixture } from '../support/paths.ts'
import { redisClient, startRedis } from '../support/redis.ts'
import { call, failure, failureAt, initSession, post } from '../support/requests.ts'
import { build, environment, listen } from '../support/service.ts'
import { openRepository, ref } from '../support/session-repository.ts'
import { measureWaiting, until } from '../support/wait.ts'

const requests = { MCP_RATE_LIMIT_PER_MINUTE: '3' }
const inits = { MCP_INIT_RATE_LIMIT: '2' }
const list = (app: FastifyInstance, id: string, headers: Record<string, string> = {}) =>
  app.inject({ method: 'POST', url: '/tools', headers, payload: { session_id: id } })
const init = (app: FastifyInstance, { remoteAddress = '192.0.2.1', ...headers }: Record<string, string> = {}) =>
  app.inject({ method: 'POST', url: '/init', remoteAddress, headers, payload: { session_id: 'any', apiUrl, jwtToken } })
const limitHeaders = (headers: object) => Object.keys(headers).filter(name => name.startsWith('ratelimit-'))

t.test('by default nothing is counted', async t => {
  const app = await build(t)
  const session = await initSession(app)
  for (let i = 0; i < 20; i++) {
    const { statusCode, headers } = await list(app, session)
    t.equal(statusCode, 200)
    t.strictSame(limitHeaders(headers), [])
  }
  t.strictSame(await (await redisClient(t)).keys(`mcp_rate:${app.config.session.keyPrefix}:*`), [])
})

t.test('requests of a session are limited per minute over all workers, and answers say how many are left', async t => {
  const env = await environment(t, requests)
  const workers = [await build(t, env), await build(t, env)] as const
  const session = await initSession(workers[0])
  const other = await initSession(workers[0])

  const answers = [
    await list(workers[0], session), await call(workers[1], session, 'echo', { text: 'a' }),
    await list(workers[1], session)
  ]
  t.strictSame(answers.map(({ statusCode }) => statusCode), [200, 200, 200])
  t.strictSame(answers.map(({ headers }) => headers['ratelimit-remaining']), ['2', '1', '0'])
  for (const { headers } of answers) t.match(headers, { 'ratelimit-limit': '3', 'ratelimit-reset': /^(60|5\d)$/ })

  for (const worker of workers) {
    for (const [path, response] of [
      ['/tools', await list(worker, session)], ['/call-tool', await call(worker, session, 'echo')]
    ] as const) {
      t.equal(response.statusCode, 429)
      const seconds = Number(response.headers['retry-after'])
      t.ok(seconds > 40 && seconds <= 60, `${seconds} s`)
      t.match(
        response.headers, { 'ratelimit-limit': '3', 'ratelimit-remaining': '0', 'ratelimit-reset': String(seconds) }
      )
      t.strictSame(
        response.json(),
        failureAt(path, 'RATE_LIMIT', `Too many requests: try again in ${seconds} s`, { retryable: true })
      )
    }
  }
  t.equal((await list(workers[0], other)).statusCode, 200, 'another session has its own')
})

t.test('a request too many leaves its session alone, wherever the id is', async t => {
  const app = await build(t, { ...requests, MCP_SESSION_MAX_CONCURRENCY: '1' })
  const redis = await redisClient(t)
  const session = await initSession(app)
  const key = `${app.config.session.keyPrefix}:${session}`
  for (let i = 0; i < 3; i++) await list(app, session)
  const before = { ...await redis.hgetall(key) }
  await redis.expire(key, 1_000)

  const headers = { 'x-session-id': session }
  const refused = [
    await list(app, session), await call(app, session, 'echo'),
    await app.inject({ method: 'POST', url: '/tools', headers, payload: {} }),
    await app.inject({ method: 'POST', url: '/call-tool', headers, payload: { tool: 'echo' } })
  ]
  t.strictSame(refused.map(response => response.json<{ code: string }>().code), Array(4).fill('MCPC_ERR_RATE_LIMIT'))
  t.strictSame({ ...await redis.hgetall(key) }, before)
  t.ok(await redis.ttl(key) <= 1_000)
})

t.test('a request counts once, whether its id is in the header or in the body', async t => {
  const app = await build(t, requests)
  await app.inject({ method: 'POST', url: '/init', payload: { session_id: '4711-ä', apiUrl, jwtToken } })
  const bytes = Buffer.from('4711-ä').toString('latin1')
  const remaining = []
  for (const request of [
    { payload: { session_id: '4711-ä' } }, { headers: { 'x-session-id': bytes }, payload: {} },
    { headers: { 'x-session-id': bytes }, payload: { session_id: '4711-ä' } }
  ]) {
    const response = await app.inject({ method: 'POST', url: '/tools', ...request })
    t.equal(response.statusCode, 200)
    remaining.push(response.headers['ratelimit-remaining'])
  }
  t.strictSame(remaining, ['2', '1', '0'])
})

t.test('callers who use the same session id are counted apart', async t => {
  const hash = (key: string) => createHash('sha256').update(key).digest('hex')
  const app = await build(
    t, { ...requests, MCP_CLIENT_API_KEYS: `a:${hash('one')},a:${hash('two')},b:${hash('three')}` }
  )
  for (const key of ['one', 'three']) await init(app, { 'x-api-key': key })
  const remaining = async (key: string) => (await list(app, 'any', { 'x-api-key': key })).headers['ratelimit-remaining']
  t.strictSame([await remaining('one'), await remaining('two'), await remaining('three')], ['2', '1', '2'])
})

t.test('after a minute the count begins anew', async t => {
  const app = await build(t, requests)
  const redis = await redisClient(t)
  const session = await initSession(app)
  for (let i = 0; i < 3; i++) await list(app, session)
  t.equal((await list(app, session)).statusCode, 429)

  const key = `${app.config.session.keyPrefix}:${session}`
  const [count, end] = (await redis.hget(key, 'rate'))?.split(' ') ?? []
  t.equal(count, '3')
  t.ok(Number(end) > Date.now() && Number(end) < Date.now() + 70_000)
  // Its minute has ended, the clock of Redis was set back, or something else wrote there.
  for (const rate of [`3 ${Date.now() - 1}`, `3 ${Date.now() + 3_600_000}`, '3', '', 'three 4', `-3 ${Date.now() + 50_000}`]) {
    await redis.hset(key, 'rate', rate)
    t.equal((await list(app, session)).headers['ratelimit-remaining'], '2', rate)
  }
})

t.test('requests of a session are counted in it, and those of an address at a key that expires', async t => {
  const app = await build(t, { ...requests, ...inits })
  const redis = await redisClient(t)
  const session = await initSession(app)
  await list(app, session)

  const { keyPrefix } = app.config.session
  const keys = await redis.keys(`*${keyPrefix}*`)
  const counters = keys.filter(key => key.startsWith(`mcp_rate:${keyPrefix}:`))
  t.strictSame(counters, [`mcp_rate:${keyPrefix}:init:127.0.0.1`])
  t.strictSame(keys.filter(key => key.startsWith(keyPrefix)), [`${keyPrefix}:${session}`])
  const [counter = ''] = counters
  const ttlMs = await redis.pttl(counter)
  t.ok(ttlMs > 0 && ttlMs <= 60_000, `${ttlMs} ms`)

  await redis.persist(counter) // as a restore from somewhere might leave it
  await init(app, { remoteAddress: '127.0.0.1' })
  t.ok(await redis.pttl(counter) > 0)
})

t.test('ids and tokens that callers invent make no counters, wherever they are', async t => {
  const { url: REDIS_URL } = await startRedis(t)
  const app = await build(t, { ...requests, REDIS_URL, MCP_SESSION_TOKENS: 'required' })
  const redis = await redisClient(t, REDIS_URL)
  const opened = await init(app)
  const { session_token: token } = opened.json<{ session_token: string }>()
  await redis.hset('another-type:x', 'a', '1')
  const before = await redis.keys('*')

  const id = () => randomUUID()
  const bearer = (text: string) => ({ authorization: `Bearer ${text}` })
  const kinds: Array<() => Promise<LightMyRequestResponse>> = [
    () => list(app, id()),
    () => list(app, id(), bearer(id())),
    () => list(app, 'any', bearer(id())),
    () => list(app, 'any'),
    () => list(app, 'any', { authorization: `Basic ${id()}` }),
    () => call(app, id(), 'echo'),
    () => app.inject({ url: '/session', headers: { 'x-session-id': id() } }),
    () => app.inject({ url: '/session', headers: { 'x-session-id': 'any', ...bearer(id()) } }),
    () => app.inject({ method: 'DELETE', url: '/session/values/a', headers: { 'x-session-id': id() } }),
    () => app.inject({ method: 'POST', url: '/tools', payload: {}, headers: { 'x-session-id': id() } })
  ]
  for (let turn = 0; turn < 50; turn++) {
    for (const answer of await Promise.all(kinds.map(send => send()))) t.equal(answer.statusCode, 409)
  }
  t.strictSame((await redis.keys('*')).sort(), before.sort(), 'after 500 requests')
  t.equal(await redis.hget(`${app.config.session.keyPrefix}:any`, 'rate'), null)
  t.equal((await list(app, 'any', bearer(token))).headers['ratelimit-remaining'], '2', 'its rate was not used up')
})

t.test('a count takes one command, restarts no TTL, and a request too many writes nothing', async t => {
  const { client, repository, create, key } = await openRepository(t)
  await create('one')
  await client.expire(key('one'), 50)
  const rate = { windowMs: 60_000, most: 2 }
  const counts = []
  for (let turn = 0; turn < 4; turn++) counts.push((await repository.countRequest(ref('one'), rate))?.current)
  t.strictSame(counts, [1, 2, 3, 3])
  t.match(await client.hget(key('one'), 'rate'), /^2 \d{13}$/)
  t.ok(await client.ttl(key('one')) <= 50)
  t.equal(await client.hexists(key('one'), 'running'), 0)

  await client.set(key('text'), '{}')
  await client.lpush(key('list'), 'a')
  await client.hset(key('hash'), 'a', 'b')
  for (const id of ['text', 'list', 'hash', 'nothing']) t.equal(await repository.countRequest(ref(id), rate), null, id)
  t.equal(await client.exists(key('nothing')), 0)
  t.strictSame(await client.hgetall(key('hash')), { a: 'b' })
})

t.test('a session that goes on in another way keeps its count; a new one under its id has its own', async t => {
  const app = await build(t, requests)
  const remaining = async () => (await list(app, 'any')).headers['ratelimit-remaining']
  await init(app)
  t.equal(await remaining(), '2')
  await init(app)
  t.equal(await remaining(), '1')
  await app.inject({ method: 'POST', url: '/shutdown', payload: { session_id: 'any' } })
  t.equal(await remaining(), undefined)
  await init(app)
  t.equal(await remaining(), '2')
})

t.test('the sessions that an address opens are limited per minute over all workers, whatever the answer', async t => {
  const env = await environment(t, inits)
  const workers = [await build(t, env), await build(t, env)] as const
  const bad = await workers[0].inject({
    method: 'POST', url: '/init', remoteAddress: '192.0.2.1', payload: { session_id: 'any', apiUrl, jwtToken: 'guess' }
  })
  t.equal(bad.statusCode, 401)
  t.equal(bad.headers['ratelimit-remaining'], '1')
  t.equal((await init(workers[1])).statusCode, 200)

  const refused = await init(workers[1])
  t.equal(refused.statusCode, 429)
  t.equal(refused.json<{ code: string }>().code, 'MCPC_ERR_RATE_LIMIT')
  t.equal((await init(workers[0], { remoteAddress: '192.0.2.2' })).statusCode, 200, 'another address has its own')
  t.equal((await list(workers[0], 'any')).statusCode, 200, 'what is open can be used')
})

t.test('/sessions counts as /init does', async t => {
  const app = await build(t, inits)
  const open = () => app.inject({ method: 'POST', url: '/sessions', payload: { apiUrl, jwtToken } })
  const answers = [await open(), await init(app, { remoteAddress: '127.0.0.1' }), await open()]
  t.strictSame(answers.map(({ statusCode }) => statusCode), [201, 200, 429])
})

t.test('a missing or wrong id is refused for that, with limits, too', async t => {
  const app = await build(t, requests)
  for (const method of ['GET', 'DELETE'] as const) {
    t.strictSame(
      (await app.inject({ method, url: '/session' })).json(), failure('MISSING_FIELD', 'Missing X-Session-Id')
    )
    t.equal(
      (await app.inject({ method, url: '/session', headers: { 'x-session-id': 'x'.repeat(300) } })).json().code,
      'MCPC_ERR_INVALID_FIELD'
    )
  }
  const session = await initSession(app)
  const looks = []
  for (let time = 0; time < 4; time++) {
    looks.push((await app.inject({ url: '/session', headers: { 'x-session-id': session } })).statusCode)
  }
  t.strictSame(looks, [200, 200, 200, 429])
})

t.test('addresses of one IPv6 network count as one, because a caller has many of them', async t => {
  const app = await build(t, inits)
  const statuses = []
  for (const remoteAddress of ['2001:db8:0:1::1', '2001:db8:0:1::2', '2001:db8:0:1:ffff::3', '2001:db8:0:2::1']) {
    statuses.push((await init(app, { remoteAddress })).statusCode)
  }
  t.strictSame(statuses, [200, 200, 429, 200])
})

t.test('behind a trusted proxy the caller is counted; what a caller claims changes nothing', async t => {
  const proxied = await build(t, { ...inits, MCP_TRUSTED_PROXIES: '10.0.0.0/8' })
  const through = async (forwarded: string, remoteAddress = '10.0.0.1') =>
    (await init(proxied, { remoteAddress, 'x-forwarded-for': forwarded })).statusCode
  t.equal(await through('198.51.100.1'), 200)
  t.equal(await through('203.0.113.5, 198.51.100.1'), 200)
  t.equal(await through('203.0.113.6, 198.51.100.1'), 429)
  t.equal(await through('198.51.100.2'), 200)

  const direct = await build(t, inits)
  const openAs = async (forwarded: string) => (await init(direct, { 'x-forwarded-for': forwarded })).statusCode
  t.strictSame([await openAs('203.0.113.1'), await openAs('203.0.113.2'), await openAs('203.0.113.3')], [200, 200, 429])
})

t.test('without Redis requests are let through, and the log says once when it begins and when it ends', async t => {
  const redis = await startRedis(t)
  const service = await listen(
    t, { ...requests, ...inits, REDIS_URL: redis.url, MCP_SERVER_SCRIPT: fixture('tiny-server.mjs') }
  )
  const lines = (text: string) => service.output().split(text).length - 1
  const admin = await redisClient(t, redis.url)

  // Writes are refused, as when the memory of Redis is full: nothing is counted, and no session is opened.
  await admin.config('SET', 'maxmemory', '1')
  for (let i = 0; i < 5; i++) {
    const { body, headers } = await post(`${service.url}/init`, { session_id: 'a', apiUrl, jwtToken })
    t.match(body, { code: 'MCPC_ERR_STORE_UNAVAILABLE' }, 'it is not the rate that refuses')
    t.equal(headers.get('ratelimit-limit'), null)
  }
  t.equal(lines('rates cannot be counted, requests are let through'), 1)
  t.match(service.output(), /"level":"warn"[^\n]*"reqId":"[^"]+"[^\n]*rates cannot be counted/)

  await admin.config('SET', 'maxmemory', '0')
  t.equal(
    (await post(`${service.url}/init`, { session_id: 'a', apiUrl, jwtToken })).headers.get('ratelimit-remaining'), '1'
  )
  await until(() => lines('rates are counted again') === 1, 'the log says that it is over')
  t.match(service.output(), /"reqId":"[^"]+"[^\n]*rates are counted again/)

  admin.disconnect()
  await redis.stop()
  for (let i = 0; i < 5; i++) {
    const waitedMs = measureWaiting()
    t.equal((await post(`${service.url}/tools`, { session_id: 'a' })).status, 503, 'the session cannot be loaded')
    t.ok(waitedMs() < 5_000)
  }
  t.equal(lines('rates cannot be counted, requests are let through'), 2)
})

t.test('a Redis that hangs delays a request by two commands at most', async t => {
  const redis = await startRedis(t)
  const app = await build(t, { ...requests, REDIS_URL: redis.url })
  const session = await initSession(app)
  await (await redisClient(t, redis.url)).client('PAUSE', 6_000, 'ALL')
  const waitedMs = measureWaiting()
  t.equal((await list(app, session)).statusCode, 503)
  t.ok(waitedMs() < 4_000, `it waited ${waitedMs()} ms`)
})
