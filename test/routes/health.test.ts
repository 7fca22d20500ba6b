import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { redisClient, startRedis } from '../support/redis.ts'
import { failure, initSession } from '../support/requests.ts'
import { build } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { version } from '../../lib/version.ts'

async function get (app: FastifyInstance, url: string): Promise<[number, unknown]> {
  const response = await app.inject({ method: 'GET', url })
  return [response.statusCode, response.json()]
}

const unavailable = failure('STORE_UNAVAILABLE', 'The session store is unavailable', { retryable: true })

async function healthOf (t: Test, app: FastifyInstance): Promise<Record<string, unknown>> {
  const [status, body] = await get(app, '/health')
  t.equal(status, 200)
  return body as Record<string, unknown>
}

t.test('/health tells the state of the service', async t => {
  const app = await build(t)
  const { redis_latency_ms: latencyMs, uptime_s: uptimeSeconds, processes, ...others } = await healthOf(t, app)
  t.strictSame(others, { status: 'ok', sessions: 0, version, upstreams: { running: 0, waiting: 0 }, servers: { faulty: [] } })
  t.match(processes, { alive: Number, starting: Number, waiting: 0, spares_ready: Number })
  t.ok(typeof latencyMs === 'number' && latencyMs > 0 && latencyMs < 500)
  t.ok(Number.isInteger(uptimeSeconds) && Number(uptimeSeconds) >= 0)
})

t.test('/health counts the sessions, each once, and not those that ended', async t => {
  const app = await build(t)
  const sessions = await Promise.all([initSession(app), initSession(app), initSession(app)])
  await app.inject({ method: 'POST', url: '/init', payload: { session_id: sessions[0], apiUrl, jwtToken } })
  t.match(await healthOf(t, app), { sessions: 3 })
  await app.inject({ method: 'POST', url: '/shutdown', payload: { session_id: sessions[0] } })
  await until(async () => (await healthOf(t, app)).sessions === 2, 'it is counted anew after a second')

  const brief = await build(t, { MCP_SESSION_IDLE_TTL: '1' })
  await initSession(brief)
  await until(async () => (await brief.inject('/health')).json().sessions === 0, 'expired sessions are not counted')
})

t.test('a thousand requests for /health at once cost Redis as much as one, however many sessions are due', async t => {
  const { url: REDIS_URL } = await startRedis(t)
  const app = await build(t, { REDIS_URL })
  const redis = await redisClient(t, REDIS_URL)
  const index = `mcp_index:${app.config.session.keyPrefix}`
  const due = Array.from({ length: 5_000 }, (_, number) => ['1', `gone-${number}`]).flat()
  await redis.zadd(index, ...due)

  await redis.config('RESETSTAT')
  const answers = await Promise.all(Array.from({ length: 1_000 }, () => app.inject('/health')))
  const stats = await redis.info('commandstats')
  const calls = (command: string) => Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0)
  const all = [...stats.matchAll(/^cmdstat_.*?:calls=(\d+)/gm)].reduce((sum, [, count]) => sum + Number(count), 0)

  t.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 1_000)
  t.equal(new Set(answers.map(answer => answer.json().sessions)).size, 1)
  t.equal(calls('zrangebyscore'), 1, 'sessions are counted once')
  t.equal(calls('set'), 1, 'Redis is probed once')
  t.ok(calls('pttl') > 0 && calls('pttl') <= 60, `${calls('pttl')} due entries were looked at`)
  t.ok(all < 300, `${all} commands, those of scripts included`)
})

t.test('a failure of /health is shared and remembered for a second, as a good answer is', async t => {
  const redis = await startRedis(t)
  const app = await build(t, { REDIS_URL: redis.url })
  const admin = await redisClient(t, redis.url)
  await admin.config('SET', 'maxmemory', '1')
  await admin.config('RESETSTAT')
  const answers = await Promise.all(Array.from({ length: 100 }, () => app.inject('/health')))
  t.strictSame([...new Set(answers.map(({ statusCode }) => statusCode))], [503])
  t.match(await admin.info('commandstats'), /cmdstat_eval:calls=1,/)
  await admin.config('SET', 'maxmemory', '0')
  await until(async () => (await app.inject('/health')).statusCode === 200, 'it is asked again')
})

