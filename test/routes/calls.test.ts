import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { createCallId } from '../../lib/calls/call.ts'
import { type CallEvent, events } from '../../lib/telemetry/channels.ts'
import { makeFolder } from '../support/folders.ts'
import { startUpstream } from '../support/mcp-servers.ts'
import { fixture } from '../support/paths.ts'
import { initSession } from '../support/requests.ts'
import { build, workersOn } from '../support/service.ts'
import { serversFile } from '../support/servers-file.ts'
import { until } from '../support/wait.ts'

/** Workers that call later, with a tool `act` that counts its calls, and answers once it may. */
async function start (t: Test, workers = 1, env: Record<string, string> = {}) {
  const file = join(await makeFolder(t), 'calls')
  writeFileSync(file, '')
  const services = await workersOn(t, workers, {
    counting: { command: process.execPath, args: [fixture('counting-server.mjs'), file] }
  }, { MCP_ASYNC_CALLS: 'on', ...env })
  return {
    services,
    service: services[0],
    session: await initSession(services[0]),
    count: () => readFileSync(file, 'utf8').split('\n').length - 1,
    letGo: () => writeFileSync(`${file}.go`, '')
  }
}

const send = (
  service: FastifyInstance, session: string, { prefer = 'respond-async', ...headers }: Record<string, string> = {}
) =>
  service.inject({
    method: 'POST',
    url: '/call-tool',
    headers: { prefer, ...headers },
    payload: { session_id: session, tool: 'act', params: { name: 'a' } }
  })

const ask = (
  service: FastifyInstance, session: string, id: string, method: 'GET' | 'DELETE' = 'GET', query = ''
) => service.inject({ method, url: `/calls/${id}${query}`, headers: { 'x-session-id': session } })

t.test('a call is accepted, made by any worker, and read on any worker', async t => {
  const { services, service, session, count, letGo } = await start(t, 2)
  const accepted = await send(service, session)
  const { call, ...rest } = accepted.json()
  t.equal(accepted.statusCode, 202, accepted.body)
  t.match(rest, { status: /^(queued|working)$/, created_at: /Z$/, expires_at: /Z$/ })
  t.strictSame(
    [accepted.headers.location, accepted.headers['preference-applied']], [`/calls/${call}`, 'respond-async']
  )
  await until(() => count() === 1, 'the call runs')
  for (const worker of services) t.match((await ask(worker, session, call)).json(), { status: 'working', call })
  t.match((await ask(service, session, '')).statusCode, 404)
  const waiting = ask(services[1] ?? service, session, call, 'GET', '?wait=20')
  letGo()
  const done = await waiting
  t.match([done.statusCode, done.json()], [200, { status: 'completed', call, result: {} }])
  t.match(done.body, /done/)
  const list = await service.inject({ url: '/calls', headers: { 'x-session-id': session } })
  t.match(list.json(), { status: 'ok', calls: [{ status: 'completed', call }] })
  t.notMatch(list.body, /done/)
  const soon = await send(service, session, { prefer: 'respond-async, wait=20' })
  t.strictSame([soon.statusCode, soon.headers['preference-applied']], [200, 'respond-async, wait=20'])
  t.match(soon.body, /done/)
  t.equal(count(), 2)
})

t.test('with a key an accepted call is made once, and the same call is named again', async t => {
  const { services, session, count, letGo } = await start(t, 2)
  const sent = await Promise.all(Array.from({ length: 20 }, (_, index) =>
    send(services[index % 2] ?? services[0], session, { 'idempotency-key': 'k' })))
  t.equal(new Set(sent.map(answer => answer.json().call)).size, 1)
  t.equal(sent.filter(({ headers }) => headers['idempotency-replayed'] === 'true').length, 19)
  letGo()
  const again = await send(services[0], session, { 'idempotency-key': 'k', prefer: 'respond-async, wait=20' })
  t.match([again.statusCode, again.body], [200, /done/])
  t.match((await send(services[0], session, { 'idempotency-key': 'k', prefer: '' })).body, /done/)
  t.equal(count(), 1)
})

t.test('more calls than a session may run wait for their turn, and each is made once', async t => {
  const { services, session, count, letGo } = await start(t, 3, { MCP_SESSION_MAX_CONCURRENCY: '2' })
  letGo()
  const ids = (await Promise.all(Array.from({ length: 12 }, (_, index) =>
    send(services[index % 3] ?? services[0], session)))).map(answer => answer.json().call as string)
  const ends = await Promise.all(ids.map(id => ask(services[0], session, id, 'GET', '?wait=60')))
  t.strictSame(ends.map(end => end.json().status), ids.map(() => 'completed'))
  t.equal(count(), 12)
})

