import t from 'tap'
import { call, initSession, postTo } from '../support/requests.ts'
import { serviceOn, workersOn } from '../support/service.ts'
import { type Refusal, startSessionServer } from '../support/session-server.ts'

const rpc = (id: string, code: number, message: string) =>
  `{"jsonrpc":"2.0","id":${id},"error":{"code":${code},"message":"${message}"}}`
const plain = { 'content-type': 'text/plain' }
const events = { 'content-type': 'text/event-stream' }

/** Ways to say that a session is not known: none has the id of the request. */
const unknownSession: Refusal[] = [
  { status: 404, headers: plain, body: 'Not Found' },
  { status: 404, body: '' },
  { status: 404, body: rpc('null', -32_001, 'Session not found') },
  { status: 404, body: rpc('"server-error"', -32_600, 'Session not found') },
  { status: 404, body: rpc('999', -32_001, 'Session not found') },
  { status: 400, body: rpc('null', -32_000, 'Bad Request: No valid session ID provided') },
  { status: 400, body: '{"detail":"Missing session ID"}' },
  { status: 410, headers: { 'content-type': 'text/html' }, body: '<html><h1>Gone</h1></html>' },
  { status: 422, body: '{"error":"unknown session"}' },
  { status: 422, headers: events, body: `data: ${rpc('null', -32_600, 'Invalid session')}\n\n` }
]

t.test('a session that the server does not know is begun anew, once, in whatever words it says so', async t => {
  const upstream = await startSessionServer(t)
  const { sessions, state } = upstream
  const service = await serviceOn(t, { up: { url: upstream.url } })
  const id = await initSession(service)
  t.equal((await call(service, id, 'count')).json().n, 1)
  for (const refusal of unknownSession) {
    const what = `${refusal.status} ${refusal.body}`
    Object.assign(state, { unknownSession: refusal, calls: 0, initialized: 0 })
    sessions.clear()
    t.strictSame((await call(service, id, 'count')).json(), { n: 1 }, what)
    t.strictSame((await call(service, id, 'count')).json(), { n: 2 }, `${what}: the new one is kept`)
    await service.deferredSettled()
    t.match(state, { calls: 3, initialized: 1 }, `${what}: sent again once`)
    t.equal(sessions.size, 1)
  }
})

t.test('a request that is refused in each session is sent twice at most, and leaves no session open', async t => {
  const upstream = await startSessionServer(t)
  const { sessions, state } = upstream
  const service = await serviceOn(t, { up: { url: upstream.url } })
  const id = await initSession(service)
  await call(service, id, 'count')
  for (const [refusal, acted] of [
    [{ status: 404, headers: plain, body: 'No such page' }, 'no'],
    [{ status: 410, body: rpc('null', -32_000, 'No such page') }, 'no'],
    [{ status: 422, body: '{"message":"No such page"}' }, 'unknown']
  ] as const) {
    state.refusal = refusal
    state.calls = 0
    const response = await call(service, id, 'count')
    t.equal(response.statusCode, 502)
    t.strictSame(response.json(), {
      status: 'error',
      error: `MCP server up answered tool count: HTTP ${refusal.status}: No such page`,
      code: 'MCPC_ERR_MCP_CALL',
      retryable: false,
      acted
    })
    await service.deferredSettled()
    t.equal(state.calls, 2)
    t.equal(sessions.size, 1, 'one session is kept')
    state.refusal = null
    t.equal((await call(service, id, 'count')).json().n, 1)
  }
  await postTo(service, '/shutdown', { session_id: id })
  await service.deferredSettled()
  t.equal(sessions.size, 0)
})

