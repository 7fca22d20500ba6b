import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { fixture } from '../support/paths.ts'
import { redisClient } from '../support/redis.ts'
import { post } from '../support/requests.ts'
import { type Environment, environment, startService } from '../support/service.ts'
import { answer, startApi } from '../support/validation-api.ts'
import { until } from '../support/wait.ts'

/** Services that share a Redis and its sessions, as workers behind a load balancer do. */
async function startWorkers (t: Test, count: number, env: Environment = {}) {
  const shared = await environment(t, env)
  const workers = await Promise.all(Array.from({ length: count }, () => startService(t, shared)))
  return { workers, urls: workers.map(({ url }) => url), shared, key: (id: string) => `${shared.MCP_SESSION_KEY_PREFIX}:${id}` }
}

async function init (url: string): Promise<string> {
  const id = randomUUID()
  const { status } = await post(`${url}/init`, { session_id: id, apiUrl, jwtToken })
  if (status !== 200) throw new Error(`/init answered ${status}`)
  return id
}

const call = (url: string | undefined, id: string, tool: string, params = {}) => post(`${url}/call-tool`, { session_id: id, tool, params })

t.test('parallel calls of one session on two processes lose no value', async t => {
  t.setTimeout(120_000)
  const { urls } = await startWorkers(t, 2, { MCP_SESSION_MAX_CONCURRENCY: '32' })
  const id = await init(urls[0] ?? '')
  const numbers = Array.from({ length: 32 }, (_, index) => index)

  const answers = await Promise.all(numbers.map(number => call(urls[number % 2], id, 'keep', { name: `value${number}`, value: number })))
  t.strictSame([...new Set(answers.map(({ status }) => status))], [200])

  const { body } = await call(urls[0], id, 'recall')
  t.strictSame(body, { status: 'found', values: Object.fromEntries(numbers.map(number => [`value${number}`, number])) })
})

t.test('what a call gave is seen by the next call on the other process, every time in 500', async t => {
  // One process a worker is as good here, and does not make five hundred starts of what is about Redis.
  const file = join(t.testdir(), 'servers.json')
  await writeFile(file, JSON.stringify({ mcpServers: { tiny: { command: process.execPath, args: [fixture('tiny-server.mjs')], lifecycle: 'shared' } } }))
  const { urls } = await startWorkers(t, 2, { MCP_SERVERS_FILE: file })
  // Each call counts on from what the call before gave, on the other process: one that missed it would count a number twice.
  const countTo = async (last: number) => {
    const id = await init(urls[0] ?? '')
    const counted: unknown[] = []
    for (let number = 1; number <= last; number++) counted.push((await call(urls[number % 2], id, 'count')).body)
    return counted
  }
  const expected = Array.from({ length: 125 }, (_, index) => ({ status: 'success', n: index + 1 }))
  for (const counted of await Promise.all([125, 125, 125, 125].map(countTo))) t.strictSame(counted, expected)
})

t.test('a session goes on after the service was killed and started again', async t => {
  const { workers: [service], urls: [url], shared } = await startWorkers(t, 1)
  const id = await init(url ?? '')
  await call(url, id, 'keep', { name: 'value1', value: 'before' })

  service?.kill('SIGKILL')
  await service?.exited
  const next = await startService(t, shared)

  t.match(await call(next.url, id, 'recall'), { status: 200, body: { values: { value1: 'before' } } })
})

t.test('an unused session expires', async t => {
  const { urls: [url = ''] } = await startWorkers(t, 1, { MCP_SESSION_IDLE_TTL: '1' })
  const id = await init(url)
  const redis = await redisClient(t)

  t.match(await post(`${url}/tools`, { session_id: id }), { status: 200 })
  await until(async () => (await redis.keys(`*:${id}`)).length === 0, 'the session expired')

  t.match(await post(`${url}/tools`, { session_id: id }), { status: 409, body: { code: 'MCPC_ERR_SESSION_NOT_FOUND' } })
})

