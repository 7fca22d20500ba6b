import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { textOf } from '../../../../lib/json-text.ts'
import { createProtocolClient, type Members } from '../../../../lib/mcp/client/protocol-client.ts'
import { createUpstreamAgent } from '../../../../lib/mcp/transports/http-agent.ts'
import type { ResumableSession } from '../../../../lib/mcp/transports/http-transport.ts'
import { createStreamableHttpTransport } from '../../../../lib/mcp/transports/streamable-http.ts'
import { version } from '../../../../lib/version.ts'
import { serverBounds } from '../../../support/bounds.ts'
import { type HttpHandler, serve } from '../../../support/http-server.ts'
import { freePort } from '../../../support/ports.ts'

const answer = { jsonrpc: '2.0', id: 7, result: {} }
const text = JSON.stringify(answer)
const json = { 'content-type': 'application/json' }
const events = { 'content-type': 'text/event-stream' }

/** A client of a server of the test's own. Its first request has the id 7. */
async function connect (t: Test, handle: HttpHandler, resume?: ResumableSession) {
  const server = await serve(t, handle)
  return { ...open(t, server.url, {}, resume), server }
}

function open (t: Test, url: string, headers: Record<string, string> = {}, resume?: ResumableSession) {
  const dispatcher = createUpstreamAgent()
  t.teardown(() => dispatcher.destroy())
  const endpoint = { name: 'up', url, headers, secrets: [] }
  const transport = createStreamableHttpTransport(endpoint, {
    dispatcher, maxMessageBytes: 10_000, keepsCookies: true, ...(resume && { resume })
  })
  t.teardown(() => transport.close())
  const client = createProtocolClient({
    transport, declaresElicitation: false, isExclusive: false, firstId: 7, isProcess: false, bounds: serverBounds
  })
  /** The result, JSON text. */
  async function ask (
    headers: Record<string, string> = {}, members: Members = [], timeoutMs = 5_000
  ): Promise<string> {
    await client.connect({
      era: null,
      timeoutMs: 5_000,
      probeTimeoutMs: 5_000,
      signal: new AbortController().signal,
      resumed: {}
    })
    const { document, node } = await client.request('tools/list', members, { timeoutMs, headers: new Map(Object.entries(headers)) })
    return textOf(document, node)
  }
  return { transport, ask }
}

function reply (status: number, headers: Record<string, string>, body: string | Buffer) {
  return (_: unknown, response: ServerResponse) => response.writeHead(status, headers).end(body)
}

t.test('a body is taken for what it is, whatever its type says', async t => {
  const bodies = [
    text, ` \r\n${text}\n`, `\ufeff${text}`, `[${text}]`,
    `data: ${text}\n\n`, `: hello\n\nevent: message\r\ndata: ${text}\r\n\r\n`, `\ufeffid: 1\rdata: ${text}\r\r`,
    `data: ping\n\ndata:${text}`
  ]
  for (const headers of [json, events, { 'content-type': 'text/plain' }, { 'content-type': 'JSON' }, {}]) {
    for (const body of bodies) {
      const { ask } = await connect(t, reply(200, headers, body))
      t.equal(await ask(), '{}', JSON.stringify([headers, body]))
    }
  }
})

t.test('a body that has no answer ends the request at once, quoted', async t => {
  for (const [headers, body, message] of [
    [json, '', 'it answered HTTP 200 with an empty body'],
    [json, '{"jsonrpc":"2.0",', 'what came is no answer to it: {"jsonrpc":"2.0",'],
    [json, '{"hello":"world"}', 'what came is no answer to it: {"hello":"world"}'],
    [{}, 'Not\u0007 \n here', 'it answered with a body of no type: Not here'],
    [
      { 'content-type': 'text/html' },
      '<!DOCTYPE html><head><title>Sign in</title><style>b{}</style></head><script>x<y</script><b>R&amp;D</b>',
      'it answered with text/html: Sign in R&D'
    ],
    [events, '', 'its answer broke off'],
    [events, 'data: we are closed\n\n', 'its answer broke off; it said: we are closed']
  ] as const) {
    const { ask } = await connect(t, reply(200, headers, body))
    await t.rejects(ask(), { name: 'StreamEndedError', message }, body)
  }
  const { ask } = await connect(t, reply(202, {}, ''))
  await t.rejects(ask(), { message: 'it answered HTTP 202 with an empty body' })
})

