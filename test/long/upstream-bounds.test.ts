import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { callersOf, statusesOf } from '../support/callers.ts'
import { cases } from '../support/cases.ts'
import { startHangingServer } from '../support/hanging-server.ts'
import type { HttpRequest } from '../support/http-server.ts'
import { callFailure } from '../support/requests.ts'
import { type Environment, serviceOn } from '../support/service.ts'
import { until } from '../support/wait.ts'

const isCall = ({ message }: HttpRequest) => message.method === 'tools/call'
const isGood = () => false

/** A server whose tool hangs, a good one, and a service with both. */
async function start (t: Test, env: Environment = {}, era: '2025' | '2026' = '2026') {
  const hanging = await startHangingServer(t, { era, hangs: isCall })
  const good = await startHangingServer(t, { era, hangs: isGood })
  const service = await serviceOn(t, { hang: { url: hanging.url }, good: { url: good.url } }, {
    MCP_SESSION_MAX_CONCURRENCY: '1000', ...env
  })
  return { hanging, good, service, ...await callersOf(service) }
}

for (const era of cases(['2025', '2026'] as const, 2)) {
  t.test(`300 calls of a server of ${era} that hangs have 100 requests there, and cost another server's nothing`, async t => {
    const { hanging, good, call, untilCounts } = await start(t, {}, era)
    const callers = call('hang__act', 300)
    await untilCounts(100, 200)
    await until(() => hanging.held.length === 100, 'a hundred are there')
    t.ok(hanging.sockets.peak <= (era === '2026' ? 100 : 300), `${hanging.sockets.peak} connections`)

    t.strictSame(await statusesOf(call('good__act', 100)), Array(100).fill(200))
    t.ok(good.sockets.peak <= 100)
    await untilCounts(100, 200)
    t.equal(hanging.requests.filter(isCall).length, 100, 'no other got through')

    hanging.open()
    t.strictSame(await statusesOf(callers), Array(300).fill(200))
    await untilCounts(0, 0)
    t.equal(hanging.requests.filter(isCall).length, 300)
  })
}

t.test('a caller who leaves makes room for one who waits, and leaves the queue', async t => {
  const { hanging, call, untilCounts } = await start(t, { MCP_MAX_UPSTREAM_REQUESTS: '10' })
  const running = call('hang__act', 10)
  await untilCounts(10, 0)
  const waiting = call('hang__act', 20)
  await untilCounts(10, 20)
  for (const { leave } of waiting.slice(0, 8)) leave()
  await untilCounts(10, 12)
  for (const { leave } of running) leave()
  await untilCounts(10, 2)
  await until(() => hanging.requests.filter(isCall).length === 20, 'ten others got through')
  t.ok(hanging.sockets.peak <= 40, `${hanging.sockets.peak} connections`)

  for (const { leave } of waiting) leave()
  await untilCounts(0, 0)
  await until(() => hanging.sockets.open === 0, 'no connection is left')
  hanging.open()
  t.strictSame(await statusesOf(call('hang__act', 20)), Array(20).fill(200))
})

t.test('a request whose turn does not come is answered 503, by its time or by a full queue', async t => {
  const sentence = 'The service is busy: all 2 requests that MCP server hang may get at once are running'
  for (const [env, rest] of [
    [{ MCP_QUEUE_TIMEOUT: '0.2' }, ' for 0.2 s'],
    [{ MCP_MAX_QUEUED: '0' }, ', and 0 requests wait']
  ] as const) {
    const { hanging, call, untilCounts, service } = await start(t, { MCP_MAX_UPSTREAM_REQUESTS: '2', ...env })
    const running = call('hang__act', 2)
    await untilCounts(2, 0)
    const answer = await call('hang__act', 1)[0]?.answer
    t.strictSame(answer, { status: 503, body: callFailure('OVERLOADED', sentence + rest, { retryable: true }) })
    t.equal((await service.inject('/livez')).statusCode, 200)
    await untilCounts(2, 0)
    hanging.open()
    t.strictSame(await statusesOf(running), [200, 200])
    t.equal(hanging.requests.filter(isCall).length, 2, 'the refused one was not sent')
  }
})

