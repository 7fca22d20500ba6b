import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { cases } from '../support/cases.ts'
import { call, callFailure, initSession, postTo } from '../support/requests.ts'
import { resultText, type Script, type Scripted, startScripted, transports } from '../support/scripted-server.ts'
import { serversFile } from '../support/servers-file.ts'
import { listen, serviceOn } from '../support/service.ts'

/*
 * A tool that fails is one thing, whatever its server says it by: 200 with the server's sentence. What breaks the
 * protocol or the connection is 502.
 */

const message = (members: string) => `{"jsonrpc":"2.0","id":$ID,${members}}`
const rpcError = (code: unknown, sentence: unknown = 'no such record', data?: unknown) =>
  message(`"error":${JSON.stringify({ code, message: sentence, data })}`)
const withStatus = (status: number, body: string): Scripted => ({ status, body })

const failedTool = (error: string) => [200, { status: 'error', error }]
const broken = (sentence: string, acted: 'no' | 'unknown' = 'unknown') =>
  [502, callFailure('MCP_CALL', `MCP server up ${sentence}`, { acted })]
const answeredWithError = (sentence: string, acted: 'no' | 'unknown' = 'unknown') =>
  broken(`answered tool echo with an error: ${sentence}`, acted)

type Expectation = [what: string, answer: Scripted, expected: unknown[]]

/** Codes of JSON-RPC, of its servers, of HTTP, and of nobody. */
const codes = [
  -32_603, -32_602, -32_000, -32_001, -32_002, -32_004, -32_050, -32_099, -32_604, -32_800, -31_999, -1, 0, 1, 400,
  401, 404, 429, 500, '-32603', null, undefined, 1.5, 'EBADARGS', 9_007_199_254_740_991
]

const ofTool: Expectation[] = [
  ...codes.map((code): Expectation => [`code ${String(code)}`, rpcError(code), failedTool('no such record')]),
  ['an error that is a text', message('"error":"it broke"'), failedTool('it broke')],
  ['an error beside a result that is null', message('"result":null,"error":{"code":1,"message":"no"}'), failedTool('no')],
  ['an error with an empty sentence', rpcError(-32_603, ''), failedTool('Tool echo failed')],
  [
    'an error without a sentence', message('"error":{"code":-32603,"data":"x"}'), failedTool('{"code":-32603,"data":"x"}')
  ],
  ['an error with lines and quotes', rpcError(-32_000, 'a\n"b"\u0000'), failedTool('a\n"b"\u0000')],
  ['a sentence that is very long', rpcError(-32_603, 'x'.repeat(100_000)), failedTool('x'.repeat(16_384))],
  [
    'a sentence about a tool that is there', rpcError(-32_603, 'the tool echo was not found in the box'),
    failedTool('the tool echo was not found in the box')
  ],
  ['a sentence about a session of its own', rpcError(-32_000, 'browser session not found'), failedTool('browser session not found')]
]

const ofProtocol: Expectation[] = [
  ['parse error', rpcError(-32_700), answeredWithError('no such record', 'no')],
  ['invalid request', rpcError(-32_600), answeredWithError('no such record', 'no')],
  ['method not found', rpcError(-32_601), answeredWithError('no such record', 'no')],
  ['header mismatch', rpcError(-32_020), answeredWithError('no such record', 'no')],
  ['unsupported version', rpcError(-32_022), answeredWithError('no such record', 'no')],
  ['an address to visit that is missing', rpcError(-32_042), answeredWithError('no such record')],
  [
    'a server behind it is gone', rpcError(-32_000, 'MCP error -32000: Connection closed'),
    answeredWithError('MCP error -32000: Connection closed')
  ],
  ['a server behind it is silent', rpcError(-32_001, 'Request timed out'), answeredWithError('Request timed out')],
  ['no result and no error', message('"result":7'), broken(
    'gave an answer to tool echo that cannot be used: {"jsonrpc":"2.0","id":3,"result":7}'
  )]
]

async function expectEach (t: Test, transport: typeof transports[number], expectations: readonly Expectation[]) {
  const server = await startScripted(t, transport)
  const service = await serviceOn(t, { up: server.entry })
  const session = await initSession(service)
  await call(service, session, 'echo')
  for (const [what, answer, expected] of expectations) {
    await server.play({ 'tools/call': answer })
    const response = await call(service, session, 'echo')
    const { error, ...body } = response.json()
    // The id of a request is not known.
    t.strictSame([response.statusCode, { ...body, error: error.replace(/"id":\d+/, '"id":3') }], expected, what)
  }
}

for (const transport of transports) {
  t.test(`a tool that fails by an error of JSON-RPC is 200, and a broken protocol is 502, over ${transport}`, t =>
    expectEach(t, transport, cases([...ofTool, ...ofProtocol], transport === 'stdio' ? 2 : 4)))
}

