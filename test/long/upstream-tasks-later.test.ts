import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { startUpstream } from '../support/mcp-servers.ts'
import { fixture } from '../support/paths.ts'
import { redisClient } from '../support/redis.ts'
import { initSession, postTo } from '../support/requests.ts'
import { build } from '../support/service.ts'
import { serversFile } from '../support/servers-file.ts'
import { until } from '../support/wait.ts'

/** Workers that share their sessions, each started when the test wants it, and a server whose tools run as tasks. */
async function start (t: Test, entry: object = {}, env: Record<string, string> = {}) {
  const upstream = await startUpstream(t, 'sdk-task', ['--http'])
  const shared = {
    MCP_SERVERS_FILE: await serversFile(t, { up: { url: upstream.url, ...entry } }),
    MCP_SESSION_KEY_PREFIX: `test-${crypto.randomUUID()}`,
    MCP_ASYNC_CALLS: 'on',
    MCP_CLOSE_GRACE: '1',
    ...env
  }
  return { upstream, worker: () => build(t, shared) }
}

async function accept (service: FastifyInstance, session: string, params: object, tool = 'may'): Promise<string> {
  const { statusCode, body } = await service.inject({
    method: 'POST',
    url: '/call-tool',
    headers: { prefer: 'respond-async' },
    payload: { session_id: session, tool, params }
  })
  if (statusCode !== 202) throw new Error(`answered ${statusCode}: ${body}`)
  return (JSON.parse(body) as { call: string }).call
}

const read = (service: FastifyInstance, session: string, id: string, query = '?wait=60', method: 'GET' | 'DELETE' = 'GET') =>
  service.inject({ method, url: `/calls/${id}${query}`, headers: { 'x-session-id': session } })

t.test('a worker that ends leaves the task of an accepted call to another one, which never calls the tool', async t => {
  const { upstream, worker } = await start(t)
  const one = await worker()
  const session = await initSession(one)
  const id = await accept(one, session, { name: 'a', gate: 'g' })
  await until(async () => (await upstream.stats()).methods['tasks/get'] !== undefined, 'it is asked for')
  const other = await worker()
  await one.close()
  const left = await read(other, session, id, '')
  t.match(left.json(), { status: 'working', call: id }, left.body)
  const { methods } = await upstream.stats()
  await until(async () => (await upstream.stats()).methods['tasks/get'] !== methods['tasks/get'], 'the other one asks')
  await upstream.control({ finish: 'g' })
  const { statusCode, body } = await read(other, session, id)
  t.match([statusCode, JSON.parse(body)], [200, { status: 'completed', call: id }])
  t.match(body, /"name":"a"/)
  const { calls, methods: all } = await upstream.stats()
  t.strictSame([calls, all['tools/call'], all['tasks/cancel']], [{ may: 1 }, 1, undefined])
})

t.test('a call that is cancelled cancels its task, while it works and while it waits', async t => {
  const { upstream, worker } = await start(t, {}, { MCP_ELICITATION: 'on' })
  const service = await worker()
  const session = await initSession(service)
  const working = await accept(service, session, { gate: 'never' })
  await until(async () => (await upstream.stats()).methods['tasks/get'] !== undefined, 'it is asked for')
  await read(service, session, working, '', 'DELETE')
  t.match((await read(service, session, working)).json(), { status: 'cancelled' })
  await until(async () => (await upstream.stats()).methods['tasks/cancel'] === 1, 'its server was told')

  const asking = await accept(service, session, { ask: true })
  const asked = (await read(service, session, asking)).json()
  t.match(asked, { status: 'input_required', question: { requests: [{ params: { message: 'Which colour?' } }] } })
  t.match((await read(service, session, asking, '', 'DELETE')).json(), { status: 'cancelled' })
  await until(async () => (await upstream.stats()).methods['tasks/cancel'] === 2, 'its server was told')
})

t.test('an accepted call whose task asks goes on with the response, on any worker', async t => {
  const { upstream, worker } = await start(t, {}, { MCP_ELICITATION: 'on' })
  const [one, other] = [await worker(), await worker()]
  const session = await initSession(one)
  const id = await accept(one, session, { name: 'a', ask: true })
  const { question } = (await read(one, session, id)).json()
  const responses = { [question.requests[0].id]: { action: 'accept', content: { colour: 'blue' } } }
  const answered = await postTo(other, `/calls/${id}`, { session_id: session, responses })
  t.match([answered.statusCode, answered.json()], [200, { name: 'a', answer: { content: { colour: 'blue' } } }])
  t.match((await read(one, session, id)).json(), { status: 'completed' })
  t.equal((await upstream.stats()).methods['tools/call'], 1)
})

t.test('where nobody else could ask, a task is begun only for a tool that demands it, and ends with its worker', async t => {
  for (const [what, entry] of [
    ['a session a request', { session: 'request' }],
    ['stdio', { url: undefined, command: process.execPath, args: [fixture('sdk-task-server.mjs')] }]
  ] as const) {
    const { worker } = await start(t, entry)
    const one = await worker()
    const session = await initSession(one)
    for (const tool of ['may', 'must']) {
      const id = await accept(one, session, { name: 'a' }, tool)
      t.match((await read(one, session, id)).json(), { status: 'completed' }, `${tool}: ${what}`)
    }
    const id = await accept(one, session, { gate: 'never' }, 'must')
    await until(async () => (await read(one, session, id, '')).json().status === 'working', 'it works')
    const other = await worker()
    await one.close()
    t.match((await read(other, session, id)).json(), { status: 'unknown' }, what)
  }
})

t.test('the task of a call is sealed in Redis, and no caller is told its id', async t => {
  const { upstream, worker } = await start(t, {}, { MCP_ENCRYPTION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}` })
  const service = await worker()
  const session = await initSession(service)
  const id = await accept(service, session, { gate: 'g' })
  await until(async () => (await upstream.stats()).methods['tasks/get'] !== undefined, 'it is asked for')
  const asked = (await upstream.requests()).find(({ method }) => method === 'tasks/get')
  const { taskId } = (asked?.body as { params: { taskId: string } }).params
  const redis = await redisClient(t)
  const { keyPrefix } = service.config.session
  const fields = await redis.hgetall(`${keyPrefix}:${session}`)
  const waiting = await redis.zrangebyscore(`mcp_tasks:${keyPrefix}`, '-inf', '+inf')
  t.match([fields[`t:${id}`], waiting.length], [/^s1\.k1\./, 1])
  t.notOk(JSON.stringify([fields, waiting]).includes(taskId))
  const working = await read(service, session, id, '')
  await upstream.control({ finish: 'g' })
  const done = await read(service, session, id)
  t.match(done.json(), { status: 'completed' })
  t.notOk((working.body + done.body).includes(taskId))
  await until(async () => (await redis.zcard(`mcp_tasks:${keyPrefix}`)) === 0, 'nobody looks after it any more')
  t.equal((await redis.hgetall(`${keyPrefix}:${session}`))[`t:${id}`], undefined)
})
