import type { ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { cases } from '../support/cases.ts'
import { type HttpRequest, serve } from '../support/http-server.ts'
import { startUpstream } from '../support/mcp-servers.ts'
import { call, initSession, postTo } from '../support/requests.ts'
import { credential } from '../support/servers-file.ts'
import { serviceOn, workersOn } from '../support/service.ts'
import { answerWith, type Refusal } from '../support/session-server.ts'

/*
 * A server of the transport before streamable HTTP whose entry says nothing of it. It is found by how it refuses the
 * first message, and remembered.
 */

const methodNotAllowed: Refusal = { status: 405, headers: { 'content-type': 'text/plain' }, body: 'Method Not Allowed' }
const notFound: Refusal = { status: 404, headers: { 'content-type': 'text/html' }, body: '<html><h1>Not Found</h1></html>' }
const rpc = (message: string) => `{"jsonrpc":"2.0","error":{"code":-32000,"message":"${message}"},"id":null}`

type Stream = 'older' | 'none' | 'another' | 'other origin'

/** A server of either transport, or of none. */
async function startEither (t: Test, start: { refusal: Refusal | 'stream' | null, stream: Stream }) {
  const state = { ...start, calls: 0, posts: 0, streams: 0, cookies: [] as unknown[], tokens: new Set<unknown>() }
  let stream: ServerResponse | null = null
  const results: Record<string, (params: Record<string, unknown>) => unknown> = {
    initialize: ({ protocolVersion }) => ({ protocolVersion, capabilities: { tools: {} } }),
    'tools/list': () => ({ tools: [{ name: 'count' }] }),
    'tools/call': () => ({ content: [{ type: 'text', text: String(++state.calls) }] })
  }
  const answerTo = ({ message: { id, method = '', params = {} } }: HttpRequest) => {
    const give = results[method]
    return { jsonrpc: '2.0', id, ...(give ? { result: give(params) } : { error: { code: -32_601, message: 'unknown' } }) }
  }

  function openStream (response: ServerResponse): void {
    state.streams++
    stream = response.writeHead(200, { 'content-type': 'text/event-stream', 'set-cookie': 'place=7' })
    const origin = state.stream === 'other origin' ? 'http://127.0.0.2:1' : ''
    stream.write(`event: endpoint\ndata: ${origin}/messages?id=1\n\n`)
  }

  const server = await serve(t, (request, response) => {
    const isMessages = request.path.startsWith('/messages')
    state.tokens.add(request.headers.authorization)
    if (request.http === 'GET') {
      if (state.stream === 'none') return answerWith(request, response, notFound)
      if (state.stream !== 'another') return openStream(response)
      return response.writeHead(200, { 'content-type': 'text/event-stream' }).end(': nothing\n\n')
    }
    if (request.http !== 'POST') return response.writeHead(405).end()
    if (isMessages) {
      state.cookies.push(request.headers.cookie)
      response.writeHead(202).end()
      if (request.message.id === undefined) return
      stream?.write(`event: message\ndata: ${JSON.stringify(answerTo(request))}\n\n`)
      return
    }
    state.posts++
    if (state.refusal === 'stream') return openStream(response)
    if (state.refusal !== null) return answerWith(request, response, state.refusal)
    if (request.message.id === undefined) return response.writeHead(202).end()
    answerWith(request, response, { status: 200, body: JSON.stringify(answerTo(request)) })
  })
  return { ...server, state, sse: `${server.origin}/sse` }
}

t.test('a server that speaks only the transport before is reached by it, and by it at once from then on', async t => {
  const upstream = await startUpstream(t, 'sse')
  const [one, two] = await workersOn(t, 2, { up: { url: upstream.url } })
  const id = await initSession(one)
  t.equal((await call(one, id, 'echo', { text: 'a' })).statusCode, 200)
  const posts = async () => (await upstream.requests()).filter(({ http, url }) => http === 'POST' && url === '/sse').length
  const first = await posts()
  t.ok(first > 0, 'streamable HTTP was tried first')
  for (const worker of [one, two ?? one]) t.equal((await call(worker, id, 'echo', { text: 'a' })).statusCode, 200)
  const { tools } = (await postTo(one, '/tools', { session_id: id })).json<{ tools: unknown[] }>()
  t.ok(tools.length > 3)
  t.equal(await posts(), first, 'all workers remember it')
  const followed = await one.inject({
    method: 'POST',
    url: '/call-tool',
    headers: { accept: 'text/event-stream' },
    payload: { session_id: id, tool: 'progress', params: { steps: 3, delay: 5 } }
  })
  t.equal(followed.body.match(/event: progress/g)?.length, 3)
  await Promise.all([one.deferredSettled(), two?.deferredSettled()])
  t.match(one.upstreamCounts(), { running: 0, waiting: 0 })
})

t.test('it is tried where the first message is refused as such servers refuse it', async t => {
  for (const [path, refusal] of cases<[path: 'url' | 'sse', refusal: Refusal | 'stream']>([
    ['url', methodNotAllowed], ['sse', 'stream'], ['url', { status: 405, body: rpc('Method not allowed.') }], ['url', notFound],
    ['url', { status: 404, body: rpc('Not found') }], ['url', { status: 400, headers: { 'content-type': 'text/plain' }, body: 'no' }],
    ['url', { status: 501, body: '' }], ['sse', methodNotAllowed], ['sse', { status: 403, body: 'CSRF' }],
    ['sse', { status: 500, body: '' }], ['url', 'stream']
  ], 2)) {
    const server = await startEither(t, { refusal, stream: 'older' })
    const headers = { authorization: `Bearer ${credential('jwtToken')}` }
    const service = await serviceOn(t, { up: { url: server[path], headers } }, { MCP_MAX_UPSTREAM_REQUESTS: '1' })
    const id = await initSession(service, { jwtToken: 'a.token.b' })
    const what = `${path} ${JSON.stringify(refusal)}`
    t.equal((await call(service, id, 'count')).json(), 1, what)
    t.equal((await call(service, id, 'count')).json(), 2, what)
    await service.deferredSettled()
    t.match(service.upstreamCounts(), { running: 0, waiting: 0 }, `${what}: its turns are given back`)
    t.strictSame([...server.state.tokens], ['Bearer a.token.b'], `${what}: each request has the credentials`)
    t.ok(server.state.cookies.length > 0 && server.state.cookies.every(cookie => cookie === 'place=7'), what)
  }
})

t.test('a server that is of neither transport is told by what it answered the first message', async t => {
  for (const [stream, refusal, sentence] of [
    ['none', notFound, 'cannot be reached: HTTP 404: Not Found'],
    ['none', methodNotAllowed, 'cannot be reached: HTTP 405: Method Not Allowed'],
    ['another', methodNotAllowed, 'cannot be reached: HTTP 405: Method Not Allowed'],
    ['other origin', methodNotAllowed, 'cannot be reached: HTTP 405: Method Not Allowed'],
    ['none', { status: 405, body: rpc('Method not allowed.') }, 'refused the handshake: Method not allowed.']
  ] as const) {
    const server = await startEither(t, { refusal, stream })
    const service = await serviceOn(t, { up: { url: server.url } })
    const response = await call(service, await initSession(service), 'count')
    t.match([response.statusCode, response.json()], [
      502, { code: 'MCPC_ERR_MCP_START', error: `MCP server up ${sentence}`, acted: 'no', retryable: false }
    ])
  }
})

t.test('what says nothing of the transport does not have the older one tried', async t => {
  for (const refusal of [
    { status: 401, body: '' }, { status: 403, body: 'no' }, { status: 429, body: '' }, { status: 500, body: '' },
    { status: 503, body: '' }, { status: 400, body: rpc('Bad Request: unsupported') }
  ]) {
    const server = await startEither(t, { refusal, stream: 'older' })
    const service = await serviceOn(t, { up: { url: server.url } })
    t.equal((await call(service, await initSession(service), 'count')).statusCode, 502, String(refusal.status))
    t.equal(server.state.streams, 0, String(refusal.status))
  }
})

t.test('a server that changes its transport is found again, and no call is made twice', async t => {
  const server = await startEither(t, { refusal: methodNotAllowed, stream: 'older' })
  const service = await serviceOn(t, { up: { url: server.url } })
  const id = await initSession(service)
  const { state } = server
  for (let n = 1; n < 12;) {
    t.equal((await call(service, id, 'count')).json(), n++)
    Object.assign(state, { refusal: null, stream: n < 4 ? 'none' : 'another' })
    t.equal((await call(service, id, 'count')).json(), n++, 'it is upgraded')
    t.equal((await call(service, id, 'count')).json(), n++)
    Object.assign(state, { refusal: n < 5 ? methodNotAllowed : notFound, stream: 'older' })
    t.equal((await call(service, id, 'count')).json(), n++, 'it is back')
  }
})