t.test('over HTTP the status of a refusal counts where it says who was refused, or that nobody was reached', t => {
  const own = rpcError(-32_603)
  const nobody = own.replace('$ID', 'null')
  return expectEach(t, 'http', [
    ...[200, 400, 404, 422].map((status): Expectation => [`${status}`, withStatus(status, own), failedTool('no such record')]),
    ...([403, 502, 504] as const).map((status): Expectation => [
      `${status}`, withStatus(status, own),
      broken(`answered tool echo: HTTP ${status}: no such record`, status === 403 ? 'no' : 'unknown')
    ]),
    ['401', withStatus(401, own), [502, callFailure(
      'MCP_UNAUTHORIZED', 'MCP server up refused the credentials (HTTP 401)', { acted: 'no' }
    )]],
    ['500 of no request', withStatus(500, nobody), broken('answered tool echo: HTTP 500: no such record')],
    ['400 of no request', withStatus(400, nobody), broken('answered tool echo: HTTP 400: no such record')]
  ])
})

/** A server with the tools `act` and `other`, over HTTP and without a session. */
async function start (t: Test, script: Script, entry: object = {}) {
  const server = await startScripted(t, 'http', script)
  const service = await serviceOn(t, { up: { ...server.entry, ...entry } })
  return { server, service, session: await initSession(service, { kept: 'by init' }) }
}

const listing = (...names: string[]) => resultText(JSON.stringify({ tools: names.map(name => ({ name })) }))

t.test('a tool that its server no longer has is 404, and one that only speaks so has failed', async t => {
  const sentences = [
    rpcError(-32_602, 'MCP error -32602: Tool act not found'), rpcError(-32_601, 'Unknown tool: act'),
    rpcError(-32_603, 'There is no such tool'), rpcError(-32_000, 'the tool does not exist')
  ]
  for (const sentence of sentences) {
    const { server, service, session } = await start(t, { 'tools/list': listing('act'), 'tools/call': sentence })
    const answer = async () => {
      const response = await call(service, session, 'act')
      return [response.statusCode, response.json().code]
    }
    const stays = sentence.includes('-32601') ? [502, 'MCPC_ERR_MCP_CALL'] : [200, undefined]
    t.strictSame(await answer(), stays, `${sentence}: it is listed`)
    await server.play({ 'tools/list': listing('other'), 'tools/call': sentence })
    t.strictSame(await answer(), [404, 'MCPC_ERR_UNKNOWN_TOOL'], `${sentence}: it is gone`)
    const { tools } = (await postTo(service, '/tools', { session_id: session })).json<{ tools: object[] }>()
    t.match(tools, [{ name: 'other' }], 'what was remembered is forgotten')
    await server.play({ 'tools/list': rpcError(-32_603), 'tools/call': sentence })
  }
})

t.test('the data of a failure is in MCP\'s own form, and the other forms say that they leave it out', async t => {
  const data = { field: 'name', secret: 'key-of-the-operator' }
  const { server, service, session } = await start(t, {
    'tools/list': listing('act'), 'tools/call': rpcError(-32_602, 'not with key-of-the-operator', data)
  }, { headers: { 'x-api-key': 'key-of-the-operator' } })
  const answer = async (result?: string) => {
    const response = await postTo(service, '/call-tool', { session_id: session, tool: 'act', result })
    return [response.statusCode, response.headers['x-mcp-result'], response.json()]
  }
  const short = { status: 'error', error: 'not with [hidden]' }
  t.strictSame(await answer(), [200, 'text;left-out="data"', short])
  t.strictSame(await answer('json'), [200, 'text;left-out="data"', short])
  t.strictSame(await answer('mcp'), [200, 'mcp', {
    content: [{ type: 'text', text: 'not with [hidden]' }],
    isError: true,
    _meta: { error: { code: -32_602, data: { field: 'name', secret: '[hidden]' } } }
  }])
  await server.play({ 'tools/list': listing('act'), 'tools/call': rpcError(7) })
  t.strictSame(await answer('mcp'), [200, 'mcp', {
    content: [{ type: 'text', text: 'no such record' }], isError: true, _meta: { error: { code: 7 } }
  }])
  const { body } = await service.inject({
    method: 'POST',
    url: '/call-tool',
    headers: { accept: 'text/event-stream' },
    payload: { session_id: session, tool: 'act' }
  })
  t.match(body, 'x-mcp-result: text\nevent: result\ndata: {"status":"error","error":"no such record"}\n\n')
})

