import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type IncomingHttpHeaders, request as httpRequest } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { startAnsweringServer } from '../support/answering-server.ts'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { initSession } from '../support/requests.ts'
import { type Environment, serviceOn } from '../support/service.ts'
import { until } from '../support/wait.ts'

const words = 'lists the orders of a customer, newest first, with a cursor for the next page. '
/** Names that nothing makes shorter, beside texts that repeat themselves. */
const many = (key: string) => Array.from({ length: 700 }, (_, index) => ({
  name: `${key}_${index}`,
  uri: `file:///${index}`,
  title: randomBytes(60).toString('hex'),
  description: words.repeat(4),
  inputSchema: { type: 'object' }
}))
const lists = {
  'tools/list': { tools: many('tool') },
  'resources/list': { resources: many('resource') },
  'prompts/list': { prompts: many('prompt') }
}

/** A service on a socket with a server whose lists, results, resources and prompts are all long. */
async function start (t: Test, env: Environment = {}) {
  const upstream = await startAnsweringServer(t, {
    answers: {
      'tools/list': () => lists['tools/list'],
      'resources/list': () => lists['resources/list'],
      'prompts/list': () => lists['prompts/list'],
      'resources/templates/list': () => ({ resourceTemplates: [] }),
      'tools/call': () => ({ content: [{ type: 'text', text: words.repeat(100) }] }),
      'resources/read': () => ({ contents: [{ uri: 'file:///1', text: words.repeat(100) }] }),
      'prompts/get': () => ({ messages: [{ role: 'user', content: { type: 'text', text: words.repeat(100) } }] }),
      'completion/complete': () => ({ completion: { values: Array(99).fill(words) } })
    }
  })
  const app = await serviceOn(t, { up: { url: upstream.url } }, env)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const session = await initSession(app)
  const ask = async (method: string, path: string, headers: Record<string, string> = {}, body?: object) => {
    const request = httpRequest({ method, host: '127.0.0.1', port, path, headers, agent: false })
    request.end(body && JSON.stringify(body))
    const [response] = await once(request, 'response')
    const bytes = await buffer(response)
    return { status: response.statusCode as number, headers: response.headers as IncomingHttpHeaders, bytes }
  }
  return { app, port, session, ask }
}

const plain = (bytes: Buffer) => bytes
const decoders = { br: brotliDecompressSync, gzip: gunzipSync, deflate: inflateSync, identity: plain }
type Encoding = keyof typeof decoders

t.test('a long list is sent as its caller likes it best, and is the same list', async t => {
  const { session, ask } = await start(t)
  const id = { 'x-session-id': session }
  const whole = await ask('GET', '/tools', id)
  t.ok(whole.bytes.length > 200_000)
  t.equal(whole.headers['content-encoding'], undefined)
  t.match(whole.headers.vary, /\baccept-encoding\b/, 'a cache must not give a plain answer for a packed one either')

  for (const [accepted, encoding] of [
    ['br', 'br'], ['gzip', 'gzip'], ['deflate', 'deflate'], ['identity', 'identity'], ['gzip, deflate, br', 'br'],
    ['BR', 'br'], ['x-gzip', 'gzip'], ['*', 'gzip'], ['br;q=0, gzip', 'gzip'], ['gzip;q=1.0, br;q=0.5', 'gzip'],
    ['gzip;q=0', 'identity'], ['br;q=0, gzip;q=0, deflate;q=0', 'identity'], ['zstd', 'identity'],
    ['compress, sdch', 'identity'], ['', 'identity'], [';q=1,,', 'identity'], ['gzip;q=x', null]
  ] as Array<[string, Encoding | null]>) {
    const got = await ask('GET', '/tools', { ...id, 'accept-encoding': accepted })
    const actual = got.headers['content-encoding'] ?? 'identity'
    if (encoding !== null) t.equal(actual, encoding, accepted)
    t.ok(decoders[actual as Encoding](got.bytes).equals(whole.bytes), accepted)
    t.equal(got.headers.etag, whole.headers.etag)
    t.equal(got.headers['cache-control'], 'private, no-cache')
    t.equal(String(got.headers.vary).match(/accept-encoding/g)?.length, 1)
    if (actual !== 'identity') t.ok(got.bytes.length < whole.bytes.length / 2, `${got.bytes.length} bytes`)
  }
  const known = await ask('GET', '/tools', {
    ...id, 'accept-encoding': 'br', 'if-none-match': String(whole.headers.etag)
  })
  t.match(known, { status: 304, headers: { 'content-encoding': undefined, vary: /accept-encoding/ } })
  t.equal(known.bytes.length, 0)
  const head = await ask('HEAD', '/tools', { ...id, 'accept-encoding': 'br' })
  t.strictSame([head.status, head.headers.etag, head.bytes.length], [200, whole.headers.etag, 0])
})

