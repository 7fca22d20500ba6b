import t from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { createGatedServer } from '../support/mcp-servers.ts'
import { fixture } from '../support/paths.ts'
import { isGiven, redisClient } from '../support/redis.ts'
import { callAt, openSession, post } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { type Environment, environment, listen, type Service, startService } from '../support/service.ts'
import { answer, startApi } from '../support/validation-api.ts'
import { until } from '../support/wait.ts'

/** Two workers that share their sessions, each in a process of its own, as behind a load balancer. */
const shared = await environment(t, {
  // One process of the server for each worker: what is asked here is about Redis, and needs no hundreds of starts.
  MCP_SERVERS_FILE: await serversFile(t, {
    tiny: { command: process.execPath, args: [fixture('tiny-server.mjs')], lifecycle: 'shared' }
  }),
  MCP_SESSION_MAX_CONCURRENCY: '32'
})
const workers = (await Promise.all([startService(t, shared), startService(t, shared)])) as [Service, Service]
const keyOf = (env: Environment) => (id: string) => `${env.MCP_SESSION_KEY_PREFIX}:${id}`

t.test('parallel calls of one session on two processes lose no value', async t => {
  const id = await openSession(workers[0])
  const numbers = Array.from({ length: 32 }, (_, index) => index)

  const answers = await Promise.all(
    numbers.map(number =>
      callAt(workers[number % 2] as Service, id, 'keep', { name: `value${number}`, value: number })
    )
  )
  t.strictSame([...new Set(answers.map(({ status }) => status))], [200])

  const { body } = await callAt(workers[0], id, 'recall')
  t.strictSame(body, {
    status: 'found',
    values: Object.fromEntries(numbers.map(number => [`value${number}`, number]))
  })
})

t.test('what a call gave is seen by the next call on the other process, every time in 500', async t => {
  // Each call counts on from what the call before gave, on the other process: one that missed it would count a number
  // twice.
  const countTo = async (last: number) => {
    const id = await openSession(workers[0])
    const counted: unknown[] = []
    for (let number = 1; number <= last; number++) { counted.push((await callAt(workers[number % 2] as Service, id, 'count')).body) }
    return counted
  }
  const expected = Array.from({ length: 125 }, (_, index) => ({ status: 'success', n: index + 1 }))
  for (const counted of await Promise.all([125, 125, 125, 125].map(countTo))) t.strictSame(counted, expected)
})

t.test('the slot of a call is free when its answer is there, on the other process, every time in 500', async t => {
  // As many callers as the session has slots. These calls keep nothing, so that no answer waits for Redis.
  const id = await openSession(workers[0])
  const callAgain = async (count: number, first: number) => {
    for (let number = first; number < first + count; number++) {
      const { status, body } = await callAt(workers[number % 2] as Service, id, 'echo')
      if (status !== 200) t.fail(JSON.stringify(body))
    }
  }
  await Promise.all(Array.from({ length: 32 }, (_, caller) => callAgain(16, caller)))
  const { calls, running } = await (await redisClient(t)).hgetall(keyOf(shared)(id))
  t.match({ calls, running }, { calls: '512', running: undefined })
})

t.test('a session goes on after the service was killed and started again', async t => {
  const [service] = workers
  const id = await openSession(service)
  await callAt(service, id, 'keep', { name: 'value1', value: 'before' })

  service.kill('SIGKILL')
  await service.exited
  const next = await startService(t, shared)

  t.match(await callAt(next, id, 'recall'), { status: 200, body: { values: { value1: 'before' } } })
})

t.test('an unused session expires', async t => {
  const env = await environment(t, { MCP_SESSION_IDLE_TTL: '60' })
  const key = keyOf(env)
  const service = await listen(t, env)
  const id = await openSession(service)
  const redis = await redisClient(t)
  const list = () => post(`${service.url}/tools`, { session_id: id })

  t.match(await list(), { status: 200 })
  const ttlMs = await redis.pttl(key(id))
  t.ok(ttlMs > 0 && ttlMs <= 60_000, `${ttlMs} ms are left`)
  await redis.pexpire(key(id), 1)
  await until(async () => (await redis.exists(key(id))) === 0, 'the session expired')

  t.match(await list(), { status: 409, body: { code: 'MCPC_ERR_SESSION_NOT_FOUND' } })
})

