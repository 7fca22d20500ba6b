import t from 'tap'
import { serve } from '../support/http-server.ts'
import { call, initSession } from '../support/requests.ts'
import { credential } from '../support/servers-file.ts'
import { serviceOn } from '../support/service.ts'
import { answerWith, type Refusal, startSessionServer } from '../support/session-server.ts'

const html = { 'content-type': 'text/html' }
const json = { 'content-type': 'application/json' }
const plain = { 'content-type': 'text/plain' }
const canary = 'canary-header.canary-payload.canary-signature'

/** A service and a session at a server that can refuse. */
async function start (t: Parameters<typeof startSessionServer>[0]) {
  const upstream = await startSessionServer(t)
  const headers = { authorization: `Bearer ${credential('jwtToken')}` }
  const service = await serviceOn(t, { up: { url: upstream.url, headers } })
  const id = await initSession(service, { jwtToken: canary })
  await call(service, id, 'count')
  return async (refusal: Refusal) => {
    upstream.state.refusal = refusal
    const response = await call(service, id, 'count')
    return { response, body: response.json() }
  }
}

const failed = (error: string, more: Record<string, unknown> = {}) => ({
  status: 'error', error: `MCP server up ${error}`, code: 'MCPC_ERR_MCP_CALL', retryable: false, ...more
})

t.test('a firewall does not refuse the credentials: it is quoted, bounded and masked', async t => {
  const refuse = await start(t)
  for (const [headers, body, quote] of [
    [html, '<html><head><title>403 Forbidden</title></head><body><center>nginx</center></body></html>', ': 403 Forbidden nginx'],
    [plain, 'Access denied by rule 4711', ': Access denied by rule 4711'],
    [html, `<!DOCTYPE html><style>p{}</style><p>Your token <b>${canary}</b> &lt;here&gt;`, ': Your token [hidden] <here>'],
    [{}, '', ''],
    [json, '{"message":"Forbidden"}', ': Forbidden'],
    [json, '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Invalid Host header: up"}}', ': Invalid Host header: up'],
    [plain, 'x'.repeat(5_000), `: ${'x'.repeat(300)}`]
  ] as const) {
    const { response, body: answer } = await refuse({ status: 403, headers, body })
    t.equal(response.statusCode, 502)
    t.strictSame(answer, failed(`answered tool count: HTTP 403${quote}`, { acted: 'no' }))
  }
})

t.test('a 403 in JSON that speaks of credentials refuses them', async t => {
  const refuse = await start(t)
  for (const body of ['{"error":"invalid_token"}', '{"message":"Missing Authentication Token"}', '{"detail":"No permission"}']) {
    const { body: answer } = await refuse({ status: 403, body })
    t.match(answer, { code: 'MCPC_ERR_MCP_UNAUTHORIZED', acted: 'no' }, body)
  }
})

t.test('a challenge is passed on with what it names, and with no secret', async t => {
  const refuse = await start(t)
  const metadata = 'https://up.example/.well-known/oauth-protected-resource'
  for (const [status, challenge, authorization] of [
    [401, 'Bearer', { scheme: 'Bearer' }],
    [
      401, `Bearer resource_metadata="${metadata}", scope="files:read, files:write"`,
      { scheme: 'Bearer', scope: 'files:read, files:write', resource_metadata: metadata }
    ],
    [
      403, 'Basic realm="Bearer, x", bearer error="insufficient_scope",error_description="Needs \\"write\\"" , scope=write',
      { scheme: 'bearer', scope: 'write', error: 'insufficient_scope', error_description: 'Needs "write"' }
    ],
    [403, `DPoP error="invalid_token", error_description="${canary} is old"`, {
      scheme: 'DPoP', error: 'invalid_token', error_description: '[hidden] is old'
    }],
    [401, `Bearer scope="${'x '.repeat(1_000)}"`, { scheme: 'Bearer', scope: 'x '.repeat(250) }]
  ] as const) {
    const { response, body } = await refuse({ status, headers: { 'www-authenticate': challenge }, body: '' })
    t.equal(response.statusCode, 502)
    t.strictSame(body, {
      status: 'error',
      error: `MCP server up refused the credentials (HTTP ${status})`,
      code: 'MCPC_ERR_MCP_UNAUTHORIZED',
      retryable: false,
      acted: 'no',
      authorization: { status, ...authorization }
    }, challenge)
  }
  t.notOk('authorization' in (await refuse({ status: 401, headers: plain, body: 'no' })).body)
})

