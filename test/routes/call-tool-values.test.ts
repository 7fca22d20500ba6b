import type { Redis } from 'ioredis'
import t from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { createGatedServer } from '../support/mcp-servers.ts'
import { fixture } from '../support/paths.ts'
import { isGiven, redisClient, startRedis } from '../support/redis.ts'
import { call, callFailure, initSession } from '../support/requests.ts'
import { build, serviceOn } from '../support/service.ts'
import { until } from '../support/wait.ts'

// Shared: what is kept and filled in is the same, and a start for each of these calls would be most of their time.
const toolServer = { MCP_SERVERS_FILE: fixture('shared-tool-server.json') }

t.test('which results fill later calls', async t => {
  const all = { name: 'Ann', rows: 'latest', nothing: null, chartData: [[1, 2]] }
  const cases: Array<[mode: string, tool: string, filled: object]> = [
    ['success', 'outputs', all],
    ['success', 'outputs_failed', {}],
    ['success', 'outputs_other', {}],
    ['success', 'outputs_unmarked', {}],
    ['success', 'structured_only', { fromStructured: 1 }],
    ['success', 'failure_json', {}],
    ['success', 'plain', {}],
    ['success', 'intermediate_list', { intermediate: [1, 2] }],
    ['any', 'outputs', all],
    ['any', 'outputs_failed', {}],
    ['any', 'outputs_other', { name: 'Bob', chartData: 'half' }],
    ['any', 'outputs_unmarked', { name: 'Cid', chartData: 'unmarked' }],
    ['any', 'object', { rows: [1, 2] }],
    ['any', 'failure_json', {}],
    ['any', 'array', {}],
    ['any', 'plain', {}],
    ['off', 'outputs', {}],
    ['off', 'structured_only', {}]
  ]
  const apps = new Map(
    await Promise.all(
      ['success', 'any', 'off'].map(
        async mode =>
          [mode, await build(t, { ...toolServer, MCP_CACHE_RESULTS: mode, MCP_QUEUE_TIMEOUT: '60' })] as const
      )
    )
  )

  await Promise.all(
    cases.map(async ([mode, tool, filled]) => {
      const app = apps.get(mode)
      if (app === undefined) throw new Error(mode)
      const session = await initSession(app)
      const first = await call(app, session, tool)
      const second = await call(app, session, 'recall')
      t.equal(first.statusCode, 200)
      t.notMatch(first.body, 'intermediate')
      t.strictSame(second.json(), { received: filled }, `${mode}: ${tool}`)
    })
  )
})

