import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import { makeFolder } from '../support/folders.ts'
import { fixture } from '../support/paths.ts'
import { redisClient } from '../support/redis.ts'
import { initSession } from '../support/requests.ts'
import { workersOn } from '../support/service.ts'
import { until } from '../support/wait.ts'

/** Workers with a tool `act` that counts its calls, and answers once it may; and with the tiny server. */
async function start (t: Test, workers = 1, env: Record<string, string> = {}) {
  const file = join(await makeFolder(t), 'calls')
  writeFileSync(file, '')
  const services = await workersOn(t, workers, {
    counting: { command: process.execPath, args: [fixture('counting-server.mjs'), file], lifecycle: 'shared' },
    tiny: { command: process.execPath, args: [fixture('tiny-server.mjs')], lifecycle: 'shared' }
  }, { MCP_VALIDATE_ARGUMENTS: 'on', ...env })
  return {
    services,
    session: await initSession(services[0]),
    count: () => readFileSync(file, 'utf8').split('\n').length - 1,
    letGo: () => writeFileSync(`${file}.go`, ''),
    hold: () => rmSync(`${file}.go`, { force: true })
  }
}

const send = (
  service: FastifyInstance, session: string, key: string | undefined, body: object = {}, headers: object = {}
) => service.inject({
  method: 'POST',
  url: '/call-tool',
  headers: { ...(key !== undefined && { 'idempotency-key': key }), ...headers },
  payload: { session_id: session, tool: 'counting__act', params: { name: 'one' }, ...body }
})

t.test('a hundred equal requests at three workers are one call and one answer', async t => {
  const { services, session, count, letGo } = await start(t, 3, { MCP_SESSION_MAX_CONCURRENCY: '2' })
  const first = send(services[0], session, 'one')
  await until(() => count() === 1, 'the call runs')
  const during = await Promise.all(Array.from({ length: 99 }, (_, index) =>
    send(services[index % 3] ?? services[0], session, 'one')))
  for (const { statusCode, headers, body } of during) {
    t.match([statusCode, headers['retry-after'], JSON.parse(body)], [409, '1', { code: 'MCPC_ERR_CALL_RUNNING' }])
  }
  letGo()
  const { body, statusCode, headers } = await first
  t.strictSame([statusCode, headers['idempotency-replayed']], [200, undefined])
  const after = await Promise.all(Array.from({ length: 99 }, (_, index) =>
    send(services[index % 3] ?? services[0], session, index % 2 === 0 ? 'one' : '"one"')))
  for (const again of after) {
    t.strictSame([again.statusCode, again.body, again.headers['idempotency-replayed']], [200, body, 'true'])
    t.strictSame(again.headers['x-mcp-result'], headers['x-mcp-result'])
  }
  t.equal(count(), 1)
  t.equal((await send(services[0], session, undefined)).statusCode, 200)
  t.equal((await send(services[0], session, 'two')).statusCode, 200)
  t.equal(count(), 3, 'the control: another key, and none, are other calls')
})

t.test('what was asked is what must be asked again, whatever the order and the white space', async t => {
  const { services: [service], session, count, letGo } = await start(t)
  letGo()
  const raw = (payload: string, headers = {}) => service.inject({
    method: 'POST', url: '/call-tool', headers: { 'idempotency-key': 'raw', 'x-session-id': session, ...headers }, payload
  })
  const answer = await raw('{"tool":"counting__act","params":{"name":"a b","n":12345678901234567890}}')
  t.equal(answer.statusCode, 200, answer.body)
  for (const same of [
    '{"params":{"name":"a b","n":12345678901234567890},"tool":"counting__act"}',
    `{ "session_id": "${session}", "tool": "counting__act",\n"params": { "name": "a b", "n" : 12345678901234567890 } }`
  ]) t.strictSame((await raw(same)).body, answer.body, same)
  for (const other of [
    '{"tool":"counting__act","params":{"name":"a  b","n":12345678901234567890}}',
    '{"tool":"counting__act","params":{"name":"a b","n":12345678901234567891}}',
    '{"tool":"counting__act","params":{"name":"a b","n":12345678901234567890},"result":"mcp"}',
    '{"tool":"tiny__echo","params":{"name":"a b","n":12345678901234567890}}',
    '{"tool":"counting__act"}'
  ]) t.match((await raw(other)).json(), { code: 'MCPC_ERR_IDEMPOTENCY_KEY_REUSED', acted: 'no' }, other)
  t.equal(count(), 1)
})

