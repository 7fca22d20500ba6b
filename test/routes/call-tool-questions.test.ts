import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { jwtToken } from '../support/credentials.ts'
import { startUpstream } from '../support/mcp-servers.ts'
import { redisClient, startRedis } from '../support/redis.ts'
import { call, callFailure, initSession } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { build } from '../support/service.ts'
import { until } from '../support/wait.ts'

const post = (service: FastifyInstance, payload: object, headers = {}) =>
  service.inject({ method: 'POST', url: '/call-tool', payload, headers })

async function start (
  t: Test,
  {
    server = 'http-2026',
    args = ['--modern-only'],
    env = {}
  }: { server?: string; args?: string[]; env?: Record<string, string> } = {}
) {
  const upstream = await startUpstream(t, server, args)
  const variables = {
    MCP_SERVERS_FILE: await serversFile(t, { up: { url: upstream.url } }),
    MCP_SESSION_KEY_PREFIX: 'questions',
    MCP_ELICITATION: 'on',
    ...env
  }
  const service = await build(t, variables)
  return { upstream, service, variables, id: await initSession(service) }
}

const answers = (
  requests: Array<{ id: string }>,
  answer: object = { action: 'accept', content: { answer: 'blue' } }
) => Object.fromEntries(requests.map(({ id }) => [id, answer]))

t.test('a tool that asks is answered 202, and goes on with the answers, on any worker', async t => {
  const { service, variables, id, upstream } = await start(t)
  const other = await build(t, variables)

  const asked = await call(service, id, 'ask', { questions: ['Which colour?'] })
  t.equal(asked.statusCode, 202, asked.body)
  const { status, requests, continue: token } = asked.json()
  t.equal(status, 'input_required')
  t.match(requests, [{ id: String, method: 'elicitation/create', params: { message: 'Which colour?' } }])
  t.match(token, /^[\w-]{20,}$/)
  t.notMatch(asked.body, /requestState|test\.not-a-real/, "neither the server's state nor a credential")

  const answered = await post(other, { session_id: id, continue: token, responses: answers(requests) })
  t.equal(answered.statusCode, 200, answered.body)
  t.match(answered.body, /blue/)
  t.equal((await upstream.stats()).calls.ask, 2)
})

t.test('a call goes on with what the session and the operator gave it, and says so again', async t => {
  const upstream = await startUpstream(t, 'http-2026', ['--modern-only'])
  const entry = { url: upstream.url, values: 'chain', tools: { ask: { arguments: { kind: 'elicitation' } } } }
  const service = await build(t, { MCP_SERVERS_FILE: await serversFile(t, { up: entry }), MCP_ELICITATION: 'on' })
  const id = await initSession(service, { questions: ['Which colour?'] })

  const asked = await call(service, id, 'ask', { kind: 'roots' })
  t.strictSame([asked.statusCode, asked.headers['x-mcp-injected']], [202, 'questions'])
  const { requests, continue: token } = asked.json()
  await call(service, id, 'echo', { questions: ['Another one?'] })
  const answered = await post(service, { session_id: id, continue: token, responses: answers(requests) })
  t.strictSame([answered.statusCode, answered.headers['x-mcp-injected']], [200, 'questions'])

  const sent = (await upstream.requests()).filter(({ name }) => name === 'ask')
    .map(({ body }) => (body as { params: { arguments: unknown } }).params.arguments)
  t.strictSame(sent, [0, 1].map(() => ({ questions: ['Which colour?'], kind: 'elicitation' })))
})

t.test('when a call that waits for input cannot be kept, its failure is not retryable', async t => {
  const redis = await startRedis(t)
  const { service, upstream, id } = await start(t, { env: { REDIS_URL: redis.url } })
  const client = await redisClient(t, redis.url)
  t.equal((await call(service, id, 'ask')).statusCode, 202)

  process.kill(upstream.pid, 'SIGSTOP')
  const asked = call(service, id, 'ask')
  await until(async () => (await client.hexists(`questions:${id}`, 'running')) === 1, 'the call is under way')
  client.disconnect()
  await redis.stop()
  process.kill(upstream.pid, 'SIGCONT')

  const { statusCode, ...response } = await asked
  t.equal(statusCode, 502)
  t.strictSame(
    JSON.parse(response.body),
    callFailure(
      'MCP_CALL',
      'MCP server up requested input for tool ask, and the call could not be kept until the caller responds',
      { acted: 'unknown' }
    )
  )
})