t.test('values of a session', async t => {
  const app = await build(t, {
    ...toolServer,
    MCP_SENSITIVE_PARAMS: 'apiUrl, jwtToken,tenant'
  })
  const received = async (session: string, tool: string, params?: unknown) =>
    (await call(app, session, tool, params)).json().received

  t.test("a tool gets the credentials that it declares, the session's and not the caller's", async t => {
    const session = await initSession(app, { tenant: 'north' })
    t.strictSame(
      await received(session, 'report', { question: 'why', jwtToken: 'mine', apiUrl: null, tenant: 'south' }),
      { question: 'why', apiUrl, jwtToken, tenant: 'north' }
    )
  })

  t.test("a tool that declares no credentials gets none, not even the caller's", async t => {
    const session = await initSession(app, { tenant: 'north' })
    t.strictSame(await received(session, 'recall', { question: 'why', jwtToken: 'mine', tenant: 'south' }), {
      question: 'why'
    })
  })

  t.test('what a caller sends under a sensitive name that the session does not know goes nowhere', async t => {
    const session = await initSession(app)
    t.strictSame(await received(session, 'report', { question: 'why', tenant: 'south' }), {
      question: 'why',
      apiUrl,
      jwtToken
    })
  })

  t.test('a parameter is remembered, and the latest one wins', async t => {
    const session = await initSession(app)
    await received(session, 'recall', { question: 'first', rows: [1] })
    await received(session, 'recall', { question: { second: true } })
    t.strictSame(await received(session, 'recall'), { question: { second: true }, rows: [1] })
    await call(app, session, 'outputs')
    t.strictSame(await received(session, 'recall', { name: 'Zoe' }), {
      question: { second: true },
      name: 'Zoe',
      rows: 'latest',
      nothing: null,
      chartData: [[1, 2]]
    })
  })

  t.test('an undeclared parameter is sent and remembered, too', async t => {
    const session = await initSession(app)
    t.strictSame(await received(session, 'report', { question: 'why', name: 'Ann' }), {
      question: 'why',
      name: 'Ann',
      apiUrl,
      jwtToken
    })
    t.strictSame(await received(session, 'recall'), { question: 'why', name: 'Ann' })
  })

  t.test('an explicit null is sent and not filled', async t => {
    const session = await initSession(app)
    await received(session, 'recall', { question: 'why' })
    t.strictSame(await received(session, 'recall', { question: null }), { question: null })
  })

  t.test('a parameter is remembered also when the call fails', async t => {
    const failures: Record<string, [number, object]> = {
      grumble: [200, { status: 'error', error: 'no answer to why' }],
      refuse: [200, { status: 'error', error: 'MCP error -32602: question must be a question' }],
      break: [200, { status: 'error', error: 'MCP error -32603: the index is broken' }],
      hang: [
        504,
        callFailure('MCP_TIMEOUT', 'MCP server tool-server did not answer tool hang in time (1.5 s)', {
          acted: 'unknown'
        })
      ]
    }
    await Promise.all(
      Object.entries(failures).map(async ([tool, [status, body]]) => {
        const session = await initSession(app)
        const payload = { session_id: session, tool, params: { question: 'why' }, ...(tool === 'hang' && { timeout: 1.5 }) }
        const response = await app.inject({ method: 'POST', url: '/call-tool', payload })
        t.equal(response.statusCode, status)
        t.strictSame(response.json(), body)
        t.strictSame(await received(session, 'recall'), { question: 'why' }, tool)
      })
    )
  })

  t.test('a result replaces neither a credential nor what the session says of itself', async t => {
    const session = await initSession(app, { tenant: 'north' })
    const stolen = await call(app, session, 'steals')
    t.strictSame(stolen.json(), {
      status: 'success',
      jwtToken: 'stolen',
      tenant: 'stolen',
      meta: 'stolen',
      credentials: 'stolen',
      calls: 99
    })
    t.strictSame(await received(session, 'report', { question: 'why' }), {
      question: 'why',
      apiUrl,
      jwtToken,
      tenant: 'north'
    })
    t.strictSame(await received(session, 'recall'), {
      question: 'why',
      meta: 'stolen',
      credentials: 'stolen',
      calls: 99
    })
  })

  t.test('names that every object inherits are names like others', async t => {
    const session = await initSession(app)
    t.strictSame(await received(session, 'recall_prototypes'), {})
    t.strictSame(await received(session, 'recall_prototypes', { toString: 1, hasOwnProperty: 2 }), {
      toString: 1,
      hasOwnProperty: 2
    })
    t.strictSame((await call(app, session, 'prototypes')).json(), {
      status: 'success',
      constructor: 'c',
      toString: 's'
    })
    t.strictSame(await received(session, 'recall_prototypes'), {
      constructor: 'c',
      toString: 's',
      valueOf: 'v',
      hasOwnProperty: 2
    })
  })

  t.test('a cached value that cannot be read makes the session unreadable', async t => {
    const session = await initSession(app)
    const redis = await redisClient(t)
    await redis.hset(`${app.config.session.keyPrefix}:${session}`, 'p:question', '{broken')
    const response = await call(app, session, 'recall')
    t.equal(response.statusCode, 409)
    t.strictSame(
      response.json(),
      callFailure('SESSION_UNREADABLE', `Session ${session} cannot be read. Please run /init first.`)
    )
  })

  t.test('a call leaves its record, and nothing that was said, in the session', async t => {
    const session = await initSession(app)
    await call(app, session, 'grumble', { question: 'why' })
    const redis = await redisClient(t)
    const { last_call: record = '', calls } = await redis.hgetall(`${app.config.session.keyPrefix}:${session}`)
    const { tool, outcome, duration_ms: duration, at, ...more } = JSON.parse(record)
    t.strictSame({ calls, tool, outcome, more }, { calls: '1', tool: 'grumble', outcome: 'tool_error', more: {} })
    t.ok(Number.isInteger(duration) && duration >= 0)
    t.equal(new Date(at).toISOString(), at)
  })
})

