import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import type { FastifyInstance, InjectOptions } from 'fastify'
import t from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { fixture } from '../support/paths.ts'
import { initSession } from '../support/requests.ts'
import { build, listen } from '../support/service.ts'

const env = { MCP_SERVERS_FILE: fixture('shared-tool-server.json') }

async function headersOf (app: FastifyInstance, request: InjectOptions) {
  const { headers, statusCode } = await app.inject(request)
  return { status: statusCode, cache: headers['cache-control'], sniff: headers['x-content-type-options'] }
}

t.test('no cache keeps an answer that holds something of a caller, nor a failure', async t => {
  const app = await build(t, env)
  const session = await initSession(app)
  const inSession = { headers: { 'x-session-id': session } }
  const post = (url: string, fields: object = {}, headers: Record<string, string> = {}): InjectOptions =>
    ({ method: 'POST', url, payload: { session_id: session, ...fields }, headers })
  const requests: Array<[status: number, request: InjectOptions]> = [
    [200, post('/init', { apiUrl, jwtToken })],
    [201, { method: 'POST', url: '/sessions', payload: { apiUrl, jwtToken } }],
    [200, { method: 'PUT', url: '/session/values', payload: { a: 1 }, ...inSession }],
    [200, { url: '/session', ...inSession }],
    [200, { method: 'HEAD', url: '/session', ...inSession }],
    [200, { method: 'DELETE', url: '/session/values/a', ...inSession }],
    [200, post('/call-tool', { tool: 'recall', params: { name: 'a' } })],
    [200, post('/call-tool', { tool: 'recall', params: { name: 'a' } }, { accept: 'text/event-stream' })],
    [200, post('/tools')],
    [200, post('/resources')],
    [200, post('/resource-templates')],
    [200, post('/prompts')],
    [200, { url: '/tools-schema' }],
    [200, { url: '/health' }],
    [200, { url: '/livez' }],
    [200, { url: '/readyz' }],
    [400, post('/init')],
    [400, post('/read-resource')],
    [400, post('/get-prompt')],
    [400, post('/complete')],
    [400, { method: 'POST', url: '/init', payload: '{', headers: { 'content-type': 'application/json' } }],
    [400, { method: 'POST', url: '/init', payload: 'a', headers: { 'content-type': 'text/html' } }],
    [404, post('/call-tool', { tool: 'none' })],
    [404, { url: '/nowhere' }],
    [405, { url: '/docs/static/nowhere.js' }],
    [405, { method: 'DELETE', url: '/tools' }],
    [403, { url: '/docs/', headers: { origin: 'https://elsewhere.example' } }],
    [200, { method: 'DELETE', url: '/session', ...inSession }],
    [409, post('/tools')]
  ]
  for (const [status, request] of requests) {
    t.strictSame(
      await headersOf(app, request), { status, cache: 'no-store', sniff: 'nosniff' }, `${request.method} ${request.url}`
    )
  }
})

t.test('what holds nothing of a caller may be kept; without an API key it is a failure as any', async t => {
  const urls = ['/openapi.json', '/docs/', '/docs/json', '/docs/static/swagger-ui.css']
  const app = await build(t, env)
  const key = createHash('sha256').update('key').digest('hex')
  const closed = await build(t, { ...env, MCP_CLIENT_API_KEYS: `a:${key}` })
  for (const url of urls) {
    const { status, cache = '', sniff } = await headersOf(app, { url })
    t.strictSame([status, cache.includes('no-store'), sniff], [200, false, 'nosniff'], url)
    // The files of the page are the same everywhere, and need no key.
    if (!url.endsWith('json')) continue
    t.strictSame(await headersOf(closed, { url }), { status: 401, cache: 'no-store', sniff: 'nosniff' }, url)
  }
})

t.test('an answer to what is no request cannot be kept either', async t => {
  const { url } = await listen(t, env)
  const { hostname, port } = new URL(url)
  for (const bytes of ['GET /%zz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n', 'nothing\r\n\r\n']) {
    const socket = connect(Number(port), hostname)
    socket.end(bytes)
    t.match(await text(socket), /^HTTP\/1\.1 400 [^]*\r\ncache-control: no-store\r\n/i)
  }
})
