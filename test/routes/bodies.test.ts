import { once } from 'node:events'
import { request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import t, { type Test } from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { failure, failureAt } from '../support/requests.ts'
import { build, type Environment } from '../support/service.ts'

async function listen (t: Test, env: Environment = {}): Promise<number> {
  const app = await build(t, env)
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as AddressInfo).port
}

type Bytes = string | Buffer | Buffer[]

/**
 * POSTs bytes as they are, over a socket; `headers` are all that is sent. An array is sent in chunks, without a
 * length.
 */
async function send (
  port: number,
  path: string,
  bytes: Bytes,
  headers: Record<string, string> = {}
): Promise<[number | undefined, unknown]> {
  const length = Array.isArray(bytes) ? {} : { 'content-length': Buffer.byteLength(bytes) }
  const outgoing = request({ port, host: '127.0.0.1', path, method: 'POST', headers: { ...length, ...headers } })
  for (const chunk of [bytes].flat()) outgoing.write(chunk)
  outgoing.end()
  const [incoming] = await once(outgoing, 'response')
  let text = ''
  for await (const chunk of incoming) text += String(chunk)
  // An answer may be here before all was sent, and the end of a test cuts what is under way.
  if (!outgoing.closed) await once(outgoing, 'close')
  return [incoming.statusCode, JSON.parse(text)]
}

/** Sends bytes that may be no HTTP at all, and reads until the service closes the connection. */
async function sendRaw (port: number, bytes: string): Promise<[number, unknown]> {
  const socket = connect(port, '127.0.0.1')
  socket.write(bytes)
  let text = ''
  socket.on('data', chunk => {
    text += String(chunk)
  })
  await once(socket, 'close')
  const [head = '', body = ''] = text.split('\r\n\r\n')
  return [Number(head.split(' ')[1]), JSON.parse(body)]
}

const paths = ['/init', '/tools', '/call-tool', '/shutdown']
const complete = JSON.stringify({ session_id: 'b1', apiUrl, jwtToken })
const ok: [number, unknown] = [200, { status: 'ok' }]
const notJsonAt = (path: string): [number, unknown] =>
  [400, failureAt(path, 'BODY_NOT_JSON', 'The body is not valid JSON')]
const notJson = notJsonAt('/init')

t.test('a body is JSON whatever its Content-Type says', async t => {
  const port = await listen(t)
  t.strictSame(await send(port, '/init', complete), ok, 'none')
  const types = [
    '',
    'garbage',
    ';;;',
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json; charset=latin1',
    'application/xml, text/html',
    '\xFF'
  ]
  for (const type of types) t.strictSame(await send(port, '/init', complete, { 'content-type': type }), ok, type)
})

t.test('a body may come in chunks, cut anywhere', async t => {
  const port = await listen(t)
  const bytes = Buffer.from(JSON.stringify({ session_id: 'b2', apiUrl, jwtToken, text: 'Žluťoučký 会话 😀' }))
  t.strictSame(
    await send(
      port,
      '/init',
      [...bytes].map(byte => Buffer.from([byte]))
    ),
    ok
  )
  t.strictSame(await send(port, '/call-tool', [Buffer.from('{"session_id":"b2",'), Buffer.from('"tool":"echo"}')]), [
    200,
    { text: 'Žluťoučký 会话 😀', jwtToken }
  ])
})

t.test('a byte order mark and blank space around a body do no harm', async t => {
  const port = await listen(t)
  t.strictSame(await send(port, '/init', `\uFEFF${complete}`), ok)
  t.strictSame(await send(port, '/init', ` \r\n\t${complete}\n\n`), ok)
})

t.test('of a key that comes twice the last one counts', async t => {
  const port = await listen(t)
  t.strictSame(await send(port, '/shutdown', '{"session_id":"first","session_id":"last"}'), [
    200,
    { status: 'ok', message: 'Session last shut down.' }
  ])
})

t.test('an empty body lacks what every body must have', async t => {
  const port = await listen(t)
  const sentences: Record<string, string> = {
    '/init': 'Missing session_id, apiUrl, or jwtToken',
    '/tools': 'Missing session_id',
    '/call-tool': 'Missing session_id or tool name',
    '/shutdown': 'Missing session_id'
  }
  for (const [path, sentence] of Object.entries(sentences)) {
    for (const body of ['', ' \n', '\uFEFF', '{}', []]) {
      t.strictSame(
        await send(port, path, body),
        [400, failureAt(path, 'MISSING_FIELD', sentence)],
        `${path} ${JSON.stringify(body)}`
      )
    }
  }
})

t.test('a body that is not JSON is refused on every path', async t => {
  const port = await listen(t)
  const bodies = [
    'hello',
    'session_id=b1&apiUrl=x',
    '{',
    '{"session_id":"b1"',
    `${complete}x`,
    `${complete}${complete}`,
    "{'session_id':'b1'}",
    '{"session_id":NaN}',
    '[1,]',
    '{"session_id":"a\nb"}',
    '<xml/>',
    '"',
    '\0',
    Buffer.from([0xff, 0xfe, 0x7b, 0x00]),
    Buffer.from(complete, 'utf16le')
  ]
  for (const path of paths) {
    for (const body of bodies) {
      t.strictSame(await send(port, path, body), notJsonAt(path), `${path} ${String(body).slice(0, 20)}`)
    }
  }
})