t.test('with API keys, /health tells a caller without one no more than that Redis answers', async t => {
  const hash = createHash('sha256').update('key').digest('hex')
  const redis = await startRedis(t)
  const app = await build(t, { REDIS_URL: redis.url, MCP_CLIENT_API_KEYS: `a:${hash}` })
  const health = (headers: Record<string, string>) => app.inject({ url: '/health', headers })
  const strangers = [
    {}, { 'x-api-key': '' }, { 'x-api-key': 'wrong' }, { 'x-api-key': 'keykey' }, { 'x-api-key': hash },
    { authorization: 'Bearer wrong' }, { authorization: 'key' }, { authorization: 'Basic key' },
    { 'x-api-key': 'wrong', authorization: 'Bearer key' }
  ]
  for (const headers of strangers) {
    const response = await health(headers as Record<string, string>)
    t.strictSame([response.statusCode, response.body], [200, '{"status":"ok"}'], JSON.stringify(headers))
  }
  for (const headers of [{ 'x-api-key': 'key' }, { authorization: 'Bearer key' }] as Array<Record<string, string>>) {
    const response = await health(headers)
    t.strictSame(
      Object.keys(response.json()),
      ['status', 'sessions', 'redis_latency_ms', 'processes', 'upstreams', 'servers', 'version', 'uptime_s']
    )
  }
  await redis.stop()
  await until(async () => (await health({})).statusCode === 503, 'Redis does not answer')
  t.strictSame((await health({})).json(), unavailable)
})

t.test('the probes leave the idle TTL of a session alone', async t => {
  const app = await build(t)
  const session = await initSession(app)
  const redis = await redisClient(t)
  const key = `${app.config.session.keyPrefix}:${session}`
  await redis.expire(key, 50)
  for (const url of ['/health', '/livez', '/readyz']) {
    const response = await app.inject({ method: 'GET', url, headers: { 'x-session-id': session } })
    t.equal(response.statusCode, 200)
    t.ok(await redis.ttl(key) <= 50, url)
  }
})

t.test('/livez and /readyz say ok, to HEAD as well', async t => {
  const app = await build(t)
  for (const url of ['/livez', '/readyz']) {
    t.strictSame(await get(app, url), [200, { status: 'ok' }])
    const head = await app.inject({ method: 'HEAD', url })
    t.strictSame([head.statusCode, head.body], [200, ''])
  }
})

t.test('while Redis is down everything that needs it is 503, and well again when it is back', async t => {
  const redis = await startRedis(t)
  const app = await build(t, { REDIS_URL: redis.url })
  const session = await initSession(app)
  process.kill(redis.pid, 'SIGSTOP') // it holds its connections and answers nothing
  t.teardown(() => process.kill(redis.pid, 'SIGCONT'))

  const requests = [
    { method: 'GET', url: '/health' },
    { method: 'GET', url: '/readyz' },
    { method: 'POST', url: '/init', payload: { session_id: 'new', apiUrl, jwtToken } },
    { method: 'POST', url: '/tools', payload: { session_id: session } },
    { method: 'POST', url: '/tools', headers: { 'x-session-id': session } },
    { method: 'POST', url: '/call-tool', payload: { session_id: session, tool: 'echo' } },
    { method: 'POST', url: '/shutdown', payload: { session_id: session } }
  ] as const
  await Promise.all(requests.map(async request => {
    const response = await app.inject({ ...request })
    t.equal(response.statusCode, 503, request.url)
    t.strictSame(response.json(), {
      ...unavailable, ...(request.url === '/call-tool' && { acted: 'no' })
    }, request.url)
    t.equal(response.headers['retry-after'], '1', request.url)
  }))
  t.strictSame(await get(app, '/livez'), [200, { status: 'ok' }], 'restarting us would not help')

  process.kill(redis.pid, 'SIGCONT')
  await until(async () => (await get(app, '/readyz'))[0] === 200, 'the service is ready again')
  await until(async () => (await get(app, '/health'))[0] === 200, 'and healthy, within a second')
})

t.test('a Redis that is gone is 503 at once', async t => {
  const redis = await startRedis(t)
  const app = await build(t, { REDIS_URL: redis.url })
  await redis.stop()
  for (const url of ['/health', '/readyz']) t.strictSame(await get(app, url), [503, unavailable])
  t.strictSame(await get(app, '/livez'), [200, { status: 'ok' }])
})

t.test('a service that is closing is alive but not ready', async t => {
  const app = await build(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const accepted: Socket[] = []
  app.server.on('connection', (socket: Socket) => accepted.push(socket))
  // Requests that have begun to arrive: their connections are not idle, so that closing waits for them.
  const begin = async (path: string) => {
    const socket = connect(port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    await new Promise(resolve => socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n`, resolve))
    return socket
  }
  const [ready, live] = [await begin('/readyz'), await begin('/livez')]
  await until(() => accepted.length === 2 && accepted.every(({ bytesRead }) => bytesRead > 0), 'both have arrived')
  const closed = app.close()
  await until(() => app.isClosing, 'the service is closing')

  const answers = await Promise.all([ready, live].map(async socket => {
    let text = ''
    socket.on('data', chunk => { text += String(chunk) }).write('\r\n')
    await once(socket, 'end')
    return [text.split(' ')[1], /^connection: (.*)$/im.exec(text)?.[1], JSON.parse(text.split('\r\n\r\n')[1] ?? '')]
  }))
  t.strictSame(answers, [
    ['503', 'close', failure('CLOSING', 'The service is shutting down', { retryable: true })],
    ['200', 'close', { status: 'ok' }]
  ])
  await closed
})
