import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { request } from 'node:http'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { makeFolder } from '../support/folders.ts'
import { createGatedServer } from '../support/mcp-servers.ts'
import { fixture } from '../support/paths.ts'
import { processes, serversOf } from '../support/processes.ts'
import { redisClient } from '../support/redis.ts'
import { call, callAt, initSession, openSession, post } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { build, type Environment, serviceOn, startService, workersOn } from '../support/service.ts'
import { until } from '../support/wait.ts'

async function zoo (t: Test, misbehaviour: string, entry: object = {}): Promise<Environment> {
  const server = { command: process.execPath, args: [fixture('zoo-server.mjs'), misbehaviour], ...entry }
  return { MCP_SERVERS_FILE: await serversFile(t, { zoo: server }) }
}

t.test('a worker that is killed in the middle of 20 calls leaves no process', async t => {
  const service = await startService(t, { ...(await zoo(t, 'stubborn-with-grandchild')), MCP_MAX_STARTING: '8' })
  const sessions = await Promise.all([openSession(service), openSession(service)])
  const calls = Array.from({ length: 20 }, (_, number) =>
    callAt(service, sessions[number % 2] ?? '', 'act').catch(() => 'broken off')
  )
  // Its servers, and what they started, which is in their process groups.
  const groups = () => new Set(serversOf(service.pid))
  const members = (of: Set<number>) => processes().filter(({ group }) => of.has(group))
  await until(() => members(groups()).length === 40, 'all servers and their grandchildren run')
  const started = groups()

  service.kill('SIGKILL')
  await service.exited

  await until(() => members(started).length === 0, 'all are gone')
  t.strictSame([...new Set(await Promise.all(calls))], ['broken off'])
})

t.test('SIGTERM under 50 running calls: 50 good answers, no process left, exit 0', async t => {
  const service = await startService(t, { MCP_SESSION_MAX_CONCURRENCY: '50', MCP_MAX_STARTING: '8' })
  const session = await openSession(service)
  await post(`${service.url}/tools`, { session_id: session })
  const calls = Array.from({ length: 50 }, () => callAt(service, session, 'wait', { ms: 2_000 }))
  // Each call takes a place in its session when it arrives, and is counted there when it ends.
  const redis = await redisClient(t)
  const [key = ''] = await redis.keys(`*:${session}`)
  const arrived = async () => {
    const [running, ended] = await redis.hmget(key, 'running', 'calls')
    return (running?.split(' ').length ?? 0) / 2 + Number(ended)
  }
  await until(async () => (await arrived()) === 50, 'all calls have arrived')
  const servers = serversOf(service.pid)

  service.kill('SIGTERM')
  const answers = await Promise.all(calls)

  t.strictSame(
    [...new Set(answers.map(({ status, body }) => `${status} ${JSON.stringify(body)}`))],
    ['200 {"status":"success","waited":2000}']
  )
  t.strictSame(await service.exited, { code: 0, signal: null })
  t.notOk(processes().some(({ pid }) => servers.includes(pid)))
})

t.test('a caller who leaves cancels the tool and frees its process', async t => {
  const note = join(await makeFolder(t), 'note')
  const app = await build(t, await zoo(t, 'notes-cancellation', { env: { NOTE: note } }))
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const session = await initSession(app)
  await app.inject('/tools-schema')

  const body = JSON.stringify({ session_id: session, tool: 'act', params: { given: 'before leaving' } })
  const left = request(`${url}/call-tool`, { method: 'POST', headers: { 'content-length': body.length } })
  left.on('error', () => {}) // it is we who break it off
  left.end(body)
  await until(() => existsSync(note), 'the call runs')
  left.destroy()

  await until(() => app.processCounts().alive === 0, 'the process is gone')
  await app.deferredSettled()
  const stored = await (await redisClient(t)).hgetall((await (await redisClient(t)).keys(`*:${session}`))[0] ?? '')
  t.match(JSON.parse(stored.last_call ?? '{}'), { tool: 'act', outcome: 'abandoned' }, 'the call is on record')
  t.equal(stored['v:zoo:given'], '"before leaving"')
  t.equal(stored.running, undefined, 'its place is free')
  t.match(await readFile(note, 'utf8'), /^cancelled \d+$/m, 'the server was told')
})

t.test('a session has a bounded number of running calls over all workers', async t => {
  const server = await createGatedServer(t)
  const prefix = `test-${randomUUID()}`
  const [one, two] = (await workersOn(
    t,
    2,
    { gated: server.entry },
    { MCP_SESSION_KEY_PREFIX: prefix, MCP_SESSION_MAX_CONCURRENCY: '3' }
  )) as [FastifyInstance, FastifyInstance]
  const session = await initSession(one)
  const act = (worker: FastifyInstance) => call(worker, session, 'act', { name: 'done' })
  const running = [act(one), act(one), act(two)]
  const redis = await redisClient(t)
  const key = `${prefix}:${session}`
  await until(async () => ((await redis.hget(key, 'running')) ?? '').split(' ').length === 6, 'three calls run')

  const refused = await act(two)

  t.equal(refused.statusCode, 429)
  t.equal(refused.headers['retry-after'], '1')
  t.strictSame(refused.json(), {
    status: 'error',
    error: `Session ${session} has 3 calls running, the most it may have`,
    code: 'MCPC_ERR_TOO_MANY_CALLS',
    retryable: true,
    acted: 'no'
  })
  await server.open()
  t.strictSame(
    (await Promise.all(running)).map(({ statusCode }) => statusCode),
    [200, 200, 200]
  )
  t.equal((await act(two)).statusCode, 200, 'a place is free again')
  t.equal(await redis.hget(key, 'running'), null)
})

