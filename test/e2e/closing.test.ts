import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { fixture } from '../support/paths.ts'
import { serversOf } from '../support/processes.ts'
import { failure, initSession, openSession } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { build, type Environment, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

t.setTimeout(170_000)

/** A connection that stays open as long as the service lets it, and all that came on it. */
async function open (t: Test, url: string) {
  const { port } = new URL(url)
  const socket = connect(Number(port), '127.0.0.1')
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  let text = ''
  socket.setEncoding('utf8').on('data', chunk => { text += chunk }).on('error', () => {})
  const closed = new Promise<void>(resolve => { socket.once('close', () => resolve()) })
  return { socket, text: () => text, closed }
}

/** The bytes of a POST. */
function requestOf (path: string, body: object, headers: Record<string, string> = {}): string {
  const json = JSON.stringify(body)
  const fields = { host: 'localhost', 'content-length': Buffer.byteLength(json), ...headers }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return `POST ${path} HTTP/1.1\r\n${lines}\r\n${json}`
}

const events = { accept: 'text/event-stream' }

async function serve (t: Test, env: Environment = {}) {
  const app = await build(t, env)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, url, id: await initSession(app) }
}

/** Sends a call of `ms`, and comes back when its tool runs. */
async function callSlowly (
  socket: Socket, app: FastifyInstance, id: string, ms: number, headers: Record<string, string> = {}
) {
  const { alive } = app.processCounts()
  socket.write(requestOf('/call-tool', { session_id: id, tool: 'wait', params: { ms } }, headers))
  await until(() => app.processCounts().alive > alive && app.processCounts().starting === 0, 'the tool runs')
}

t.test('an open event stream gets its result, and then its connection is closed', async t => {
  const { app, url, id } = await serve(t)
  const [stream, plain] = [await open(t, url), await open(t, url)]
  await callSlowly(stream.socket, app, id, 1_000, events)
  await until(() => stream.text().includes(': open'), 'its headers have come')
  await callSlowly(plain.socket, app, id, 1_000)
  const closed = app.close()

  await Promise.all([closed, stream.closed, plain.closed])
  t.match(stream.text(), /event: result\ndata: {"status":"success","waited":1000}/)
  t.notMatch(stream.text(), /^connection: close/im, 'it had said that the connection stays open')
  t.match(plain.text(), /^connection: close/im)
})

t.test('two requests on one connection are both answered', async t => {
  const { app, url, id } = await serve(t)
  const { socket, text, closed } = await open(t, url)
  await callSlowly(socket, app, id, 500, events)
  await until(() => text().includes(': open'), 'the first is a stream')
  await callSlowly(socket, app, id, 1_000)

  await Promise.all([app.close(), closed])
  t.match(text(), /event: result\ndata: {"status":"success","waited":500}/)
  t.match(text(), /{"status":"success","waited":1000}/)
})

t.test('a proxy that keeps connections loses no request to the end', async t => {
  const { app, url } = await serve(t)
  const kept = await Promise.all(Array.from({ length: 8 }, () => open(t, url)))
  const livez = 'GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n'
  const answers = (text: string) => text.split('HTTP/1.1 200').length - 1
  for (const { socket } of kept) socket.write(livez)
  await until(() => kept.every(({ text }) => answers(text()) === 1), 'all are idle')
  const [first, ...others] = kept
  const unused = await open(t, url)
  const isClosed = { value: false }
  const closed = app.close().then(() => { isClosed.value = true })
  await until(() => app.isClosing && !app.server.listening, 'the service listens no more')
  t.equal(isClosed.value, false)

  for (const [index, { socket, text, closed }] of others.entries()) {
    socket.write(livez)
    await closed
    t.equal(answers(text()), 2, `request ${index} after the end began is answered`)
    t.match(text(), /^connection: close/im)
  }
  await Promise.all([closed, first?.closed, unused.closed])
  t.equal(answers(first?.text() ?? ''), 1, 'one that nothing uses does not hold up the end')
})