t.test('bytes that are no UTF-8 are refused, not repaired', async t => {
  const port = await listen(t)
  for (const bytes of [[0xff], [0xc3, 0x28], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xc0, 0xaf]]) {
    const body = Buffer.concat([Buffer.from('{"session_id":"'), Buffer.from(bytes), Buffer.from('"}')])
    t.strictSame(await send(port, '/shutdown', body), notJson)
    t.strictSame(await send(port, '/shutdown', [body]), notJson, 'in chunks')
  }
})

t.test('JSON that is no object is refused on every path', async t => {
  const port = await listen(t)
  for (const path of paths) {
    for (const body of ['[]', `[${complete}]`, '"text"', '""', 'null', '7', '0', '-1.5e3', 'true', 'false']) {
      t.strictSame(
        await send(port, path, body),
        [400, failureAt(path, 'BODY_NOT_OBJECT', 'The body must be a JSON object')],
        `${path} ${body}`
      )
    }
  }
})

t.test('a body that is nested deeper than anybody needs is refused', async t => {
  const port = await listen(t, { MCP_MAX_JSON_DEPTH: '10' })
  const nested = (levels: number) =>
    `{"session_id":"b3","apiUrl":"${apiUrl}","jwtToken":"${jwtToken}","x":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`
  t.strictSame(await send(port, '/init', nested(10)), ok)
  const tooDeep = (path: string): [number, unknown] =>
    [400, failureAt(path, 'BODY_TOO_DEEP', 'The body is nested deeper than 10 levels')]
  t.strictSame(await send(port, '/init', nested(11)), tooDeep('/init'))
  for (const path of paths) {
    for (const body of [
      nested(10_000),
      '['.repeat(10_000),
      '{"a":'.repeat(10_000),
      `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`
    ]) {
      t.strictSame(await send(port, path, body), tooDeep(path))
    }
  }
  t.strictSame(
    await send(port, '/init', JSON.stringify({ session_id: 'b3', apiUrl, jwtToken, text: '[{"'.repeat(1_000) })),
    ok,
    'brackets in a string are text'
  )
  const usual = await listen(t)
  t.strictSame(await send(usual, '/init', nested(10_000)), [
    400,
    failure('BODY_TOO_DEEP', 'The body is nested deeper than 100 levels')
  ])
})

t.test('a body of 10 MB is too large, with its length said or in chunks', async t => {
  const port = await listen(t)
  const body = JSON.stringify({ session_id: 'b4', apiUrl, jwtToken, text: 'x'.repeat(10_000_000) })
  const tooLargeAt = (path: string): [number, unknown] =>
    [413, failureAt(path, 'BODY_TOO_LARGE', 'The body is larger than 8388608 bytes')]
  for (const path of paths) t.strictSame(await send(port, path, body), tooLargeAt(path))
  const tooLarge = tooLargeAt('/init')
  t.strictSame(
    await send(
      port,
      '/init',
      Array.from({ length: 160 }, () => Buffer.alloc(65_536, ' '))
    ),
    tooLarge
  )
  const viaFetch = await fetch(`http://127.0.0.1:${port}/init`, { method: 'POST', body })
  t.strictSame([viaFetch.status, await viaFetch.json()], tooLarge)
})

t.test('MCP_MAX_BODY_BYTES moves the limit, to the byte', async t => {
  const port = await listen(t, { MCP_MAX_BODY_BYTES: '2048' })
  t.strictSame(await send(port, '/init', complete.padEnd(2_048)), ok)
  const tooLarge: [number, unknown] = [413, failure('BODY_TOO_LARGE', 'The body is larger than 2048 bytes')]
  t.strictSame(await send(port, '/init', complete.padEnd(2_049)), tooLarge)
  t.strictSame(await send(port, '/init', [Buffer.from(complete.padEnd(2_049))]), tooLarge)
  const large = await listen(t, { MCP_MAX_BODY_BYTES: '12000000' })
  t.strictSame(
    await send(large, '/init', JSON.stringify({ session_id: 'b5', apiUrl, jwtToken, text: 'x'.repeat(10_000_000) })),
    ok
  )
})

t.test('what is no HTTP is told so in the same shape', async t => {
  const port = await listen(t)
  const noHttp: [number, unknown] = [400, failure('BAD_REQUEST', 'The request is not valid HTTP')]
  const chunked = 'POST /init HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n'
  for (const bytes of [
    'garbage\r\n\r\n',
    'GET\r\n\r\n',
    'GET /health HTTP/9.9\r\n\r\n',
    'FETCH /health HTTP/1.1\r\nhost: x\r\n\r\n',
    'GET /health HTTP/1.1\r\nbad header\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '\x16\x03\x01\x02\0'
  ]) {
    t.strictSame(await sendRaw(port, bytes), noHttp, JSON.stringify(bytes))
  }
  t.equal((await sendRaw(port, `${chunked}zz\r\n`))[0], 400, 'a chunk without a length')
  t.strictSame(await sendRaw(port, `GET /health HTTP/1.1\r\nhost: x\r\nx-large: ${'x'.repeat(20_000)}\r\n\r\n`), [
    431,
    failure('BAD_REQUEST', 'The headers of the request are too large')
  ])
})