t.test('the places of a worker that died come free by themselves', async t => {
  const app = await build(t, { MCP_SESSION_MAX_CONCURRENCY: '2' })
  const session = await initSession(app)
  const redis = await redisClient(t)
  const [key = ''] = await redis.keys(`*:${session}`)
  const place = (id: string, inMs: number) => `${id} ${Date.now() + inMs}`

  await redis.hset(key, 'running', `${place('a', 60_000)} ${place('b', 60_000)}`)
  t.equal((await call(app, session, 'echo')).statusCode, 429, 'both are held')
  await redis.hset(key, 'running', `${place('a', 60_000)} ${place('b', -1)}`)
  t.equal((await call(app, session, 'echo')).statusCode, 200, 'one has lapsed')
  t.match(await redis.hget(key, 'running'), /^a \d+$/, 'it is cleared away, the other stays')
})

t.test('a call that fails, whatever the reason, gives its place back', async t => {
  const app = await build(t, { ...(await zoo(t, 'dies-on-call')), MCP_SESSION_MAX_CONCURRENCY: '1' })
  const session = await initSession(app)
  const attempts = [
    () => call(app, session, 'act'),
    () => call(app, session, 'nothing'),
    () =>
      app.inject({ method: 'POST', url: '/call-tool', headers: { 'x-session-id': session }, payload: { tool: 5 } })
  ]
  for (const attempt of [...attempts, ...attempts]) {
    t.not((await attempt()).statusCode, 429)
    await app.deferredSettled()
  }
})

t.test('a request waits for its turn as long as it says, a listing for MCP_QUEUE_TIMEOUT', async t => {
  const server = await createGatedServer(t)
  const app = await serviceOn(t, { gated: server.entry }, { MCP_MAX_PROCESSES: '1', MCP_QUEUE_TIMEOUT: '0.2' })
  const session = await initSession(app)
  const running = call(app, session, 'act', { name: 'done' })
  await until(async () => (await server.calls()) !== '', 'the only place is taken')
  const patient = call(app, session, 'act', { name: 'done' })

  const busy = (seconds: number) => ({
    status: 'error',
    error: `The service is busy: all 1 MCP servers that may run are running for ${seconds} s`,
    code: 'MCPC_ERR_OVERLOADED',
    retryable: true
  })
  const payload = { tool: 'act', params: { name: 'done' }, timeout: 0.3 }
  const refused = await app.inject({ method: 'POST', url: '/call-tool', headers: { 'x-session-id': session }, payload })
  t.match([refused.statusCode, refused.headers['retry-after']], [503, '1'])
  t.strictSame(refused.json(), { ...busy(0.3), acted: 'no' })
  const listed = await app.inject({ method: 'POST', url: '/prompts', headers: { 'x-session-id': session }, payload: {} })
  t.strictSame([listed.statusCode, listed.json()], [503, busy(0.2)])

  await server.open()
  t.equal((await running).statusCode, 200)
  t.equal((await patient).statusCode, 200, 'a call that says nothing waits as long as a tool may take')
})

t.test('a warm spare answers without a start, isolated like a fresh process', async t => {
  const app = await build(t, { ...(await zoo(t, 'well-behaved')), MCP_WARM_SPARES: '1' })
  const session = await initSession(app)
  const ready = () =>
    until(
      async () =>
        (await app.inject('/health')).json<{ processes: { spares_ready: number } }>().processes.spares_ready === 1,
      'a spare is ready'
    )
  const pids = new Set<number>()
  for (let round = 0; round < 3; round++) {
    await ready()
    pids.add((await call(app, session, 'act')).json<{ pid: number }>().pid)
  }
  t.equal(pids.size, 3, 'each call had a process of its own')
})

t.test('a server that is declared shared serves all sessions with one process', async t => {
  const app = await build(t, await zoo(t, 'well-behaved', { lifecycle: 'shared' }))
  const sessions = await Promise.all([initSession(app), initSession(app, { apiUrl: 'https://other.example.com' })])
  const answers = await Promise.all([...sessions, ...sessions].map(session => call(app, session, 'act')))
  t.equal(new Set(answers.map(answer => answer.json<{ pid: number }>().pid)).size, 1)
})

t.test("what a server takes to end is not on the caller's clock", async t => {
  const app = await build(t, { ...(await zoo(t, 'ignores-sigterm')), MCP_STOP_STEP_MS: '2000' })
  const session = await initSession(app)
  const response = await call(app, session, 'act')
  t.equal(response.statusCode, 200)
  t.equal(app.processCounts().alive, 1, 'the answer is here, and the server has not ended')
  await app.deferredSettled()
  t.equal(app.processCounts().alive, 0)
})