t.test('what comes behind the last event of a stream is answered as well', async t => {
  const { app, url, id } = await serve(t)
  const stream = await open(t, url)
  await callSlowly(stream.socket, app, id, 500, events)
  await until(() => stream.text().includes(': open'), 'its headers have come')
  const closed = app.close()
  stream.socket.on('data', chunk => {
    // Its caller was told that the connection stays open, so it goes on to be used.
    if (String(chunk).endsWith('0\r\n\r\n')) stream.socket.write('GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n')
  })

  await Promise.all([closed, stream.closed])
  const [, answer = ''] = stream.text().split('0\r\n\r\n')
  t.match(answer, /^HTTP\/1\.1 200 OK\r\n/)
  t.match(answer, /\r\nconnection: close\r\n/i)
})

t.test('what outlasts the grace is told so, and nothing is lost', async t => {
  const { app, url, id } = await serve(t, { MCP_CLOSE_GRACE: '0.5' })
  const connections = [await open(t, url), await open(t, url), await open(t, url), await open(t, url)] as const
  const [stream, plain, sending, silent] = connections
  await callSlowly(stream.socket, app, id, 600_000, events)
  await callSlowly(plain.socket, app, id, 600_000)
  sending.socket.write(requestOf('/call-tool', { session_id: id, tool: 'echo' }, { 'content-length': '1000' }))
  silent.socket.write('POST /call-tool HTTP/1.1\r\nhost: ')
  await app.close()

  await Promise.all(connections.map(({ closed }) => closed))
  const closing = { ...failure('CLOSING', 'The service is shutting down', { retryable: true }) }
  const [, last = ''] = /event: error\ndata: (.*)\n/.exec(stream.text()) ?? []
  t.strictSame(JSON.parse(last), { ...closing, acted: 'unknown' }, 'a stream by its last event')
  for (const [{ text }, acted] of [[plain, 'unknown'], [sending, 'no']] as const) {
    t.match(text(), /^HTTP\/1.1 503 /)
    t.match(text(), /^retry-after: 1\r$/m)
    t.strictSame(JSON.parse(text().split('\r\n\r\n')[1] ?? ''), { ...closing, acted })
  }
  t.equal(silent.text(), '', 'on this one nothing was requested')
  t.equal(app.processCounts().alive, 0)
})

t.test('half a request does not hold up the end for the whole grace', async t => {
  const { app, url } = await serve(t, { MCP_CLOSE_GRACE: '86400' })
  const { socket, closed } = await open(t, url)
  socket.write('GET /livez HTTP/1.1\r\nhost: ')
  await Promise.all([app.close(), closed])
})

t.test('the exit code is 0 when all were told, and 1 when an answer was lost', async t => {
  const service = await startService(t, { MCP_CLOSE_GRACE: '0.5' })
  const id = await openSession(service)
  const stream = await open(t, service.url)
  stream.socket.write(requestOf('/call-tool', { session_id: id, tool: 'wait', params: { ms: 600_000 } }, events))
  await until(() => serversOf(service.pid).length > 0 && stream.text().includes(': open'), 'the tool runs')
  service.kill('SIGTERM')
  t.strictSame(await service.exited, { code: 0, signal: null })
  t.match(stream.text(), /event: error\ndata: .*"MCPC_ERR_CLOSING"/)
  t.match(service.output(), /"msg":"request broken off: the grace is over"/)

  const MCP_SERVERS_FILE = await serversFile(t, {
    up: { command: process.execPath, args: [fixture('large-server.mjs'), '24000000'] } // more than the buffers hold
  })
  const other = await startService(t, { MCP_CLOSE_GRACE: '0.5', MCP_SERVERS_FILE })
  const unread = await open(t, other.url)
  unread.socket.pause()
  unread.socket.write(requestOf('/call-tool', { session_id: await openSession(other), tool: 'large' }))
  await until(() => serversOf(other.pid).length > 0, 'the tool runs')
  await until(() => serversOf(other.pid).length === 0, 'its result is here')
  other.kill('SIGTERM')
  t.strictSame(await other.exited, { code: 1, signal: null })
  t.match(other.output(), /"requests":\["POST \/call-tool"\].*"msg":"answers were lost at the end"/)
})