t.test('waiting for a turn is no part of the time that a tool may take', async t => {
  const { hanging, call, untilCounts } = await start(t, { MCP_MAX_UPSTREAM_REQUESTS: '1' })
  const [first] = call('hang__act', 1)
  await untilCounts(1, 0)
  const [second] = call('hang__act', 1, { timeout: 1 })
  await untilCounts(1, 1)
  await delay(1_500)
  hanging.open()
  t.equal((await first?.answer)?.status, 200)
  t.equal((await second?.answer)?.status, 200)
})

t.test('servers that hang leave what is no share of theirs to the others', async t => {
  const { hanging, call, untilCounts } = await start(t, {
    MCP_MAX_UPSTREAM_REQUESTS: '3', MCP_MAX_UPSTREAM_TOTAL: '4'
  })
  const callers = call('hang__act', 50)
  await untilCounts(3, 47)
  t.strictSame(await statusesOf(call('good__act', 30)), Array(30).fill(200), 'one at a time')
  hanging.open()
  t.strictSame(await statusesOf(callers), Array(50).fill(200))
})

t.test('where all that may run is running, others wait for the total, and each gets its turn', async t => {
  const servers = await Promise.all([1, 2, 3].map(() => startHangingServer(t, { era: '2026', hangs: isCall })))
  const entries = Object.fromEntries(servers.map(({ url }, index) => [`up${index}`, { url }]))
  const service = await serviceOn(t, entries, {
    MCP_SESSION_MAX_CONCURRENCY: '1000', MCP_MAX_UPSTREAM_REQUESTS: '2', MCP_MAX_UPSTREAM_TOTAL: '5'
  })
  const { call, request, untilCounts } = await callersOf(service)
  // The lists need turns, too: they are fetched first.
  t.strictSame(await statusesOf(request('/tools', 1, {})), [200])
  const callers = [0, 1, 2].flatMap(index => call(`up${index}__act`, 4))
  await untilCounts(5, 7)
  for (const { open } of servers) open()
  t.strictSame(await statusesOf(callers), Array(12).fill(200))
  await untilCounts(0, 0)
})

t.test('requests that need several servers never wait for each other, however small the bounds are', async t => {
  const servers = await Promise.all([1, 2, 3, 4].map(() => startHangingServer(t, { hangs: isGood })))
  const own = { authorization: 'Bearer ${session.jwtToken}' } // eslint-disable-line no-template-curly-in-string
  const entries = Object.fromEntries(servers.map(({ url }, index) => [`up${index}`, { url, headers: own }]))
  const service = await serviceOn(t, entries, {
    MCP_SESSION_MAX_CONCURRENCY: '1000', MCP_MAX_UPSTREAM_REQUESTS: '1', MCP_MAX_UPSTREAM_TOTAL: '1'
  })
  const { openSessions, request, untilCounts } = await callersOf(service)
  await openSessions(10)
  const callers = [...request('/tools', 10, {}), ...request('/resources', 10, {}), ...request('/prompts', 10, {})]
  const answers = await Promise.all(callers.map(({ answer }) => answer))
  for (const answer of answers) t.match(answer, { status: 200, body: { errors: undefined } })
  await untilCounts(0, 0)
})

t.test('servers of one address have a bound each, and one that hangs takes no connection of another', async t => {
  const { origin, held, sockets, open } = await startHangingServer(t, {
    era: '2026', hangs: ({ path, message }) => path === '/hang' && message.method === 'tools/call'
  })
  const service = await serviceOn(t, { hang: { url: `${origin}/hang` }, good: { url: `${origin}/good` } }, {
    MCP_SESSION_MAX_CONCURRENCY: '1000', MCP_MAX_UPSTREAM_REQUESTS: '2'
  })
  const { call, untilCounts } = await callersOf(service)
  const callers = call('hang__act', 20)
  await untilCounts(2, 18)
  t.strictSame(await statusesOf(call('good__act', 20)), Array(20).fill(200))
  t.equal(held.length, 2)
  t.ok(sockets.peak <= 12, `${sockets.peak} connections`)
  open()
  t.strictSame(await statusesOf(callers), Array(20).fill(200))
})
