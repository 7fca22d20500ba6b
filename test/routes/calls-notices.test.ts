import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { makeFolder } from '../support/folders.ts'
import { fixture } from '../support/paths.ts'
import { secrets, startReceiver } from '../support/receiver.ts'
import { initSession } from '../support/requests.ts'
import { workersOn } from '../support/service.ts'
import { until } from '../support/wait.ts'

/** Two workers with a receiver `orders`, and a tool `act` that answers once it may. */
async function start (t: Test, env: Record<string, string> = {}) {
  const folder = await makeFolder(t)
  const receiver = await startReceiver(t)
  writeFileSync(join(folder, 'calls'), '')
  writeFileSync(join(folder, 'receivers.json'), JSON.stringify({ orders: { url: receiver.url, secret: secrets[0] } }))
  const services = await workersOn(t, 2, {
    counting: { command: process.execPath, args: [fixture('counting-server.mjs'), join(folder, 'calls')] }
  }, { MCP_ASYNC_CALLS: 'on', MCP_NOTIFY_FILE: join(folder, 'receivers.json'), ...env })
  const session = await initSession(services[0])
  const send = (body: object, headers: Record<string, string> = { prefer: 'respond-async' }, worker = 0) =>
    (services[worker] ?? services[0]).inject({
      method: 'POST', url: '/call-tool', headers, payload: { session_id: session, tool: 'act', ...body }
    })
  return { services, session, send, receiver, letGo: () => writeFileSync(join(folder, 'calls.go'), '') }
}

t.test('the receiver of a call is told once it is over, whatever its end', async t => {
  const { services, session, send, receiver, letGo } = await start(t, { MCP_SESSION_MAX_CONCURRENCY: '1' })
  const idOf = async (answer: ReturnType<typeof send>) => (await answer).json().call as string
  const headers = { prefer: 'respond-async', 'idempotency-key': 'k' }
  const first = await idOf(send({ params: { name: 'a' }, notify: 'orders' }, headers))
  t.equal(await idOf(send({ params: { name: 'a' }, notify: 'orders' }, headers, 1)), first, 'asked for twice')
  const cancelled = await idOf(send({ params: { name: 'b' }, notify: 'orders' }))
  await services[1]?.inject({ method: 'DELETE', url: `/calls/${cancelled}`, headers: { 'x-session-id': session } })
  t.equal(receiver.requests.length, 0, 'nothing is over')
  letGo()
  const byPath = await services[0].inject({
    method: 'POST',
    url: '/tools/act?notify=orders',
    headers: { prefer: 'respond-async', 'x-session-id': session },
    payload: { name: 'hunter2' }
  })
  t.equal(byPath.statusCode, 202, byPath.body)
  const told = () => new Map(receiver.notices.map(({ payload }) => {
    const { type, data } = payload as { type: string, data: { call: string, status: string } }
    t.equal(type, `call.${data.status}`)
    return [data.call, data.status]
  }))
  await until(() => told().size === 3, 'all are told')
  t.strictSame(Object.fromEntries(told()), {
    [first]: 'completed', [cancelled]: 'cancelled', [byPath.json().call]: 'completed'
  })
  t.strictSame(receiver.faults, [])
  for (const { text } of receiver.notices) {
    for (const word of [session, 'hunter2', 'act', 'done', 'example']) t.notMatch(text, word)
  }
})

t.test('an address of a caller\'s is none, and who waits for a result needs no notice', async t => {
  const { services, send, receiver, session } = await start(t)
  const refused = async (answer: ReturnType<typeof send>) => {
    const { statusCode, body } = await answer
    t.equal(statusCode, 400, body)
    return body
  }
  const rule = /notify must be the name of a receiver of this service/
  for (const notify of ['Orders', 'orders ', receiver.url, '__proto__', 'constructor', 'http://127.0.0.1:1/']) {
    t.match(await refused(send({ notify })), rule, notify)
  }
  for (const notify of ['', 1, null, {}, ['orders'], 'x'.repeat(65)]) {
    t.match(await refused(send({ notify })), /notify must be a name of 1 to 64 characters/)
  }
  const waiting = /notify must be absent in a request that waits for its result/
  for (const body of [{}, { continue: 'c_1' }, { dry_run: true }]) {
    t.match(await refused(send({ notify: 'orders', params: {}, ...body }, {})), waiting)
  }
  const later = send({ notify: 'orders', dry_run: true, params: {} })
  t.match(await refused(later), waiting)
  const events = send({ notify: 'orders' }, { prefer: 'respond-async', accept: 'text/event-stream' })
  t.match((await events).body, waiting)
  const byPath = await services[0].inject({
    method: 'POST', url: '/tools/act?notify=nobody', headers: { prefer: 'respond-async', 'x-session-id': session }, payload: {}
  })
  t.match([byPath.statusCode, byPath.body], [400, rule])
  t.equal(receiver.requests.length, 0)
})

t.test('without asynchronous calls there is nobody to tell', async t => {
  const { send, receiver } = await start(t, { MCP_ASYNC_CALLS: 'off' })
  const { statusCode, body } = await send({ notify: 'orders', params: {} })
  t.match([statusCode, body], [400, /notify must be absent in a request that waits for its result/])
  t.equal(receiver.requests.length, 0)
})
