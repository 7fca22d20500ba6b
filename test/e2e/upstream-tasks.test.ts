import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { startUpstream } from '../support/mcp-servers.ts'
import { fixture } from '../support/paths.ts'
import { call, initSession, openSession, postTo } from '../support/requests.ts'
import { resultText, startScripted, textResult } from '../support/scripted-server.ts'
import { listen, serviceOn, workersOn } from '../support/service.ts'
import { serversFile } from '../support/servers-file.ts'
import { until } from '../support/wait.ts'

const overStdio = { command: process.execPath, args: [fixture('sdk-task-server.mjs')] }

/** The same server over both transports. */
async function servers (t: Test) {
  const upstream = await startUpstream(t, 'sdk-task', ['--http'])
  return { upstream, entries: { http: { url: upstream.url }, stdio: overStdio } }
}

t.test('a tool that demands a task, takes one, or takes none is called as any other, over HTTP and stdio', async t => {
  const { upstream, entries } = await servers(t)
  for (const [transport, entry] of Object.entries(entries)) {
    const service = await serviceOn(t, { up: entry })
    const id = await initSession(service)
    for (const tool of ['must', 'may', 'never']) {
      const answer = await call(service, id, tool, { name: 'a' })
      t.match([answer.statusCode, answer.json()], [200, { status: 'success', name: 'a' }], `${tool} over ${transport}`)
    }
    const failed = await call(service, id, 'must', { fail: true })
    t.match([failed.statusCode, failed.json()], [200, { status: 'error', error: 'it failed' }], transport)
    const listed = (await postTo(service, '/tools', { session_id: id })).json()
    t.equal(listed.tools.length, 3)
  }
  const { calls, methods } = await upstream.stats()
  t.strictSame(calls, { must: 2, may: 1, never: 1 })
  t.equal(methods['tools/call'], 4, 'no call is sent twice')
})

t.test('a task that is over before the deadline has its result, however seldom its server wants to be asked', async t => {
  const up = await startScripted(t, 'http')
  const service = await serviceOn(t, { up: { ...up.entry, timeouts: { call: 6 } } })
  const id = await initSession(service)
  const task = (status: string) => JSON.stringify({ taskId: 't', status, ttl: null, pollInterval: 1e12 })
  await up.play({
    'tools/call': resultText(`{"task":${task('working')}}`),
    'tasks/get': resultText(task('completed')),
    'tasks/result': textResult('well')
  })
  const answer = await call(service, id, 'echo', {})
  t.match([answer.statusCode, answer.body], [200, /well/])
})

const respond = (service: FastifyInstance, session: string, token: string, requests: Array<{ id: string }>) =>
  postTo(service, '/call-tool', {
    session_id: session,
    continue: token,
    responses: Object.fromEntries(requests.map(({ id }) => [id, { action: 'accept', content: { colour: 'blue' } }]))
  })

t.test('what a task asks is asked of its caller, and any worker brings it the response', async t => {
  const { upstream, entries } = await servers(t)
  const [one, other] = await workersOn(t, 2, { up: entries.http }, { MCP_ELICITATION: 'on' })
  const id = await initSession(one)
  const asked = await call(one, id, 'must', { name: 'a', ask: true })
  t.equal(asked.statusCode, 202, asked.body)
  const { requests, continue: token } = asked.json()
  t.match(requests, [{ method: 'elicitation/create', params: { message: 'Which colour?' } }])
  t.notMatch(asked.body, /related-task|taskId/, 'of the task nothing is seen')
  const answered = await respond(other ?? one, id, token, requests)
  t.match([answered.statusCode, answered.json()], [200, { name: 'a', answer: { action: 'accept', content: { colour: 'blue' } } }])
  t.equal((await upstream.stats()).calls.must, 1)
  t.match((await respond(one, id, token, requests)).json(), { code: 'MCPC_ERR_UNKNOWN_CONTINUATION' })
})

t.test('where a task ends with its request, its server hears that nobody is there to be asked', async t => {
  const { upstream, entries } = await servers(t)
  for (const [what, entry] of [['stdio', entries.stdio], ['a session a request', { ...entries.http, session: 'request' }]] as const) {
    const service = await serviceOn(t, { up: entry }, { MCP_ELICITATION: 'on' })
    const answer = await call(service, await initSession(service), 'must', { ask: true })
    t.match([answer.statusCode, answer.json()], [200, { answer: { action: 'decline' } }], what)
  }
  t.equal((await upstream.stats()).calls.must, 1)
})

t.test('progress of a task reaches a caller who follows it, and of the task nothing is seen', async t => {
  const { entries } = await servers(t)
  for (const [transport, entry] of Object.entries(entries)) {
    const service = await serviceOn(t, { up: entry })
    const payload = { session_id: await initSession(service), tool: 'must', params: { name: 'a', delay: 300 } }
    const { body } = await service.inject({ method: 'POST', url: '/call-tool', headers: { accept: 'text/event-stream' }, payload })
    t.match(body, /event: progress\ndata: .*"message":"begun"[^]*event: result\ndata: .*"name":"a"/, transport)
    t.notMatch(body, /taskId|event: log/, transport)
  }
})

t.test('a caller who leaves cancels the task', async t => {
  const { upstream, entries } = await servers(t)
  const service = await listen(t, { MCP_SERVERS_FILE: await serversFile(t, { up: entries.http }) })
  const session = await openSession(service)
  const left = new AbortController()
  const called = fetch(`${service.url}/call-tool`, {
    method: 'POST', body: JSON.stringify({ session_id: session, tool: 'must', params: { gate: 'never' } }), signal: left.signal
  }).catch(() => null)
  await until(async () => (await upstream.stats()).methods['tasks/get'] !== undefined, 'it is asked for')
  left.abort()
  await called
  await until(async () => (await upstream.stats()).cancelled === 1, 'the tool has stopped')
  t.equal((await upstream.stats()).methods['tasks/cancel'], 1)
})

t.test('a server that has lost its session goes on with its tasks only if it still knows them', async t => {
  const { upstream, entries } = await servers(t)
  const service = await serviceOn(t, { up: entries.http })
  const id = await initSession(service)
  const called = call(service, id, 'must', { gate: 'never' })
  await until(async () => (await upstream.stats()).methods['tasks/get'] !== undefined, 'it is asked for')
  await upstream.control({ forgetSessions: true })
  const { statusCode, body } = await called
  t.match([statusCode, JSON.parse(body)], [502, { acted: 'unknown', retryable: false, error: /Task not found/ }])
  t.equal((await upstream.stats()).calls.must, 1, 'it is not called again')
})