t.test('a call restarts the idle TTL when it begins, and when it ends', async t => {
  const server = await createGatedServer(t)
  const app = await serviceOn(t, { gated: server.entry })
  const redis = await redisClient(t)
  const session = await initSession(app)
  const key = `${app.config.session.keyPrefix}:${session}`
  await redis.expire(key, 1_000)
  const response = call(app, session, 'act', { name: 'done' })
  await until(async () => await server.calls() !== '', 'the call has begun')
  t.ok(await redis.ttl(key) > 1_000)
  await redis.expire(key, 1_000)
  await server.open()
  t.equal((await response).statusCode, 200)
  t.ok(await isGiven(redis, key, 86_400))
})

t.test('no reply waits for Redis whose call leaves nothing for the next one, and closing does', async t => {
  const redis = await startRedis(t)
  const server = await createGatedServer(t)
  const env = { REDIS_URL: redis.url, REDIS_COMMAND_TIMEOUT_MS: '60000' }
  const app = await serviceOn(t, { gated: { ...server.entry, values: 'none' } }, env)
  const session = await initSession(app)
  const client = await redisClient(t, redis.url)
  const response = call(app, session, 'act', { name: 'done' })
  await until(async () => await server.calls() !== '', 'the call has begun')
  process.kill(redis.pid, 'SIGSTOP')
  t.teardown(() => process.kill(redis.pid, 'SIGCONT'))
  await server.open()
  t.equal((await response).statusCode, 200)
  // The next request may be at another worker, and needs the slot that this frees.
  t.equal((app.redis as Redis).stream.writableLength, 0, 'what was written has left before the reply')
  const closed = app.close()
  process.kill(redis.pid, 'SIGCONT')
  await closed
  const stored = await client.hgetall(`${app.config.session.keyPrefix}:${session}`)
  t.match(stored, { calls: '1', last_call: /"outcome":"ok"/ })
  t.equal(stored.running, undefined, 'the slot is free')
})

t.test(
  'a caller learns which values were not kept, whatever they are called, in a header of bounded length',
  async t => {
    const redis = await redisClient(t)

    const notKept = async (params: object) => {
      const server = await createGatedServer(t)
      const app = await serviceOn(t, { gated: server.entry })
      const session = await initSession(app)
      const key = `${app.config.session.keyPrefix}:${session}`
      const response = call(app, session, 'act', { name: 'done', ...params })
      await until(async () => await server.calls() !== '', 'the call has begun')
      await app.inject({ method: 'POST', url: '/shutdown', payload: { session_id: session } })
      await server.open()
      const { statusCode, headers } = await response
      t.equal(statusCode, 200)
      t.equal(await redis.exists(key), 0, 'the session stays ended')
      return headers['x-mcp-not-cached']
    }
    t.equal(await notKept({ 'a, b': 1, 会: 2, '\uD800': 3 }), 'name, a%2C%20b, %E4%BC%9A, %EF%BF%BD, done')
    t.equal(await notKept({ ['x'.repeat(5_000)]: 1 }), `name, ${'x'.repeat(2_042)}...`)
  }
)