t.test('a refusal is an answer when it has the id of its request, and an error with its text otherwise', async t => {
  const error = { code: -32_001, message: 'no such thing' }
  for (const id of [7, '7', ' 7']) {
    for (const status of [400, 404, 422, 500]) {
      const body = JSON.stringify({ jsonrpc: '2.0', id, error })
      for (const [type, text] of [[json, body], [json, `[${body}]`], [events, `data: ${body}\n\n`]] as const) {
        const { ask, transport } = await connect(t, reply(status, type, text))
        await t.rejects(ask(), { name: 'RpcError', ...error }, `${status} ${text}`)
        t.equal(transport.isSessionInDoubt, status === 500)
      }
    }
  }
  const withoutId = [null, 8, 'server-error'].map(id => JSON.stringify({ jsonrpc: '2.0', id, error }))
  for (const body of ['', 'No', 'null', '[]', ...withoutId]) {
    const { ask } = await connect(t, reply(404, json, body), { sessionId: 's', protocolVersion: '2025-11-25' })
    await t.rejects(ask(), { name: 'HttpError', status: 404, text: body }, `${body} may be about the session`)
  }
  for (const body of withoutId) {
    const legacy = await connect(t, reply(404, json, body))
    await t.rejects(legacy.ask(), { name: 'RpcError', ...error }, `${body} is about the request, without a session`)
    const modern = await connect(t, reply(404, json, body))
    await t.rejects(modern.ask({ 'mcp-method': 'tools/list' }), { name: 'HttpError' }, `${body} may be about the era`)
  }
  for (const [status, headers] of [[401, {}], [403, { 'www-authenticate': 'Bearer' }], [429, {}], [503, {}]] as const) {
    const { ask } = await connect(t, reply(status, { ...json, ...headers }, text))
    await t.rejects(ask(), { name: 'HttpError', status, text })
  }
})

t.test('a request that no byte was sent of is told from one that broke off', async t => {
  const refused = open(t, `http://127.0.0.1:${await freePort()}/mcp`)
  await t.rejects(refused.ask(), { name: 'NotSentError', cause: { code: 'ECONNREFUSED' } })
  const unknown = open(t, 'http://no-such-host.invalid/mcp')
  await t.rejects(unknown.ask(), { name: 'NotSentError', cause: { syscall: 'getaddrinfo' } })
  const badHeader = open(t, 'http://127.0.0.1:1/mcp', { 'x-key': 'two\nlines' })
  await t.rejects(badHeader.ask(), { name: 'NotSentError' })
  const { ask } = await connect(t, (_, response) => response.destroy())
  await t.rejects(ask(), { name: 'SocketError' })
})

t.test('an answer that is whole is one, wherever its body breaks off behind it', async t => {
  const cutAfter = (headers: Record<string, string>, body: string): HttpHandler => (_, response) => {
    response.writeHead(200, headers)
    response.write(body, () => response.destroy())
  }
  for (const [headers, body] of [
    [json, text], [{ ...json, 'content-length': '1000' }, text], [json, `${text}\r\n`],
    [events, `data: ${text}\n`], [events, `data: ping\n\ndata: ${text}`], [{}, `id: 1\ndata: ${text}\r`]
  ] as const) {
    const { ask, server } = await connect(t, cutAfter(headers, body))
    t.equal(await ask(), '{}', body)
    t.equal(server.requests.length, 1)
  }
  for (const [headers, body] of [[json, text.slice(0, -1)], [events, `data: ${text.slice(0, -1)}\n`]] as const) {
    const { ask } = await connect(t, cutAfter(headers, body))
    await t.rejects(ask(), { name: 'StreamEndedError', message: /^its answer broke off$/ }, body)
  }
})

t.test('a request that was not written to its end was not sent, and a long one arrives whole', async t => {
  const value = JSON.stringify('é'.repeat(5_000_000))
  const long: Members = [['text', value]]
  const unread = createServer(socket => {
    socket.once('data', () => socket.destroy()) // the rest is never read
  }).listen(0, '127.0.0.1')
  await once(unread, 'listening')
  t.teardown(() => unread.close())
  const { port } = unread.address() as AddressInfo
  const broken = open(t, `http://127.0.0.1:${port}/mcp`)
  await t.rejects(broken.ask({}, long), { name: 'NotSentError' })
  const short = await broken.ask({}).catch((error: Error) => error.name)
  t.not(short, 'NotSentError', 'a short one may have been read')

  const { ask, server } = await connect(t, reply(200, json, text))
  await ask({}, long)
  t.equal(server.requests[0]?.text, `{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"text":${value}}}`)
  t.notOk('transfer-encoding' in (server.requests[0]?.headers ?? {}))
  const readWhole = await connect(t, (_, response) => response.destroy())
  t.not(await readWhole.ask({}, long).catch((error: Error) => error.name), 'NotSentError')
})

t.test('a request says who asks and what it can decode, in the words of the entry where it has some', async t => {
  const { ask, server } = await connect(t, reply(200, json, text))
  await ask({ traceparent: '00-1-2-00' })
  t.match(server.requests[0], {
    headers: {
      'user-agent': `mcp-client-service/${version}`,
      'accept-encoding': /^gzip, deflate, br/,
      traceparent: '00-1-2-00'
    },
    text: '{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{}}'
  })

  const own = { 'User-Agent': 'ours', 'Accept-Encoding': 'identity' }
  await open(t, server.url, own).ask()
  t.match(server.requests[1]?.headers, { 'user-agent': 'ours', 'accept-encoding': 'identity' })
})