t.test('a call by the path of its tool takes a key, too, and a session only from the header', async t => {
  const { services: [service], session, count, letGo } = await start(t)
  letGo()
  const byPath = (payload: object, id = session) => service.inject({
    method: 'POST', url: '/tools/counting__act', headers: { 'idempotency-key': 'path', 'x-session-id': id }, payload
  })
  // An argument may have any name.
  const made = await byPath({ name: 'a', session_id: 'an-argument' })
  t.strictSame([made.statusCode, made.headers['idempotency-replayed']], [200, undefined], made.body)
  const again = await byPath({ session_id: 'an-argument', name: 'a' })
  t.strictSame([again.body, again.headers['idempotency-replayed']], [made.body, 'true'])
  t.match((await byPath({ name: 'a' })).json(), { code: 'MCPC_ERR_IDEMPOTENCY_KEY_REUSED' })
  const nobody = await byPath({ name: 'a', session_id: session }, '')
  t.match([nobody.statusCode, nobody.body], [400, /Missing X-Session-Id/])
  t.equal(count(), 1)
})

t.test('a call that has not acted gives its key back, and one that may have acted keeps it', async t => {
  const { services: [service], session, count, letGo } = await start(t)
  for (const [body, status] of [
    [{ tool: 'counting__none' }, 404],
    [{ tool: 'tiny__keep', params: { name: 7 } }, 422],
    [{ timeout: 'x' }, 400]
  ] as const) {
    for (let times = 0; times < 2; times++) {
      const failed = await send(service, session, 'free', body)
      t.strictSame([failed.statusCode, failed.headers['idempotency-replayed']], [status, undefined], failed.body)
      await service.deferredSettled()
    }
  }
  const late = await send(service, session, 'late', { timeout: 0.5 })
  t.match([late.statusCode, late.json()], [504, { acted: 'unknown' }])
  const again = await send(service, session, 'late', { timeout: 0.5 })
  t.strictSame([again.statusCode, again.body, again.headers['idempotency-replayed']], [504, late.body, 'true'])
  const problem = await send(service, session, 'late', { timeout: 0.5 }, { accept: 'application/problem+json' })
  t.match([problem.statusCode, problem.headers['content-type'], problem.json()], [
    504, /^application\/problem\+json/, { detail: late.json().error, code: 'MCPC_ERR_MCP_TIMEOUT', acted: 'unknown' }
  ], 'each caller gets it in the form that it takes')
  t.equal(count(), 1)
  letGo()
  t.equal((await send(service, session, 'free')).statusCode, 200, 'a key that was given back is as new')
})

t.test('so does a call that is made later, which itself stays', async t => {
  const { services: [service], session } = await start(t, 1, { MCP_ASYNC_CALLS: 'on' })
  const later = { prefer: 'respond-async, wait=50' }
  const seen = new Set<string>()
  // The first fails before the turn of any tool, and the second one in its turn.
  for (const [body, status] of [
    [{ tool: 'tiny__keep', params: { name: { $result: `r_${'a'.repeat(32)}` } } }, 404],
    [{ tool: 'tiny__keep', params: { name: 7 } }, 422]
  ] as const) {
    for (let times = 0; times < 2; times++) {
      const failed = await send(service, session, 'free', body, later)
      t.strictSame([failed.statusCode, failed.headers['idempotency-replayed']], [status, undefined], failed.body)
      const location = String(failed.headers.location)
      seen.add(location)
      const call = await service.inject({ url: location, headers: { 'x-session-id': session } })
      t.match(call.json(), { status: 'failed', failure: { acted: 'no' } })
    }
  }
  t.equal(seen.size, 4)
  const late = () => send(service, session, 'late', { timeout: 0.5 }, later)
  const { body, headers: { location } } = await late()
  const problem = await send(service, session, 'late', { timeout: 0.5 }, { ...later, accept: 'application/problem+json' })
  t.match([problem.headers['content-type'], problem.json()], [/^application\/problem\+json/, { code: 'MCPC_ERR_MCP_TIMEOUT' }])
  const again = await late()
  t.strictSame(
    [again.statusCode, again.body, again.headers.location, again.headers['idempotency-replayed']],
    [504, body, location, 'true']
  )
})

t.test('a call whose worker died is unknown and not made again; so is one whose caller left', async t => {
  const { services: [service, other], session, count, letGo } = await start(t, 2)
  const running = send(service, session, 'dead')
  await until(() => count() === 1, 'the call runs')
  // The lease of a worker that died lapses: what Redis holds then is written here.
  const redis = await redisClient(t)
  const key = `${service.config.session.keyPrefix}:${session}`
  const [field = ''] = (await redis.hkeys(key)).filter(name => name.startsWith('c:'))
  const head = (await redis.hget(key, field) ?? '').split(' ')
  t.equal(head[0], 'working')
  await redis.hset(key, field, [...head.slice(0, 5), '1', ...head.slice(6)].join(' '))
  for (const at of [service, other ?? service]) {
    const unknown = await send(at, session, 'dead')
    t.match([unknown.statusCode, unknown.json()], [409, { code: 'MCPC_ERR_OUTCOME_UNKNOWN', acted: 'unknown' }])
  }
  letGo()
  const answered = await running
  t.equal(answered.statusCode, 200)
  t.equal((await send(service, session, 'dead')).body, answered.body, 'a worker that lives after all ends it truly')
  t.equal(count(), 1)
})