t.test('only lists of tools and the description are compressed, and nothing that holds a token, a value or a result', async t => {
  const { app, session, ask } = await start(t, { MCP_SESSION_TOKENS: 'off' })
  const accept = { 'accept-encoding': 'br, gzip, deflate' }
  const inHeader = { 'x-session-id': session, ...accept }
  const inBody = (fields: object = {}) => ({ session_id: session, ...fields })
  for (const [method, path, body] of [
    ['GET', '/tools'], ['POST', '/tools', inBody()], ['GET', '/tools?server=up'], ['GET', '/tools-schema'],
    ['GET', '/openapi.json'], ['GET', '/docs/json'], ['GET', '/docs/static/swagger-ui.css']
  ] as Array<[string, string, object?]>) {
    const answer = await ask(method, path, inHeader, body)
    t.equal(answer.status, 200, path)
    t.match(answer.headers['content-encoding'], /^(br|gzip)$/, `${method} ${path}`)
  }

  await app.inject({ method: 'PUT', url: '/session/values', headers: inHeader, payload: { value: words.repeat(99) } })
  const others: Array<[method: string, path: string, body?: object | undefined, status?: number]> = [
    ['POST', '/init', { session_id: 'other', apiUrl, jwtToken, extra: words.repeat(99) }],
    ['POST', '/sessions', { apiUrl, jwtToken }, 201],
    ['POST', '/call-tool', inBody({ tool: 'tool_1', params: {} })],
    ['POST', '/read-resource', inBody({ uri: 'file:///1' })],
    ['POST', '/get-prompt', inBody({ name: 'prompt_1' })],
    ['POST', '/complete', inBody({ ref: { type: 'ref/prompt', name: 'a' }, argument: { name: 'a', value: '' } })],
    ['POST', '/resources', inBody()], ['GET', '/resources'], ['POST', '/prompts', inBody()], ['GET', '/prompts'],
    ['POST', '/resource-templates', inBody()], ['GET', '/resource-templates'],
    ['GET', '/session'], ['PUT', '/session/values', { more: words.repeat(99) }], ['DELETE', '/session/values/more'],
    ['GET', '/health'], ['GET', '/livez'], ['GET', '/readyz'], ['GET', `/nowhere/${'a'.repeat(2_000)}`, undefined, 404],
    ['POST', '/tools/tool_1', {}], ['GET', '/calls'], ['GET', '/calls/c_1', undefined, 404], ['GET', '/calls/c_1/events', undefined, 404], ['GET', '/results/r_1', undefined, 404], ['GET', '/tools/x', undefined, 405], ['DELETE', '/tools', undefined, 405]
  ]
  for (const [method, path, body, status = 200] of others) {
    const headers = body !== undefined && 'session_id' in body ? accept : inHeader
    const answer = await ask(method, path, path === '/sessions' ? accept : headers, body)
    t.equal(answer.status, status, `${method} ${path.slice(0, 30)}: ${answer.bytes.toString().slice(0, 100)}`)
    t.equal(answer.headers['content-encoding'], undefined, `${method} ${path.slice(0, 30)}`)
    t.doesNotThrow(() => { JSON.parse(answer.bytes.toString()) })
  }
  const events = await ask('POST', '/call-tool', { ...accept, accept: 'text/event-stream' }, inBody({ tool: 'tool_1' }))
  t.match(events.headers, { 'content-type': /event-stream/, 'content-encoding': undefined })
  t.match(events.bytes.toString(), /event: result/)

  const { paths = {} } = app.swagger()
  const tried = new Set([...others.map(([, path]) => path.replace(/more$/, '{name}').replace('tool_1', '{tool}').replace('c_1', '{id}').replace('r_1', '{ref}')), '/tools', '/tools-schema'])
  const untried = Object.keys(paths).filter(path => !tried.has(path))
  t.strictSame(untried, ['/shutdown'], 'every endpoint was tried, but the end of the session')
  const end = await ask('POST', '/shutdown', accept, inBody())
  t.strictSame([end.status, end.headers['content-encoding']], [200, undefined])
})