t.test('each call goes on once, in its own session only, and not after that has ended', async t => {
  const { service, id } = await start(t)
  const another = await initSession(service)
  const { requests, continue: token } = (await call(service, id, 'ask', { questions: ['Which?'] })).json()
  const goOn = (session: string) =>
    post(service, { session_id: session, continue: token, responses: answers(requests) })

  t.match((await goOn(another)).json(), { code: 'MCPC_ERR_UNKNOWN_CONTINUATION' })
  const both = await Promise.all([goOn(id), goOn(id)])
  t.strictSame(both.map(({ statusCode }) => statusCode).sort(), [200, 404])

  const later = (await call(service, id, 'ask', { questions: ['Which?'] })).json()
  await service.inject({ method: 'POST', url: '/shutdown', payload: { session_id: id } })
  t.equal((await post(service, { session_id: id, continue: later.continue, responses: {} })).statusCode, 409)
})

t.test('a tool that asks again is answered 202 again, and an answer may be no', async t => {
  const { service, id } = await start(t)
  const first = (await call(service, id, 'ask', { questions: ['One?', 'Two?'] })).json()
  const second = await post(service, { session_id: id, continue: first.continue, responses: answers(first.requests) })
  t.equal(second.statusCode, 202)
  t.match(second.json().requests, [{ params: { message: 'Two?' } }])
  const done = await post(service, {
    session_id: id,
    continue: second.json().continue,
    responses: answers(second.json().requests, { action: 'decline' })
  })
  t.equal(done.statusCode, 200)
  t.match(done.body, /decline/)
})

t.test('what waits holds no credential, and is bounded', async t => {
  const { service, id } = await start(t)
  const redis = await redisClient(t)
  for (let times = 0; times < 20; times++) await call(service, id, 'ask', { questions: ['Which?'], note: `${times}` })
  const fields = await redis.hgetall(`questions:${id}`)
  const waiting = Object.entries(fields).filter(([name]) => name.startsWith('d:'))
  t.equal(waiting.length, 16)
  t.notOk(waiting.some(([, text]) => text.includes(jwtToken)))
  t.match(fields.last_call, /input_required/)
})

t.test('with events, the questions are the last event', async t => {
  const { service, id } = await start(t)
  const { body } = await post(
    service,
    { session_id: id, tool: 'ask', params: { questions: ['Which?'] } },
    { accept: 'text/event-stream' }
  )
  t.match(body, /event: input_required\ndata: \{"status":"input_required"/)
})

t.test('what a continuation must be is said', async t => {
  const { service, id } = await start(t)
  t.strictSame(
    (await post(service, { session_id: id, continue: 'none' })).json(),
    callFailure(
      'UNKNOWN_CONTINUATION',
      'No pending call has this token: it was used, newer calls replaced it, or it belongs to another session'
    )
  )
  t.match((await post(service, { session_id: id, continue: 5 })).json(), {
    error: 'continue must be a string of at most 256 characters'
  })
  t.match((await post(service, { session_id: id, continue: 'x', responses: { a: 1 } })).json(), {
    code: 'MCPC_ERR_INVALID_FIELD'
  })
})

t.test('by default a server is told that it gets no input', async t => {
  for (const [server, args] of [
    ['http-2026', ['--modern-only']],
    ['http-2025', []]
  ] as const) {
    const { service, id } = await start(t, { server, args: [...args], env: { MCP_ELICITATION: 'off' } })
    const { statusCode, body } = await call(service, id, 'ask', { questions: ['Which?'] })
    t.not(statusCode, 202, body)
    t.match(body, /elicitation|capab/i)
  }
})

t.test('a server of an older era, which would wait for the answer, gets a no', async t => {
  const { service, id } = await start(t, { server: 'http-2025', args: [] })
  const { statusCode, body } = await call(service, id, 'ask', { questions: ['Which?'] })
  t.equal(statusCode, 200)
  t.match(body, /decline/)
})
