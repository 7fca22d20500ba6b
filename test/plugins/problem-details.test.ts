import { text } from 'node:stream/consumers'
import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { fixture } from '../support/paths.ts'
import { openSession } from '../support/requests.ts'
import { build, listen } from '../support/service.ts'

const problem = 'application/problem+json'

/** Each kind of refusal, by the plugin or route that makes it. */
const refusals: Array<[method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD', url: string, headers: object, body: string, code: string, status: number]> = [
  ['GET', '/nothing', {}, '', 'NOT_FOUND', 404],
  ['POST', '/nothing', {}, '{', 'NOT_FOUND', 404],
  ['PUT', '/init', {}, '{}', 'METHOD_NOT_ALLOWED', 405],
  ['GET', '/%ZZ', {}, '', 'BAD_REQUEST', 400],
  ['POST', '/init', {}, '{', 'BODY_NOT_JSON', 400],
  ['POST', '/init', {}, '[]', 'BODY_NOT_OBJECT', 400],
  ['POST', '/init', {}, '{}', 'MISSING_FIELD', 400],
  ['POST', '/tools', { 'content-type': 'text/plain' }, '{"session_id":true}', 'INVALID_FIELD', 400],
  ['POST', '/init', {}, `{"a":${'['.repeat(200)}${']'.repeat(200)}}`, 'BODY_TOO_DEEP', 400],
  ['POST', '/init', {}, JSON.stringify({ a: 'x'.repeat(2_000) }), 'BODY_TOO_LARGE', 413],
  ['GET', '/livez', { origin: 'https://evil.example' }, '', 'ORIGIN', 403],
  ['POST', '/tools', {}, '{"session_id":"none"}', 'SESSION_NOT_FOUND', 409],
  ['GET', '/tools', { 'x-session-id': 'none' }, '', 'SESSION_NOT_FOUND', 409],
  ['POST', '/call-tool', {}, '{"session_id":"none","tool":"a"}', 'SESSION_NOT_FOUND', 409],
  ['GET', '/docs/nothing', {}, '', 'NOT_FOUND', 404]
]

t.test('a failure is problem details where they are asked for, and else byte for byte what it was', async t => {
  const app = await build(t, { MCP_MAX_BODY_BYTES: '1024', MCP_ERROR_DOCS_URL: 'https://example.com/errors' })
  for (const [method, url, headers, payload, code, status] of refusals) {
    const ask = async (accept?: string): Promise<LightMyRequestResponse> => await app.inject({
      method,
      url,
      headers: { ...headers, 'x-request-id': 'id-1', ...(accept !== undefined && { accept }) },
      ...(payload !== '' && { payload })
    })
    const usual = await ask()
    const name = `${method} ${url} ${payload.slice(0, 20)}`
    t.equal(usual.statusCode, status, name)
    const { error, retryable, acted } = usual.json<{ error: string, retryable: boolean, acted?: string }>()
    t.equal(usual.body, JSON.stringify({ status: 'error', error, code: `MCPC_ERR_${code}`, retryable, acted }), name)
    t.equal(usual.headers['content-type'], 'application/json; charset=utf-8', name)
    for (const accept of ['*/*', 'application/json', 'text/html', 'nonsense', `${problem};q=0`]) {
      t.equal((await ask(accept)).body, usual.body, `${name} ${accept}`)
    }
    const asked = await ask(problem)
    t.equal(asked.statusCode, status, name)
    t.match(asked.headers, { 'content-type': /^application.problem.json; charset=utf-8$/, 'x-request-id': 'id-1', 'cache-control': 'no-store' }, name)
    for (const { headers } of [usual, asked]) t.match(headers.vary, /\baccept\b/, name)
    t.strictSame(asked.json(), {
      type: `https://example.com/errors#MCPC_ERR_${code}`,
      title: asked.json<{ title: string }>().title,
      status,
      detail: error,
      instance: 'id-1',
      code: `MCPC_ERR_${code}`,
      retryable,
      ...(acted !== undefined && { acted })
    }, name)
    t.match(asked.json<{ title: string }>().title, /^[A-Z]\w+( \w+)*$/, name)
  }
})

t.test('over a connection, with HEAD, with an API key missing, with an id of the caller, under a path', async t => {
  const { url } = await listen(t, { MCP_CLIENT_API_KEYS: `a:${'0'.repeat(64)}`, MCP_BASE_PATH: '/mcp' })
  const ask = (path: string, headers: Record<string, string> = {}, method = 'POST', body: string | null = '{}') =>
    fetch(`${url}${path}`, { method, body, headers: { accept: problem, ...headers } })
  const refused = await ask('/mcp/call-tool')
  t.equal(refused.headers.get('www-authenticate'), 'Bearer')
  const details = await refused.json() as Record<string, unknown>
  t.match(details, { type: '/mcp/docs/errors#MCPC_ERR_API_KEY', title: 'API key', status: 401, acted: 'no' })
  t.equal(details.instance, refused.headers.get('x-request-id'))
  for (const [id, instance] of [['a:b/c', 'a%3Ab%2Fc'], ['//evil.example', '%2F%2Fevil.example'], ['a b', details.instance]]) {
    const sent = await ask('/mcp/init', { 'x-request-id': String(id) })
    const seen = (await sent.json() as { instance: string }).instance
    if (id === 'a b') t.match(seen, /^[\da-f-]{36}$/, 'an id that is not sane is replaced')
    else t.equal(seen, instance)
  }
  const head = await ask('/mcp/tools', {}, 'HEAD', null)
  t.match(head.headers.get('content-type'), problem)
  t.equal(await head.text(), '')
  const undecodable = await ask('/%ZZ')
  t.match(await undecodable.json(), { type: '/mcp/docs/errors#MCPC_ERR_BAD_REQUEST', status: 400 })
})

t.test('a tool that failed is a result, and an event stream keeps its last event', async t => {
  const service = await listen(t, { MCP_SERVER_SCRIPT: fixture('tool-server.mjs') })
  const session = await openSession(service)
  const call = async (tool: string, accept: string) => await fetch(`${service.url}/call-tool`, {
    method: 'POST', headers: { accept }, body: JSON.stringify({ session_id: session, tool, params: {} })
  })
  const failed = await call('failure', problem)
  t.equal(failed.status, 200)
  t.match(failed.headers.get('content-type'), /^application\/json/)
  t.match(await failed.json(), { status: 'error' })
  const events = await call('no-such-tool', `text/event-stream, ${problem}`)
  t.match(await text(events.body as never), /event: error\ndata: \{"status":"error","error":/)
  const early = await fetch(`${service.url}/call-tool`, {
    method: 'POST', headers: { accept: `text/event-stream, ${problem}` }, body: '{'
  })
  t.match(early.headers.get('content-type'), problem, 'before the stream begins there is one answer')
})