t.test('a short list and a failure are not compressed', async t => {
  const { session, ask } = await start(t)
  const accept = { 'accept-encoding': 'br' }
  const refused = [
    await ask('POST', '/tools', accept, { session_id: 'x'.repeat(200), [words]: words.repeat(99) }),
    await ask('POST', '/tools', accept, { session_id: session, servers: [words.repeat(12)] }),
    await ask('GET', `/tools?server=${'b'.repeat(1_000)}`, { ...accept, 'x-session-id': session })
  ]
  for (const { status, headers } of refused) {
    t.ok(status >= 400)
    t.strictSame([headers['content-encoding'], headers['cache-control']], [undefined, 'no-store'])
  }
  const long = `process.stderr.write("${words.repeat(99)}"); process.exitCode = 3`
  const broken = await serviceOn(t, { up: { command: process.execPath, args: ['-e', long] } })
  const failed = await broken.inject({ url: '/tools-schema', headers: accept })
  t.strictSame([failed.statusCode, failed.headers['content-encoding']], [502, undefined])
  t.ok(failed.body.length > 1_024, `${failed.body.length} characters`)
  const tools = [{ name: 'only', inputSchema: { type: 'object' } }]
  const { url } = await startAnsweringServer(t, { answers: { 'tools/list': () => ({ tools }) } })
  const tiny = await serviceOn(t, { up: { url } })
  const few = await tiny.inject({ url: '/tools', headers: { ...accept, 'x-session-id': await initSession(tiny) } })
  t.strictSame([few.statusCode, few.headers['content-encoding']], [200, undefined])
})

t.test('a caller who leaves in the middle of a packed list, or never reads it, costs nothing but its connection', async t => {
  const { app, port, session, ask } = await start(t, { MCP_WRITE_TIMEOUT: '1' })
  const head = `GET /tools HTTP/1.1\r\nhost: 127.0.0.1\r\nx-session-id: ${session}\r\naccept-encoding: gzip\r\n\r\n`
  const leaver = connect(port, '127.0.0.1')
  leaver.write(head)
  await once(leaver, 'data')
  leaver.destroy()

  const silent = connect(port, '127.0.0.1')
  silent.pause()
  silent.on('error', () => {})
  silent.write(head.repeat(300))
  const closed = new Promise(resolve => silent.once('close', resolve))
  const count = () => new Promise<number>((resolve, reject) =>
    app.server.getConnections((error, connections) => error === null ? resolve(connections) : reject(error)))
  await until(async () => await count() === 0, 'the service has ended both connections')
  silent.destroy()
  await closed
  t.equal((await ask('GET', '/tools', { 'x-session-id': session, 'accept-encoding': 'gzip' })).status, 200)
  t.equal(app.upstreamCounts().running, 0)
})