t.test('a call is cancelled on whichever worker it runs, and before it runs', async t => {
  const { services, session, count } = await start(t, 2, { MCP_SESSION_MAX_CONCURRENCY: '1' })
  const first = (await send(services[0], session)).json().call
  await until(() => count() === 1, 'one runs')
  const second = (await send(services[0], session)).json().call
  for (const id of [first, second]) {
    for (const worker of services) t.ok([200, 202].includes((await ask(worker, session, id, 'DELETE')).statusCode))
    const end = await ask(services[0], session, id, 'GET', '?wait=20')
    t.match([end.statusCode, end.json()], [200, { status: 'cancelled', call: id }])
  }
  t.equal(count(), 1)
})

t.test('a body that may be sent is not too large or too deep when its call is made later', async t => {
  const { service, session, letGo } = await start(t, 1, { MCP_MAX_BODY_BYTES: '2000', MCP_MAX_JSON_DEPTH: '10' })
  letGo()
  const deepest = `{"name":"a","x":${'['.repeat(9)}${']'.repeat(9)}}`
  const longest = `{"name":"${'a'.repeat(2_000 - '{"name":""}'.length)}"}`
  for (const [payload, statusCode] of [
    [deepest, 200], [longest, 200], [longest.replace('a', 'aa'), 413], [deepest.replace('[]', '[[]]'), 400]
  ] as const) {
    for (const prefer of ['return=minimal', 'respond-async, wait=50']) {
      const answer = await service.inject({
        method: 'POST', url: '/tools/act', headers: { 'x-session-id': session, prefer }, payload
      })
      t.equal(answer.statusCode, statusCode, `${prefer} ${answer.body.slice(0, 200)}`)
    }
  }
})

t.test('a call of another session, or of none, is an unknown one', async t => {
  const { service, session, letGo } = await start(t)
  letGo()
  const { call } = (await send(service, session)).json()
  await ask(service, session, call, 'GET', '?wait=20')
  const other = await initSession(service)
  const unknown = (await ask(service, other, createCallId())).body
  for (const id of [call, `${call}x`, 'x', 'c_', '%00', '..%2f', 'c_'.padEnd(34, 'a'), `${call}-1`, 'x'.repeat(4_000)]) {
    for (const method of ['GET', 'DELETE'] as const) {
      const { statusCode, body } = await ask(service, other, id, method)
      t.strictSame([statusCode, body], [404, unknown], id.slice(0, 40))
    }
    const responded = await service.inject({
      method: 'POST', url: `/calls/${id}`, payload: { session_id: other, responses: {} }
    })
    t.match([responded.statusCode, responded.json()], [404, { code: 'MCPC_ERR_UNKNOWN_CALL' }])
  }
  t.equal((await ask(service, session, call)).statusCode, 200)
  for (const wait of ['-1', '61', '1.5', 'x', '']) {
    t.match((await ask(service, session, call, 'GET', `?wait=${wait}`)).json(), { code: 'MCPC_ERR_INVALID_FIELD' }, wait)
  }
  for (const url of ['/calls', `/calls/${call}`]) t.equal((await service.inject({ url })).statusCode, 400)
})

t.test('without MCP_ASYNC_CALLS the preference is ignored, and an unknown tool is 404 in any case', async t => {
  const { service, session, letGo } = await start(t, 1, { MCP_ASYNC_CALLS: 'off' })
  letGo()
  const answer = await send(service, session)
  t.strictSame([answer.statusCode, answer.headers['preference-applied']], [200, undefined])
})