t.test('when to come again is passed on', async t => {
  const refuse = await start(t)
  for (const [status, retryAfter, wanted, more] of [
    [429, '7', '7', { retryable: true, acted: 'no' }],
    [429, undefined, undefined, { retryable: true, acted: 'no' }],
    [429, 'soon', undefined, { retryable: true, acted: 'no' }],
    [503, '1.5', '2', { retryable: true, acted: 'unknown' }],
    [503, 'Thu, 01 Jan 1970 00:00:00 GMT', '0', { retryable: true, acted: 'unknown' }],
    [503, 'Fri, 01 Jan 2100 00:00:00 GMT', '86400', { retryable: true, acted: 'unknown' }],
    [503, undefined, undefined, { retryable: false, acted: 'unknown' }]
  ] as const) {
    const headers = { ...plain, ...(retryAfter !== undefined && { 'retry-after': retryAfter }) }
    const { response, body } = await refuse({ status, headers, body: 'Slow down' })
    t.strictSame(body, failed(`answered tool count: HTTP ${status}: Slow down`, more), `${status} ${retryAfter}`)
    t.equal(response.headers['retry-after'], wanted, `${status} ${retryAfter}`)
  }
  const date = new Date(Date.now() + 30_000).toUTCString()
  const { response } = await refuse({ status: 503, headers: { ...plain, 'retry-after': date }, body: '' })
  const seconds = Number(response.headers['retry-after'])
  t.ok(seconds > 20 && seconds <= 31, String(seconds))
})

t.test('a refusal in JSON is quoted by its sentence', async t => {
  const refuse = await start(t)
  for (const [status, body, sentence, acted] of [
    [413, '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Too large"}}', 'Too large', 'no'],
    [429, '{"jsonrpc":"2.0","id":$ID,"error":{"code":-32000,"message":"Too many"}}', 'Too many', 'no'],
    [415, '{"error":"unsupported","error_description":"Only JSON"}', 'Only JSON', 'no'],
    [501, '{"message":"Not here"}', 'Not here', 'unknown'],
    [504, '{"detail":[1]}', '{"detail":[1]}', 'unknown']
  ] as const) {
    const { body: answer } = await refuse({ status, body })
    const retryable = status === 429
    t.strictSame(answer, failed(`answered tool count: HTTP ${status}: ${sentence}`, { retryable, acted }))
  }
})

t.test('an answer of any status to notifications/initialized is no reason to stop', async t => {
  for (const refusal of [
    { status: 200, body: '{"jsonrpc":"2.0","id":null,"result":{}}' }, { status: 400, body: 'what?' },
    { status: 404, body: '' }, { status: 405, body: '{}' }, { status: 500, body: '<html>' }
  ]) {
    const server = await serve(t, (request, response) => {
      const { id, method = '', params } = request.message
      if (id === undefined) return answerWith(request, response, refusal)
      const results: Record<string, unknown> = {
        initialize: { protocolVersion: params?.protocolVersion, capabilities: { tools: {} } },
        'tools/list': { tools: [{ name: 'hello' }] },
        'tools/call': { content: [{ type: 'text', text: '"hi"' }] }
      }
      const outcome = results[method] ? { result: results[method] } : { error: { code: -32_601, message: 'no' } }
      answerWith(request, response, { status: 200, body: JSON.stringify({ jsonrpc: '2.0', id, ...outcome }) })
    })
    const service = await serviceOn(t, { up: { url: server.url } })
    t.equal((await call(service, await initSession(service), 'hello')).json(), 'hi', JSON.stringify(refusal))
  }
})

t.test('the session of a server is in no sentence that quotes it', async t => {
  const upstream = await startSessionServer(t)
  const service = await serviceOn(t, { up: { url: upstream.url } })
  const id = await initSession(service)
  await call(service, id, 'count')
  const [session = ''] = upstream.sessions.keys()
  upstream.state.refusal = { status: 500, headers: plain, body: `Session ${session} is broken` }
  t.equal((await call(service, id, 'count')).json().error, 'MCP server up answered tool count: HTTP 500: Session [hidden] is broken')
})

t.test('a handshake that is refused for its version is made with the version that the refusal names', async t => {
  for (const refusal of [
    { status: 400, body: '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Unsupported version (supported: 2025-03-26)"}}' },
    { status: 400, body: '{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"no","data":{"supported":["2025-03-26"]}}}' },
    { status: 200, body: '{"jsonrpc":"2.0","id":$ID,"error":{"code":-32602,"message":"no","data":{"supported":["2025-03-26"]}}}' }
  ]) {
    const offered: unknown[] = []
    const server = await serve(t, (request, response) => {
      const { id, method = '', params } = request.message
      if (id === undefined) return response.writeHead(202).end()
      if (method === 'initialize') offered.push(params?.protocolVersion)
      if (method === 'initialize' && params?.protocolVersion !== '2025-03-26') return answerWith(request, response, refusal)
      const results: Record<string, unknown> = {
        initialize: { protocolVersion: '2025-03-26', capabilities: { tools: {} } },
        'tools/list': { tools: [{ name: 'hello' }] },
        'tools/call': { content: [{ type: 'text', text: '"hi"' }] }
      }
      const outcome = results[method] ? { result: results[method] } : { error: { code: -32_601, message: 'no' } }
      answerWith(request, response, { status: 200, body: JSON.stringify({ jsonrpc: '2.0', id, ...outcome }) })
    })
    const service = await serviceOn(t, { up: { url: server.url } })
    t.equal((await call(service, await initSession(service), 'hello')).json(), 'hi', refusal.body)
    t.strictSame(offered, ['2025-11-25', '2025-03-26'])
  }
})
