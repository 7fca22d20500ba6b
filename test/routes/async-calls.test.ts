import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { createCallId } from '../../lib/calls/call.ts'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { makeFolder } from '../support/folders.ts'
import { fixture } from '../support/paths.ts'
import { redisClient } from '../support/redis.ts'
import { initSession, postTo } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { build, environment } from '../support/service.ts'
import { until } from '../support/wait.ts'

/** Starts workers one after another, with a tool `act` that counts its calls, and answers once it may. */
async function prepare (t: Test, settings: Record<string, string> = {}) {
  const file = join(await makeFolder(t), 'calls')
  writeFileSync(file, '')
  const env = await environment(t, {
    MCP_SERVERS_FILE: await serversFile(t, {
      counting: { command: process.execPath, args: [fixture('counting-server.mjs'), file] }
    }),
    MCP_ASYNC_CALLS: 'on',
    ...settings
  })
  return {
    env,
    worker: (more: Record<string, string> = {}) => build(t, { ...env, ...more }),
    count: () => readFileSync(file, 'utf8').split('\n').length - 1,
    letGo: () => writeFileSync(`${file}.go`, '')
  }
}

async function accept (service: FastifyInstance, session: string, headers: Record<string, string> = {}) {
  const answer = await service.inject({
    method: 'POST',
    url: '/call-tool',
    headers: { prefer: 'respond-async', ...headers },
    payload: { session_id: session, tool: 'act', params: { name: 'a' } }
  })
  if (answer.statusCode !== 202) throw new Error(answer.body)
  return String(answer.json().call)
}

const read = (service: FastifyInstance, session: string, call: string, headers: Record<string, string> = {}) =>
  service.inject({ url: `/calls/${call}?wait=50`, headers: { 'x-session-id': session, ...headers } })

const stateOf = async (service: FastifyInstance, session: string, call: string) =>
  (await service.inject({ url: `/calls/${call}`, headers: { 'x-session-id': session } })).json().status

t.test('a worker that closes finishes its calls within the grace', async t => {
  const { worker, count, letGo } = await prepare(t)
  const closing = await worker()
  const session = await initSession(closing)
  const call = await accept(closing, session)
  await until(() => count() === 1, 'the call runs')
  const closed = closing.close()
  await until(() => closing.isClosing, 'it closes')
  letGo()
  await closed
  const other = await worker()
  t.match((await read(other, session, call)).json(), { status: 'completed' })
  t.equal(count(), 1)
})

t.test('what outlasts the grace is unknown, and what has not begun is made by another worker', async t => {
  // One process at a time: the second call is a worker's, and waits for its turn.
  const { worker, count, letGo } = await prepare(t, { MCP_CLOSE_GRACE: '0.3', MCP_MAX_PROCESSES: '1' })
  const closing = await worker()
  const [one, two] = [await initSession(closing), await initSession(closing)]
  const running = await accept(closing, one)
  await until(() => count() === 1, 'the first call runs')
  const waiting = await accept(closing, two)
  await until(async () => await stateOf(closing, two, waiting) === 'working', 'the second one is begun')
  await closing.close()
  t.equal(count(), 1)
  letGo()
  const other = await worker()
  t.match((await read(other, one, running)).json(), { status: 'unknown' })
  t.match((await read(other, two, waiting)).json(), { status: 'completed' })
  t.equal(count(), 2, 'neither was made twice')
})

t.test('a call that was cancelled while it waited does not go back', async t => {
  const { worker, count } = await prepare(t)
  const service = await worker()
  const session = await initSession(service)
  const loaded = await service.sessions.load({ id: session, client: null })
  if (loaded === null) throw new Error('no session')
  const id = createCallId()
  await service.calls.open(loaded, { id, state: 'queued', kind: 'tool', data: '{}' })
  const begun = await service.calls.begin(loaded, id, { state: 'queued', kind: 'tool' })
  if (begun === null) throw new Error('it did not begin')
  t.match(await service.calls.cancel(loaded, id), { call: { state: 'working' } })
  t.equal(await service.calls.settle(loaded, begun.held, { state: 'queued' }), 'cancelled')
  t.equal(await service.calls.settle(loaded, begun.held, { state: 'queued' }), null)
  t.equal(await stateOf(service, session, id), 'cancelled')
  t.equal(count(), 0)
})