t.test('an answer about the request is never asked for again, and keeps the session', async t => {
  const upstream = await startSessionServer(t)
  const { state } = upstream
  const service = await serviceOn(t, { up: { url: upstream.url } })
  const id = await initSession(service)
  let n = (await call(service, id, 'count')).json().n
  for (const refusal of [
    { status: 200, body: rpc('$ID', -32_603, 'Session not found') },
    { status: 200, body: '{"jsonrpc":"2.0","id":$ID,"result":{"isError":true,"content":[{"type":"text","text":"no session"}]}}' },
    { status: 200, headers: events, body: `data: ${rpc('$ID', -32_000, 'no session')}\n\n` },
    { status: 400, body: rpc('$ID', -32_602, 'wrong arguments') },
    { status: 404, body: rpc('"$ID"', -32_602, 'no such tool') },
    { status: 400, body: rpc('$ID', -32_602, 'session_id is missing, an unknown argument') },
    { status: 410, body: rpc('$ID', -32_000, 'gone') },
    { status: 422, headers: events, body: `data: ${rpc('$ID', -32_000, 'cannot be processed')}\n\n` },
    { status: 429, headers: plain, body: 'slow down' },
    { status: 503, headers: plain, body: 'busy' }
  ] satisfies Refusal[]) {
    const what = `${refusal.status} ${refusal.body}`
    Object.assign(state, { refusal, calls: 0, initialized: 0 })
    t.equal((await call(service, id, 'count')).json().status, 'error', what)
    state.refusal = null
    t.equal((await call(service, id, 'count')).json().n, ++n, `${what}: the session goes on`)
    t.match(state, { calls: 2, initialized: 0 }, what)
  }
})

t.test('an answer that may be about the session fails its call as it is, and the next call begins a new one', async t => {
  const upstream = await startSessionServer(t)
  const { sessions, state } = upstream
  const [one, other] = await workersOn(t, 2, { up: { url: upstream.url } })
  const id = await initSession(one)
  await call(one, id, 'count')
  for (const refusal of [
    { status: 200, body: rpc('$ID', -32_001, 'Session not found') },
    { status: 200, headers: events, body: `data: ${rpc('$ID', -32_002, 'Server not initialized')}\n\n` },
    { status: 404, body: rpc('$ID', -32_005, 'Session expired') },
    { status: 400, body: rpc('"$ID"', -32_001, 'Session terminated') },
    { status: 404, body: rpc('$ID', -32_600, 'Session not found') },
    { status: 400, body: rpc('$ID', -32_000, 'Bad Request: No valid session ID provided') },
    { status: 410, headers: events, body: `data: ${rpc('$ID', -32_600, 'Your session has expired')}\n\n` },
    { status: 500, headers: plain, body: 'Internal Server Error' },
    { status: 500, body: rpc('$ID', -32_603, 'KeyError: session') },
    { status: 500, body: rpc('null', -32_603, 'KeyError: session') }
  ] satisfies Refusal[]) {
    const what = `${refusal.status} ${refusal.body}`
    Object.assign(state, { refusal, calls: 0, initialized: 0 })
    const failed = await call(one, id, 'count')
    const acted = refusal.body.includes('-32600') ? 'no' : 'unknown'
    t.match(failed.json(), { status: 'error', acted }, what)
    await one.deferredSettled()
    t.match(state, { calls: 1, initialized: 0 }, `${what}: asked once`)
    t.equal(sessions.size, 0, `${what}: the session is ended`)
    state.refusal = null
    t.equal((await call(other as typeof one, id, 'count')).json().n, 1, what)
    t.equal(state.initialized, 1)
  }
})

t.test('a resource that does not exist is no reason to end a session', async t => {
  const upstream = await startSessionServer(t)
  const { state } = upstream
  const service = await serviceOn(t, { up: { url: upstream.url } })
  const id = await initSession(service)
  t.equal((await call(service, id, 'count')).json().n, 1)
  state.refusal = { status: 200, body: rpc('$ID', -32_002, 'Resource not found') }
  const response = await postTo(service, '/read-resource', { session_id: id, uri: 'a://b' })
  t.match([response.statusCode, response.json()], [404, { code: 'MCPC_ERR_UNKNOWN_RESOURCE' }])
  state.refusal = null
  t.equal((await call(service, id, 'count')).json().n, 2)
})