t.test('every endpoint of a session restarts its TTL; a refused /init, /health and the probes do not', async t => {
  const api = await startApi(t, (body, response) => {
    const isGood = (body as { jwtToken: string }).jwtToken === jwtToken
    answer(200, isGood ? { status: 'success' } : { status: 'error', error: 'wrong token' })(body, response)
  })
  const { urls: [url = ''], key } = await startWorkers(t, 1, { MCP_SKIP_VALIDATION: undefined, MCP_API_BASE_URL: api.url })
  const redis = await redisClient(t)
  const id = await init(url)
  const ttlAfter = async (act: () => Promise<unknown>) => {
    await redis.expire(key(id), 50)
    await act()
    return await redis.ttl(key(id))
  }

  const restarting: Array<[string, () => Promise<unknown>]> = [
    ['/tools', () => post(`${url}/tools`, { session_id: id })],
    ['/tools by header', () => post(`${url}/tools`, {}, { 'x-session-id': id })],
    ['/call-tool', () => call(url, id, 'echo')],
    ['/call-tool of an unknown tool', () => call(url, id, 'nothing')],
    ['/init again', () => post(`${url}/init`, { session_id: id, apiUrl, jwtToken })],
    ['GET /session', () => fetch(`${url}/session`, { headers: { 'x-session-id': id } })]
  ]
  for (const [name, act] of restarting) t.ok(await ttlAfter(act) > 86_000, name)

  const leaving: Array<[string, () => Promise<unknown>]> = [
    ['/init with other credentials', async () => t.match(await post(`${url}/init`, { session_id: id, apiUrl, jwtToken: 'x.y.z' }), { status: 401 })],
    ['/health', () => fetch(`${url}/health`)],
    ['/livez', () => fetch(`${url}/livez`)],
    ['/readyz', () => fetch(`${url}/readyz`)],
    ['/tools-schema', () => fetch(`${url}/tools-schema`)]
  ]
  for (const [name, act] of leaving) t.ok(await ttlAfter(act) <= 50, name)
})

t.test('a call that outlives its session does not bring it back', async t => {
  const { urls: [url = ''], key } = await startWorkers(t, 1)
  const redis = await redisClient(t)
  const id = await init(url)
  await call(url, id, 'echo')

  const before = await redis.hget(key(id), 'last_accessed')
  const slow = call(url, id, 'wait', { ms: 1_500, text: 'late' })
  await until(async () => await redis.hget(key(id), 'last_accessed') !== before, 'the call began')
  await post(`${url}/shutdown`, { session_id: id })
  const { status, headers } = await slow

  t.equal(status, 200, 'the call itself is not lost')
  t.equal(headers.get('x-mcp-not-cached'), 'ms, text, waited', 'the caller is told what was not kept')
  t.equal(await redis.exists(key(id)), 0)
})

t.test('a session that the Flask service wrote answers calls with its values', async t => {
  const { urls: [url = ''], key } = await startWorkers(t, 1)
  const redis = await redisClient(t)
  await redis.set(key('old'), JSON.stringify({ session_id: 'old', apiUrl, jwtToken, created_at: '2025-06-01T10:00:00+00:00', last_accessed: '2025-06-01T10:00:00+00:00', value3: [3] }), 'EX', 60)

  t.match(await call(url, 'old', 'recall'), { status: 200, body: { values: { value3: [3] } } })
  t.match(await call(url, 'old', 'echo'), { body: { jwtToken } })
  t.match(await post(`${url}/init`, { session_id: 'old', apiUrl, jwtToken }), { status: 200 })
  t.equal(await redis.ttl(key('old')), 86_400)
})

t.test('a foreign value at a session\'s key is a 409 and a line in the log, and /init puts a session there', async t => {
  const { workers: [service], urls: [url = ''], key } = await startWorkers(t, 1)
  const redis = await redisClient(t)
  await redis.rpush(key('taken'), 'not', 'ours')

  t.match(await call(url, 'taken', 'echo'), { status: 409, body: { code: 'MCPC_ERR_SESSION_UNREADABLE', error: 'Session taken cannot be read. Please run /init first.' } })
  await until(() => service?.output().includes('MCPC_ERR_SESSION_UNREADABLE') ?? false, 'it is logged')
  t.match(await post(`${url}/init`, { session_id: 'taken', apiUrl, jwtToken }), { status: 200 })
  t.match(await call(url, 'taken', 'echo'), { status: 200 })
})
