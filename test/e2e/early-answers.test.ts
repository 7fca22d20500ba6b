import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import t from 'tap'
import { maxLingerBytes } from '../../lib/http/linger.ts'
import { cases } from '../support/cases.ts'
import { build } from '../support/service.ts'
import { until } from '../support/wait.ts'

t.setTimeout(170_000)

const key = 'mcpk_early'
const app = await build(t, { MCP_CLIENT_API_KEYS: `early:${createHash('sha256').update(key).digest('hex')}` })
await app.listen({ host: '127.0.0.1', port: 0 })
const { port } = app.server.address() as AddressInfo

/** More than the buffers of both sides hold. */
const megabytes = 20
const megabyte = Buffer.alloc(1_048_576, ' ')

/** Sends a request as a program does that sends all before it reads, and gives the answer. */
async function sendAll (head: string, { chunked, first = '' }: { chunked: boolean, first?: string }) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  t.teardown(() => socket.destroy())
  const errors: unknown[] = []
  let text = ''
  let hasEnded = false
  socket.on('error', error => errors.push(error)).on('data', chunk => { text += String(chunk) })
  socket.once('end', () => { hasEnded = true }).once('close', () => { hasEnded = true })
  const write = (bytes: string | Buffer) => new Promise<void>(resolve => { socket.write(bytes, () => resolve()) })
  await write(head + first)
  await until(() => text.includes('}') || errors.length > 0, 'it is answered although nothing more was sent')
  for (let sent = 0; sent < megabytes && errors.length === 0; sent++) {
    if (chunked) await write('100000\r\n')
    await write(megabyte)
    if (chunked) await write('\r\n')
  }
  if (chunked) await write('0\r\n\r\n')
  socket.end()
  await until(() => hasEnded, 'the connection is ended')
  return { errors: errors.length, status: Number(text.split(' ')[1]), body: JSON.parse(text.split('\r\n\r\n')[1] ?? 'null') }
}

const withKey = `x-api-key: ${key}\r\n`

for (const [what, line, headers, status, code, first] of [
  ['without a key', 'POST /call-tool', '', 401, 'API_KEY'],
  ['for a path that there is not', 'POST /nothing', withKey, 404, 'NOT_FOUND'],
  ['by a wrong method', 'PUT /call-tool', withKey, 405, 'METHOD_NOT_ALLOWED'],
  ['for an id that is none', 'POST /tools', `${withKey}x-session-id: ${'x'.repeat(300)}\r\n`, 400, 'INVALID_FIELD'],
  ['for a session that there is not', 'POST /tools', `${withKey}x-session-id: nobody\r\n`, 409, 'SESSION_NOT_FOUND'],
  ['of a page that is not listed', 'POST /tools', 'origin: https://evil.example\r\n', 403, 'ORIGIN'],
  ['that is too large', 'POST /init', withKey, 413, 'BODY_TOO_LARGE', 'x'.repeat(9_000_000)],
  ['with a path that cannot be decoded', 'POST /%ZZ', withKey, 400, 'BAD_REQUEST']
] as const) {
  t.test(`a request ${what} is answered while it is sent, and its caller can read that`, async t => {
    for (const connection of ['close', 'keep-alive']) {
      for (const chunked of cases([true, false], 2)) {
        const opening = first ?? ''
        const length = chunked
          ? 'transfer-encoding: chunked'
          : `content-length: ${megabytes * megabyte.length + opening.length}`
        const head = `${line} HTTP/1.1\r\nhost: localhost\r\nconnection: ${connection}\r\n${headers}${length}\r\n\r\n`
        const begun = chunked && opening !== '' ? `${opening.length.toString(16)}\r\n${opening}\r\n` : opening
        const answer = await sendAll(head, { chunked, first: begun })
        t.match(answer, { errors: 0, status, body: { code: `MCPC_ERR_${code}` } }, `${connection}, ${length}`)
      }
    }
  })
}

t.test('what is no HTTP in the middle of a body is answered, and the caller can read that', async t => {
  for (const [what, head, status] of [
    ['a chunk without a length', 'POST /init HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n', 400],
    ['headers that are too large', `POST /init HTTP/1.1\r\nhost: localhost\r\nx-large: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ['no HTTP', 'garbage\r\n\r\n', 400]
  ] as const) {
    t.match(await sendAll(head, { chunked: false }), { errors: 0, status, body: { code: 'MCPC_ERR_BAD_REQUEST' } }, what)
  }
})

t.test('what is read after an answer is bounded', async t => {
  for (const head of [
    'POST /nothing HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n', 'garbage\r\n\r\n'
  ]) {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    socket.on('error', () => {}).resume().write(head)
    let sent = 0
    while (!socket.destroyed && sent < 4 * maxLingerBytes) {
      await new Promise(resolve => socket.write(`100000\r\n${megabyte}\r\n`, resolve))
      sent += megabyte.length
    }
    t.ok(socket.destroyed && sent < 4 * maxLingerBytes, `cut after ${sent} bytes`)
  }
})

t.test('a body that is no JSON does not cost its connection', async t => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const ports = new Set<number | undefined>()
  for (const [body, status] of [['{', 400], ['[]', 400], ['{"a":', 400], ['\xFF', 400], ['{"session_id":"x"}', 409]] as const) {
    for (const chunked of [false, true]) {
      const headers = { 'x-api-key': key, ...(!chunked && { 'content-length': Buffer.byteLength(body) }) }
      const sent = request({ port, host: '127.0.0.1', path: '/tools', method: 'POST', agent, headers }).end(body)
      const [response] = await once(sent, 'response')
      response.resume()
      await once(response, 'end')
      t.equal(response.statusCode, status, body)
      t.not(response.headers.connection, 'close', body)
      ports.add(sent.socket?.localPort)
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  t.equal(ports.size, 1, 'all came over one connection')
})