t.test('answers and refusals are decoded, and are no longer than messages may be', async t => {
  for (const [name, encode] of [['gzip', gzipSync], ['br', brotliCompressSync], ['deflate', deflateSync]] as const) {
    const encoding = { 'content-encoding': name }
    for (const [type, body] of [[json, text], [events, `: hello\n\ndata: ${text}\n\n`], [{}, text]] as const) {
      const { ask } = await connect(t, reply(200, { ...type, ...encoding }, encode(body)))
      t.equal(await ask(), '{}', `${name} ${body}`)
    }
    const refused = await connect(t, reply(404, encoding, encode('No such session')))
    await t.rejects(refused.ask(), { name: 'HttpError', text: 'No such session' })
    for (const type of [json, events]) {
      const start = type === json ? '{"x":"' : 'data: '
      const bomb = await connect(t, reply(200, { ...type, ...encoding }, encode(start + 'x'.repeat(5_000_000))))
      await t.rejects(bomb.ask(), { name: 'BoundError', message: 'a message is longer than 10000 bytes (MCP_MAX_RESULT_BYTES)' })
    }
  }
})

t.test('a reply that breaks off in its first packet fails its request, and nothing else', async t => {
  const starts = [
    'HTTP/1.1 200 OK\r\ncontent-type: application/json', 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream',
    'HTTP/1.1 200 OK\r\ncontent-encoding: gzip', 'HTTP/1.1 200 OK\r\ncontent-encoding: deflate',
    'HTTP/1.1 404 Not Found', 'HTTP/1.1 404 Not Found\r\ncontent-encoding: deflate', 'HTTP/1.1 307 There\r\nlocation: /x'
  ]
  for (const start of starts) {
    for (const rest of ['', 'not a chunk\r\n', '5\r\n{"a":\r\nZZ\r\n']) {
      const server = createServer(socket => {
        socket.on('error', () => {})
        socket.once('data', () => socket.end(`${start}\r\ntransfer-encoding: chunked\r\n\r\n${rest}`))
      }).listen(0, '127.0.0.1')
      await once(server, 'listening')
      t.teardown(() => server.close())
      const { ask } = open(t, `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`)
      await t.rejects(ask(), /broke off|HTTP 404|redirects|other side closed/, `${start} ${rest}`)
    }
  }
})

t.test('a stream that goes on after its answer is given up', async t => {
  let markEnded = () => {}
  const ended = new Promise<void>(resolve => { markEnded = resolve })
  const { ask } = await connect(t, (_, response) => {
    response.once('close', markEnded)
    response.writeHead(200, events).write(`data: ${text}\n\n`)
  })
  t.equal(await ask(), '{}')
  await ended
  t.pass('its connection was closed')
})

t.test('a stream that broke off is resumed from its last event, after the pause that the server asked for', async t => {
  const times: number[] = []
  const { ask, server } = await connect(t, ({ http }, response) => {
    times.push(performance.now())
    if (http === 'POST') response.writeHead(200, events).end('id: a/7\nretry: 150\ndata:\n\n')
    else if (times.length === 2) response.writeHead(200, events).end('id: b/8\ndata: {"jsonrpc":"2.0","method":"x"}\n\n')
    else response.writeHead(200, events).end(`data: ${text}\n\n`)
  }, { sessionId: 'session-1', protocolVersion: '2025-11-25' })
  t.equal(await ask(), '{}')
  t.strictSame(server.requests.map(({ http }) => http), ['POST', 'GET', 'GET'])
  for (const [index, lastEventId] of [[1, 'a/7'], [2, 'b/8']] as const) {
    t.match(server.requests[index]?.headers, {
      accept: 'text/event-stream',
      'last-event-id': lastEventId,
      'mcp-session-id': 'session-1',
      'mcp-protocol-version': '2025-11-25'
    })
    const pause = (times[index] ?? 0) - (times[index - 1] ?? 0)
    t.ok(pause > 140, `it came after ${Math.round(pause)} ms`)
  }
})

for (const retry of ['0', '00', '1', '99']) {
  t.test(`a server that wants to be asked again after ${retry} ms is asked a few times, with pauses`, async t => {
    const times: number[] = []
    const { ask } = await connect(t, (_, response) => {
      times.push(performance.now())
      response.writeHead(200, events).end(`id: a\nretry: ${retry}\ndata:\n\n`)
    })
    await t.rejects(ask(), { message: /broke off/ })
    t.equal(times.length, 6)
    for (const [index, time] of times.entries()) {
      if (index > 0) t.ok(time - (times[index - 1] ?? 0) > 90, 'a pause')
    }
  })
}

for (const retry of ['30001', '86400000', '2147483648', '4294967296', '999999999999', '9'.repeat(40), '9'.repeat(400)]) {
  t.test(`a server that wants to be asked again after ${retry.slice(0, 50)} ms is not, before its deadline`, async t => {
    const { ask, server } = await connect(t, (_, response) => {
      response.writeHead(200, events).end(`id: a\nretry: ${retry}\ndata:\n\n`)
    })
    await t.rejects(ask({}, [], 500), { name: 'TimeoutError' })
    t.equal(server.requests.filter(({ http }) => http === 'GET').length, 0)
    t.equal(server.requests.filter(({ message }) => message.method === 'tools/list').length, 1)
  })
}