t.test('an answer that is too large to be kept is not made again', async t => {
  const { services: [service], session, letGo } = await start(t, 1, { MCP_SESSION_MAX_BYTES: '2000' })
  letGo()
  const large = { tool: 'tiny__echo', params: { text: 'x'.repeat(3_000) } }
  t.equal((await send(service, session, 'large', large)).statusCode, 200)
  const again = await send(service, session, 'large', large)
  t.match([again.statusCode, again.json()], [409, { code: 'MCPC_ERR_RESULT_NOT_KEPT', acted: 'unknown' }])
  const texts = ['a', 'b', 'c'].map(text => ({ tool: 'tiny__echo', params: { text: text.repeat(800) } }))
  for (const [index, body] of texts.entries()) t.equal((await send(service, session, `k${index}`, body)).statusCode, 200)
  const codes = await Promise.all(texts.map(async (body, index) => (await send(service, session, `k${index}`, body)).statusCode))
  t.strictSame(codes, [409, 200, 200], 'the oldest answers make room, their calls stay')
})

t.test('a session has a bounded number of calls, whose time ends', async t => {
  const { services: [service], session, count, letGo } = await start(t, 1, {
    MCP_MAX_CALLS_PER_SESSION: '2', MCP_IDEMPOTENCY_TTL: '1', MCP_CALL_TTL: '0.001'
  })
  // While they run, their time does not end, however slow this machine is.
  const running = [send(service, session, 'a'), send(service, session, 'b')]
  await until(() => count() === 2, 'both run')
  const full = await send(service, session, 'c')
  t.match([full.statusCode, full.json()], [429, { code: 'MCPC_ERR_TOO_MANY_KEPT_CALLS', acted: 'no' }])
  letGo()
  for (const { statusCode } of await Promise.all(running)) t.equal(statusCode, 200)
  await until(async () => (await send(service, session, 'a')).headers['idempotency-replayed'] === undefined, 'it ends')
  t.ok(count() >= 3, 'a key whose time has ended is as new')
})

t.test('a key is a key, and anything else an error that names the header', async t => {
  const { services: [service], session, count } = await start(t)
  for (const key of ['', ' ', '""', '" "', '"a', 'a"', 'a b', 'a, b', '"a", "b"', 'é', 'x'.repeat(256), '"a"; b=1']) {
    const refused = await send(service, session, key)
    t.strictSame(refused.statusCode, 400, key)
    t.match(refused.json(), { code: 'MCPC_ERR_INVALID_FIELD', error: /^Idempotency-Key must be / })
    t.notMatch(refused.body, /xxxx/)
  }
  const resumed = await service.inject({
    method: 'POST', url: '/call-tool', headers: { 'idempotency-key': 'k' }, payload: { session_id: session, continue: 'x' }
  })
  t.match(resumed.json(), { error: /^Idempotency-Key must be absent/ })
  t.equal((await send(service, session, 'k', { dry_run: true })).json().status, 'dry_run')
  t.equal(count(), 0)
})

t.test('the key of one session is nothing to another, and ends with its session', async t => {
  const { services: [service], session, count, letGo } = await start(t)
  letGo()
  await send(service, session, 'k')
  const other = await initSession(service)
  t.equal((await send(service, other, 'k')).headers['idempotency-replayed'], undefined)
  t.equal(count(), 2)
  await service.inject({ method: 'POST', url: '/shutdown', payload: { session_id: session } })
  t.equal((await send(service, session, 'k')).statusCode, 409)
})

t.test('an answer by events is recorded and sent again as events', async t => {
  const { services: [service], session, count, letGo } = await start(t)
  letGo()
  const headers = { accept: 'text/event-stream' }
  const [first, again] = [await send(service, session, 'sse', {}, headers), await send(service, session, 'sse', {}, headers)]
  t.match(first.body, /^event: result\ndata: /m)
  const event = /^event: result\n.*\n/m
  t.strictSame(event.exec(again.body)?.[0], event.exec(first.body)?.[0])
  t.match((await send(service, session, 'sse')).body, /done/)
  t.equal(count(), 1)
})