t.test('every endpoint of a session restarts its TTL; a refused /init, /health and the probes do not', async t => {
  const api = await startApi(t, (body, response) => {
    const isGood = (body as { jwtToken: string }).jwtToken === jwtToken
    answer(200, isGood ? { status: 'success' } : { status: 'error', error: 'wrong token' })(body, response)
  })
  const env = await environment(t, { MCP_SKIP_VALIDATION: undefined, MCP_API_BASE_URL: api.url })
  const key = keyOf(env)
  const service = await listen(t, env)
  const { url } = service
  const redis = await redisClient(t)
  const id = await openSession(service)
  const ttlAfter = async (act: () => Promise<unknown>) => {
    await redis.expire(key(id), 50)
    await act()
    return await redis.ttl(key(id))
  }

  const restarting: Array<[string, () => Promise<unknown>]> = [
    ['/tools', () => post(`${url}/tools`, { session_id: id })],
    ['/tools by header', () => post(`${url}/tools`, {}, { 'x-session-id': id })],
    ['/call-tool', () => callAt(service, id, 'echo')],
    ['/call-tool of an unknown tool', () => callAt(service, id, 'nothing')],
    ['/init again', () => post(`${url}/init`, { session_id: id, apiUrl, jwtToken })],
    ['GET /session', () => fetch(`${url}/session`, { headers: { 'x-session-id': id } })]
  ]
  for (const [name, act] of restarting) t.ok((await ttlAfter(act)) > 86_000, name)

  const leaving: Array<[string, () => Promise<unknown>]> = [
    [
      '/init with other credentials',
      async () => t.match(await post(`${url}/init`, { session_id: id, apiUrl, jwtToken: 'x.y.z' }), { status: 401 })
    ],
    ['/health', () => fetch(`${url}/health`)],
    ['/livez', () => fetch(`${url}/livez`)],
    ['/readyz', () => fetch(`${url}/readyz`)],
    ['/tools-schema', () => fetch(`${url}/tools-schema`)]
  ]
  for (const [name, act] of leaving) t.ok((await ttlAfter(act)) <= 50, name)
})

t.test('a call that outlives its session does not bring it back', async t => {
  const server = await createGatedServer(t)
  const env = await environment(t, { MCP_SERVERS_FILE: await serversFile(t, { gated: server.entry }) })
  const key = keyOf(env)
  const service = await listen(t, env)
  const redis = await redisClient(t)
  const id = await openSession(service)

  const slow = callAt(service, id, 'act', { name: 'late' })
  await until(async () => (await server.calls()) !== '', 'the call began')
  await post(`${service.url}/shutdown`, { session_id: id })
  await server.open()
  const { status, body, headers } = await slow

  t.strictSame([status, body], [200, { status: 'success', late: 'done' }], 'the call itself is not lost')
  t.equal(headers.get('x-mcp-not-cached'), 'name, late', 'the caller is told what was not kept')
  t.equal(await redis.exists(key(id)), 0)
})

t.test('a session that the Flask service wrote answers calls with its values', async t => {
  const env = await environment(t)
  const key = keyOf(env)
  const service = await listen(t, env)
  const { url } = service
  const redis = await redisClient(t)
  await redis.set(
    key('old'),
    JSON.stringify({
      session_id: 'old',
      apiUrl,
      jwtToken,
      created_at: '2025-06-01T10:00:00+00:00',
      last_accessed: '2025-06-01T10:00:00+00:00',
      value3: [3]
    }),
    'EX',
    60
  )

  t.match(await callAt(service, 'old', 'recall'), { status: 200, body: { values: { value3: [3] } } })
  t.match(await callAt(service, 'old', 'echo'), { body: { jwtToken } })
  t.match(await post(`${url}/init`, { session_id: 'old', apiUrl, jwtToken }), { status: 200 })
  t.ok(await isGiven(redis, key('old'), 86_400))
})

t.test(
  "a foreign value at a session's key is a 409 and a line in the log, and /init puts a session there",
  async t => {
    const env = await environment(t)
    const key = keyOf(env)
    const service = await listen(t, env)
    const { url } = service
    const redis = await redisClient(t)
    await redis.rpush(key('taken'), 'not', 'ours')

    t.match(await callAt(service, 'taken', 'echo'), {
      status: 409,
      body: { code: 'MCPC_ERR_SESSION_UNREADABLE', error: 'Session taken cannot be read. Please run /init first.' }
    })
    await until(() => service.output().includes('MCPC_ERR_SESSION_UNREADABLE'), 'it is logged')
    t.match(await post(`${url}/init`, { session_id: 'taken', apiUrl, jwtToken }), { status: 200 })
    t.match(await callAt(service, 'taken', 'echo'), { status: 200 })
  }
)