t.test('a job that a worker took and died with is made by another one, once', async t => {
  const { worker, count, letGo } = await prepare(t)
  letGo()
  const service = await worker()
  const session = await initSession(service)
  const loaded = await service.sessions.load({ id: session, client: null })
  if (loaded === null) throw new Error('no session')
  const id = createCallId()
  const data = JSON.stringify({ session_id: session, tool: 'act', params: { name: 'a' } })
  await service.calls.open(loaded, { id, state: 'queued', kind: 'tool', data })
  const redis = await redisClient(t)
  const queue = `mcp_jobs:${service.config.session.keyPrefix}`
  await until(async () => await redis.exists(queue) === 1, 'the queue is there')
  // What a worker leaves that takes a job and is killed; taken in the same moment as it came, so that no other has it.
  const taken = await redis.multi()
    .xadd(queue, '*', 'call', id, 'session', session)
    .xreadgroup('GROUP', 'workers', 'dead', 'COUNT', 100, 'STREAMS', queue, '>')
    .exec()
  const place = String(taken?.[0]?.[1])
  t.match(JSON.stringify(taken?.[1]?.[1]), place)
  t.equal(await stateOf(service, session, id), 'queued', 'a worker may still be about to begin it')
  await redis.call('XCLAIM', queue, 'workers', 'dead', '0', place, 'IDLE', '10001')
  t.match((await read(service, session, id)).json(), { status: 'completed' })
  await redis.xadd(queue, '*', 'call', id, 'session', session)
  await until(async () => await redis.xlen(queue) === 0, 'a job that comes again is removed')
  t.equal(count(), 1)
})

t.test('calls that are made later are their API key\'s and their session\'s, and need the session\'s token', async t => {
  const keys = { one: 'mcpk_one', two: 'mcpk_two' }
  const hash = (text: string) => createHash('sha256').update(text).digest('hex')
  const { worker, count, letGo } = await prepare(t, {
    MCP_CLIENT_API_KEYS: Object.entries(keys).map(([name, key]) => `${name}:${hash(key)}`).join(),
    MCP_SESSION_TOKENS: 'required'
  })
  letGo()
  const service = await worker()
  const open = async (key: string) => (await service.inject({
    method: 'POST', url: '/init', headers: { 'x-api-key': key }, payload: { session_id: 's', apiUrl, jwtToken }
  })).json().session_token as string
  const [mine, theirs] = [
    { 'x-api-key': keys.one, authorization: `Bearer ${await open(keys.one)}` },
    { 'x-api-key': keys.two, authorization: `Bearer ${await open(keys.two)}` }
  ]
  const call = await accept(service, 's', mine)
  t.match((await read(service, 's', call, mine)).json(), { status: 'completed' })
  for (const [headers, status] of [
    [theirs, 404], [{ ...mine, authorization: theirs.authorization }, 409], [{ 'x-api-key': keys.one }, 409], [{}, 401]
  ] as const) {
    for (const path of ['', '/events', '?wait=1']) {
      const refused = await service.inject({ url: `/calls/${call}${path}`, headers: { 'x-session-id': 's', ...headers } })
      t.equal(refused.statusCode, status, `${path} ${JSON.stringify(headers)}`)
    }
  }
  const followed = await service.inject({ url: `/calls/${call}/events`, headers: { 'x-session-id': 's', ...mine } })
  t.match(followed.body, /event: result/)
  t.equal(count(), 1)
  const ended = await postTo(service, '/call-tool', { session_id: 's', tool: 'act' })
  t.equal(ended.statusCode, 401)
})