t.test('a call that asks waits for the responses, by its id or its token', async t => {
  const upstream = await startUpstream(t, 'http-2026', ['--modern-only'])
  const service = await build(t, {
    MCP_SERVERS_FILE: await serversFile(t, { up: { url: upstream.url } }), MCP_ELICITATION: 'on', MCP_ASYNC_CALLS: 'on'
  })
  const session = await initSession(service)
  for (const headers of [{}, { prefer: 'respond-async, wait=20' }, { 'idempotency-key': 'k' }]) {
    const payload = { session_id: session, tool: 'ask', params: { questions: ['Which colour?'] } }
    const asked = await service.inject({ method: 'POST', url: '/call-tool', headers, payload })
    t.equal(asked.statusCode, 202, asked.body)
    const { call, requests, continue: token } = asked.json()
    t.equal(token, `${call}-1`)
    const read = await ask(service, session, call)
    t.match([read.statusCode, read.json()], [202, { status: 'input_required', call, question: { requests } }])
    const follow = (lastEventId = '') => service.inject({
      url: `/calls/${call}/events`, headers: { 'x-session-id': session, 'last-event-id': lastEventId }
    })
    const [, question = ''] = /^id: (\S+-q1)\n(?:.+\n)*event: input_required\n/m.exec((await follow()).body) ?? []
    t.not(question, '')
    const goesOn = follow(question)
    const responses = Object.fromEntries(requests.map(({ id }: { id: string }) =>
      [id, { action: 'accept', content: { answer: 'blue' } }]))
    const respond = () => service.inject({
      method: 'POST', url: `/calls/${call}`, payload: { session_id: session, responses }
    })
    const answered = await respond()
    t.match([answered.statusCode, answered.body], [200, /blue/])
    t.match((await respond()).json(), { code: 'MCPC_ERR_CALL_NOT_WAITING' })
    const { body: rest } = await goesOn
    t.match(rest, /event: result\ndata: .*blue/, 'who knows of the question waits for what comes behind it')
    t.notMatch(rest, 'input_required')
    t.match((await ask(service, session, call)).body, /"status":"completed".*blue/)
    if ('idempotency-key' in headers) {
      t.equal((await service.inject({ method: 'POST', url: '/call-tool', headers, payload })).body, answered.body)
    }
  }
})

t.test('who responds to a question makes no call of its own, and has events on demand', async t => {
  const upstream = await startUpstream(t, 'http-2026', ['--modern-only'])
  const file = join(await makeFolder(t), 'calls')
  const service = await build(t, {
    MCP_SERVERS_FILE: await serversFile(t, {
      up: { url: upstream.url }, counting: { command: process.execPath, args: [fixture('counting-server.mjs'), file] }
    }),
    MCP_ELICITATION: 'on',
    MCP_ASYNC_CALLS: 'on',
    MCP_SESSION_MAX_CONCURRENCY: '1'
  })
  const session = await initSession(service)
  const post = (url: string, body: object, headers: Record<string, string> = {}) =>
    service.inject({ method: 'POST', url, headers: { 'x-session-id': session, ...headers }, payload: body })
  const question = async () => {
    const asked = (await post('/call-tool', { tool: 'up__ask', params: { questions: ['Which colour?'] } })).json()
    const answer = { action: 'accept', content: { answer: 'blue' } }
    const responses = Object.fromEntries(asked.requests.map(({ id }: { id: string }) => [id, answer]))
    return { url: `/calls/${asked.call}`, token: asked.continue, responses }
  }
  const { url, token, responses } = await question()
  for (const headers of [{ 'idempotency-key': 'k' }, { 'idempotency-key': 'k', prefer: 'respond-async' }]) {
    for (const refused of [await post(url, { responses }, headers), await post('/call-tool', { continue: token, responses }, headers)]) {
      t.match([refused.statusCode, refused.body], [400, /Idempotency-Key must be absent/])
    }
  }

  const running = post('/call-tool', { tool: 'counting__act', params: { name: 'a' } })
  await until(() => existsSync(file), 'the only slot is taken')
  for (const headers of [{}, { prefer: 'respond-async' }]) {
    const busy = await post('/call-tool', { continue: token, responses }, headers)
    t.match(busy.json(), { code: 'MCPC_ERR_TOO_MANY_CALLS', acted: 'no' }, 'the question stays')
  }
  writeFileSync(`${file}.go`, '')
  await running
  await service.deferredSettled()
  const followed = await post(url, { responses }, { accept: 'text/event-stream', prefer: 'respond-async' })
  t.match([followed.statusCode, followed.body], [200, /event: result\ndata: .*blue/])

  const late = await question()
  // A call that waited when it was read is another request's by the time that it is taken.
  const { begin } = service.calls
  service.calls.begin = async (session, id, from) => {
    service.calls.begin = begin
    await service.calls.cancel(session, id)
    return await begin(session, id, from)
  }
  const second = await post(late.url, { responses })
  t.match([second.statusCode, second.json()], [409, { code: 'MCPC_ERR_CALL_NOT_WAITING', error: /cancelled/ }])

  await service.deferredSettled()
  const third = await question()
  const states: string[] = []
  const note = (message: unknown) => { states.push((message as CallEvent).state) }
  events.call.subscribe(note)
  t.teardown(() => events.call.unsubscribe(note))
  await service.inject({ method: 'DELETE', url: third.url, headers: { 'x-session-id': session } })
  t.strictSame(states, ['cancelled'], 'who counts calls hears of it')
})