t.test('a tool that fails repeats no secret of the operator, whatever it was given it by', async t => {
  const secrets = ['key-of-an-option', 'key-of-a-word', 'key-of-a-variable', 'password-of-an-address', 'key-of-a-query']
  const said = secrets.join(' ')
  const failures = [
    rpcError(-32_603, said, { said }),
    resultText(JSON.stringify({ isError: true, content: [{ type: 'text', text: said }], structuredContent: { said } }))
  ]
  for (const transport of transports) {
    const { entry, play } = await startScripted(t, transport)
    const service = await serviceOn(t, {
      up: transport === 'http'
        ? { url: `${entry.url}?k=key-of-a-query&v=key-of-a-word&w=key-of-an-option&x=password-of-an-address`, headers: { 'x-any': 'key-of-a-variable' } }
        : {
            ...entry,
            args: [...entry.args as string[], '', '--api-key=key-of-an-option', '--token', 'key-of-a-word', 'x://h?key=key-of-a-query'],
            env: { API_KEY: 'key-of-a-variable', DATABASE_URL: 'mysql://me:password-of-an-address@db' }
          }
    })
    const session = await initSession(service)
    for (const answer of failures) {
      await play({ 'tools/call': answer })
      for (const result of ['default', 'mcp']) {
        const response = await postTo(service, '/call-tool', { session_id: session, tool: 'echo', result })
        t.equal(response.statusCode, 200)
        t.notOk(secrets.some(secret => response.body.includes(secret)), `${transport} ${response.body}`)
        t.match(response.body, /(\[hidden\] ?){5}/)
      }
    }
    await play({ 'tools/call': resultText(JSON.stringify({ content: [{ type: 'text', text: said }] })) })
    t.strictSame((await call(service, session, 'echo')).json(), { result: said }, 'what is no failure passes as it is')
  }
})

t.test('a failed call keeps what the caller sent, gives nothing, and is recorded as one', async t => {
  const data = { status: 'success', given: 1 }
  const server = await startScripted(t, 'http', {
    'tools/list': listing('act'), 'tools/call': rpcError(-32_603, 'no luck', data)
  })
  const service = await serviceOn(t, { up: { ...server.entry, values: 'chain' } })
  const session = await initSession(service)
  await call(service, session, 'act', { sent: 'before' })
  const { calls, last_call: last, values } = await stateOf(service, session)
  t.match([calls, last], [1, { tool: 'act', outcome: 'tool_error' }])
  t.match(values.map(({ name }) => name), ['sent'])
})

async function stateOf (service: FastifyInstance, session: string) {
  const response = await service.inject({ url: '/session', headers: { 'x-session-id': session } })
  return response.json<{ calls: number, last_call: object, values: Array<{ name: string }> }>()
}

interface Line { level: number, reqId?: string, outcome?: string }

t.test('a failed tool is no failure of the service in its log', async t => {
  const server = await startScripted(t, 'http', {
    'tools/list': listing('act'), 'tools/call': rpcError(-32_603, 'the sentence of the tool')
  })
  const service = await listen(t, { MCP_SERVERS_FILE: await serversFile(t, { up: server.entry }), MCP_LOG_LEVEL: 'debug' })
  const post = async (path: string, body: object) => await (await fetch(service.url + path, {
    method: 'POST', body: JSON.stringify({ session_id: 's', ...body })
  })).json() as object
  await post('/init', { apiUrl: 'https://api.example.com', jwtToken: 'a.b.c' })
  t.match(await post('/call-tool', { tool: 'act' }), { error: 'the sentence of the tool' })
  await service.close()
  const lines = service.output().trim().split('\n').map(line => JSON.parse(line) as Line)
  t.ok(lines.some(({ outcome }) => outcome === 'tool_error'), 'the audit line says so')
  t.notOk(lines.some(({ level, reqId }) => reqId !== undefined && level >= 40))
  t.notMatch(service.output(), /"stack"|the sentence of the tool/)
})

t.test('an error of JSON-RPC that answers anything but a tool call stays 502', async t => {
  const { server, service, session } = await start(t, { 'tools/list': listing('act') })
  const broken = Object.fromEntries(
    ['tools/list', 'prompts/list', 'prompts/get', 'resources/list', 'resources/read', 'completion/complete']
      .map(method => [method, rpcError(-32_603)]))
  await server.play({
    ...broken,
    initialize: resultText('{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"prompts":{},"resources":{},"completions":{}}}')
  })
  for (const [path, fields] of [
    ['/tools', {}], ['/prompts', {}], ['/resources', {}], ['/get-prompt', { name: 'p' }],
    ['/read-resource', { uri: 'a://b' }],
    ['/complete', { ref: { type: 'ref/prompt', name: 'p' }, argument: { name: 'a', value: '' } }]
  ] as const) {
    const fresh = path === '/tools' ? await serviceOn(t, { up: server.entry }) : service
    const id = path === '/tools' ? await initSession(fresh) : session
    t.equal((await postTo(fresh, path, { session_id: id, ...fields })).statusCode, 502, path)
  }
})
