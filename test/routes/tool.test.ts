import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import { cases } from '../support/cases.ts'
import { makeFolder } from '../support/folders.ts'
import { fixture } from '../support/paths.ts'
import { call, callFailure, initSession, openSession } from '../support/requests.ts'
import { build, listen, serviceOn } from '../support/service.ts'
import { serversFile } from '../support/servers-file.ts'

async function corpusEntry (t: Test, tools: object[]): Promise<Record<string, unknown>> {
  const file = join(await makeFolder(t), 'tools.json')
  await writeFile(file, JSON.stringify(tools))
  return { command: process.execPath, args: [fixture('corpus-server.mjs'), file], values: 'none' }
}

const pathOf = (tool: string) => `/tools/${encodeURIComponent(tool)}`

function callByPath (
  app: FastifyInstance, session: string, path: string, args: unknown = {}, headers: Record<string, string> = {}
) {
  return app.inject({
    method: 'POST',
    url: path,
    headers: { 'x-session-id': session, ...headers },
    payload: typeof args === 'string' ? args : JSON.stringify(args)
  })
}

const awkwardNames = [
  'plain', 'with.dots', 'with/slash', 'with%percent', 'with%2Fboth', 'with space', 'ünïcödé', '天気', '💥', 'a+b', 'a&b=c',
  'question?mark', 'hash#mark', 'semi;colon', 'co,mma', 'quote"\'', 'back\\slash',
  '{brace}', '*', ':param', 'x'.repeat(1_000),
  '天'.repeat(1_000), '...', '__proto__', 'constructor', 'tools', '@scope/name', 'a//b', '~', 'line\nbreak', '%', '%%', '%zz'
]

t.test('a tool of any name is called by its path, with the whole body as its arguments', async t => {
  const entry = await corpusEntry(t, awkwardNames.map(name => ({ name, inputSchema: {} })))
  const app = await serviceOn(t, { corpus: entry })
  const session = await initSession(app)
  for (const name of cases(awkwardNames, 8)) {
    const args = { session_id: 'mine', tool: 'other', params: { a: null }, timeout: 'x', continue: 1, inject: false }
    const response = await callByPath(app, session, pathOf(name), args)
    t.strictSame(response.json(), { name, args }, name.slice(0, 40))
  }
  t.strictSame((await callByPath(app, session, '/tools/with/slash')).json(), { name: 'with/slash', args: {} })
})

t.test('a call by path is the call that /call-tool makes, byte for byte', async t => {
  const app = await build(t, { MCP_SERVER_SCRIPT: fixture('tool-server.mjs') })
  const session = await initSession(app)
  const names = [
    'object', 'spaced_object', 'array', 'plain', 'empty_text', 'several', 'image', 'nothing', 'structured_only',
    'failure', 'failure_lines', 'failure_silent', 'outputs', 'no_such_tool'
  ]
  const seen = ['content-type', 'x-mcp-result', 'x-mcp-injected', 'cache-control']
  for (const name of cases(names, 5)) {
    const [byPath, byName] = [await callByPath(app, session, pathOf(name)), await call(app, session, name)]
    t.equal(byPath.statusCode, byName.statusCode, name)
    t.equal(byPath.body, byName.body, name)
    for (const header of seen) t.equal(byPath.headers[header], byName.headers[header], `${name} ${header}`)
  }
})

t.test('arguments arrive with every digit, credentials are the session\'s, and gaps are filled', async t => {
  const app = await build(t)
  const session = await initSession(app, { text: 'kept' })
  const text = '{ "text": 12345678901234567890.10, "jwtToken": "forged" }'
  t.notMatch((await callByPath(app, session, '/tools/echo', text)).body, /forged/)
  t.match((await callByPath(app, session, '/tools/echo?dry_run=true', text)).body, /"text": ?12345678901234567890\.10/)
  const filled = await callByPath(app, session, '/tools/recall', { text: 'next' })
  t.equal(filled.statusCode, 200)
  const described = await callByPath(app, session, '/tools/echo?dry_run=true')
  t.match(described.json(), { status: 'dry_run', tool: 'echo', arguments: {}, filled: [{ name: 'text' }] })
  t.match((await callByPath(app, session, '/tools/echo?dry_run=true&inject=false')).json(), { filled: [] })
  t.match((await callByPath(app, session, '/tools/echo?dry_run=true&inject=x&inject=text')).json(), {
    filled: [{ name: 'text' }]
  })
  t.match((await callByPath(app, session, '/tools/echo?result=mcp')).json(), { content: [{ type: 'text' }] })
  t.equal((await callByPath(app, session, '/tools/wait?timeout=0.2', { ms: 60_000 })).statusCode, 504)
})

t.test('a call by path that is wrong is refused, and names what is wrong', async t => {
  const app = await build(t, { MCP_MAX_PARAMETERS: '3' })
  const session = await initSession(app)
  const ask = (path: string, body: string, headers: Record<string, string>) =>
    app.inject({ method: 'POST', url: path, payload: body, headers })
  const known = { 'x-session-id': session }
  type Fault = [path: string, body: string, headers: Record<string, string>, status: number, code: string, why: RegExp]
  const faults: Fault[] = [
    ['/tools/echo', '{}', {}, 400, 'MISSING_FIELD', /^Missing X-Session-Id$/],
    // The id of a session in the body is an argument.
    ['/tools/echo', JSON.stringify({ session_id: session }), {}, 400, 'MISSING_FIELD', /^Missing X-Session-Id$/],
    ['/tools/echo', '{}', { 'x-session-id': 'nobody' }, 409, 'SESSION_NOT_FOUND', /nobody/],
    ['/tools/echo', '{}', { 'x-session-id': 'a\u0001b' }, 400, 'INVALID_FIELD', /^x-session-id must be/],
    ['/tools/nothing', '{}', known, 404, 'UNKNOWN_TOOL', /nothing/],
    ['/tools/', '{}', known, 404, 'NOT_FOUND', /POST \/tools\/$/],
    ['/tools/echo', '[]', known, 400, 'BODY_NOT_OBJECT', /object/],
    ['/tools/echo', 'null', known, 400, 'BODY_NOT_OBJECT', /object/],
    ['/tools/echo', '{', known, 400, 'BODY_NOT_JSON', /JSON/],
    ['/tools/echo', '{"a":1,"b":2,"c":3,"d":4}', known, 400, 'INVALID_FIELD', /at most 3/],
    ['/tools/echo?timeout=0', '{}', known, 400, 'INVALID_FIELD', /^timeout must be a number of seconds above 0$/],
    ['/tools/echo?timeout=-1', '{}', known, 400, 'INVALID_FIELD', /^timeout must be/],
    ['/tools/echo?timeout=1e9', '{}', known, 400, 'INVALID_FIELD', /^timeout must be/],
    ['/tools/echo?timeout=1&timeout=2', '{}', known, 400, 'INVALID_FIELD', /^timeout must be/],
    ['/tools/echo?dry_run=yes', '{}', known, 400, 'INVALID_FIELD', /^dry_run must be true or false$/],
    ['/tools/echo?result=xml', '{}', known, 400, 'INVALID_FIELD', /^result must be "default", "json" or "mcp"$/],
    [`/tools/${'x'.repeat(1_025)}`, '{}', known, 400, 'INVALID_FIELD', /at most 1024 characters/]
  ]
  for (const [path, body, headers, status, code, why] of faults) {
    const response = await ask(path, body, headers)
    const { error } = response.json<{ error: string }>()
    t.equal(response.statusCode, status, `${path} ${body}`)
    t.match(error, why)
    t.strictSame(response.json(), callFailure(code, error), `${path} ${body}`)
  }
  t.equal((await app.inject({ method: 'GET', url: '/tools/echo', headers: known })).statusCode, 405)
  t.equal((await ask('/tools/echo', '', known)).statusCode, 200, 'no body is no arguments')
})

t.test('a call by path is followed by events, and audited as a call of its tool', async t => {
  const service = await listen(t, { MCP_AUDIT_LOG: 'on' })
  const id = crypto.randomUUID()
  const post = (path: string, body: object, headers: Record<string, string> = {}) =>
    fetch(`${service.url}${path}`, { method: 'POST', body: JSON.stringify(body), headers })
  await post('/init', { session_id: id, apiUrl: 'https://api.example.com', jwtToken: 'a.b.c' })
  const response = await post('/tools/echo', { text: 'hello' }, { 'x-session-id': id, accept: 'text/event-stream' })
  t.match(response.headers.get('content-type'), /^text\/event-stream/)
  t.match(await response.text(), /event: result\n.*data: \{"text":"hello"/s)
  const lines = service.output().split('\n').filter(line => line.includes('"tool_call"'))
  t.equal(lines.length, 1)
  t.match(JSON.parse(lines[0] ?? ''), { event: 'tool_call', route: '/tools/*', tool: 'echo', outcome: 'ok' })
  t.notMatch(service.output(), id, 'the id of the session is in no line')
})

/** What a socket sends, and the head and the body of what comes back. */
async function sendRaw (url: string, request: string): Promise<{ head: string, body: string }> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let text = ''
  socket.on('data', chunk => { text += String(chunk) }).on('error', () => {}).write(request)
  await once(socket, 'close')
  const [head = '', ...rest] = text.split('\r\n\r\n')
  return { head, body: rest.join('') }
}

t.test('what a stranger tries on the path of a tool does what it says, or is refused with its reason', async t => {
  const tools = ['plain', 'with.dots', 'with/slash', 'a%2Fb', '..'].map(name => ({ name, inputSchema: { type: 'object' } }))
  const file = join(await makeFolder(t), 'tools.json')
  await writeFile(file, JSON.stringify([...tools, {
    name: 'sess', inputSchema: { type: 'object', properties: { session_id: { type: 'string' } }, required: ['session_id'] }
  }]))
  const corpus = { command: process.execPath, args: [fixture('corpus-server.mjs'), file], values: 'none', lifecycle: 'shared' }
  const service = await listen(t, { MCP_SERVERS_FILE: await serversFile(t, { corpus }) })
  const [id, other] = [await openSession(service), await openSession(service)]
  const mine = `x-session-id: ${id}`
  const ask = (method: string, path: string, headers: string[], body: string) => sendRaw(service.url, [
    `${method} ${path} HTTP/1.1`, 'host: localhost', 'connection: close', ...headers,
    ...(method === 'POST' || body !== '' ? [`content-length: ${Buffer.byteLength(body)}`] : []), '', body
  ].join('\r\n'))

  /** Calls that are made: what the tool gets. */
  const good: Array<[path: string, headers: string[], body: string, name: string, args?: object]> = [
    ['/tools/plain', [mine], '{"a":1}', 'plain', { a: 1 }], ['/tools/plain', [mine], '', 'plain'],
    ['/tools/plain', [mine], ' \n', 'plain'], ['/tools/plain', [mine, 'content-type: text/plain'], '{}', 'plain'],
    ['/tools/plain', [mine, 'content-type:'], '{}', 'plain'], ['/tools/plain?', [mine], '{}', 'plain'],
    ['/tools/plain', [mine, 'accept: text/html'], '{}', 'plain'], ['/tools/plain?x=1&__proto__=2', [mine], '{}', 'plain'],
    ['/tools/with.dots', [mine], '{}', 'with.dots'], ['/tools/with%2Edots', [mine], '{}', 'with.dots'],
    ['/tools/with/slash', [mine], '{}', 'with/slash'], ['/tools/with%2Fslash', [mine], '{}', 'with/slash'],
    ['/tools/a%252Fb', [mine], '{}', 'a%2Fb'], ['/tools/..', [mine], '{}', '..'], ['/tools/%2E%2E', [mine], '{}', '..'],
    ['/tools/plain', [mine, mine], '{}', 'plain'], ['/tools/plain', ['x-session-id:', mine], '{}', 'plain'],
    ['/tools/plain', [`X-SESSION-ID:   ${id}  `], '{}', 'plain'],
    ['/tools/sess', [mine], '{"session_id":"x"}', 'sess', { session_id: 'x' }],
    ['/tools/sess', [mine], `{"session_id":"${other}"}`, 'sess', { session_id: other }],
    ['/tools/plain', [mine], '{"constructor":1,"toString":[]}', 'plain', { constructor: 1, toString: [] }]
  ]
  for (const [path, headers, body, name, args = {}] of cases(good, 3)) {
    const answer = await ask('POST', path, headers, body)
    t.match(answer.head, /^HTTP\/1.1 200 /, `${path} ${body}`)
    t.strictSame(JSON.parse(answer.body), { name, args }, path)
  }

  const different = 'The header x-session-id was sent with different ids'
  const forbidden = 'The body has a key that no body may have: __proto__, or prototype within constructor'
  type Refused = [method: string, path: string, headers: string[], body: string, status: number, error: RegExp | string]
  const bad: Refused[] = [
    ['POST', '/tools/plain', [mine, `x-session-id: ${other}`], '{}', 400, different],
    ['POST', '/tools/plain', [`x-session-id: ${id}, ${other}`], '{}', 409, `Session ${id}, ${other} not found`],
    ['POST', '/tools/plain', [mine], '{"__proto__":1}', 400, forbidden],
    ['POST', '/tools/plain', [mine], '{"a":{"__proto__":1}}', 400, forbidden],
    ['POST', '/tools/plain', [mine], '{"__proto__":1', 400, 'The body is not valid JSON'],
    ['POST', '/tools/plain', [], `{"session_id":"${id}"}`, 400, 'Missing X-Session-Id'],
    ['POST', `/tools/plain?session_id=${id}`, [], '{}', 400, 'Missing X-Session-Id'],
    ['POST', '/tools/plain', [mine], '"text"', 400, 'The body must be a JSON object'],
    ['POST', '/tools/plain', [mine, 'content-type: application/x-www-form-urlencoded'], 'a=1', 400, 'not valid JSON'],
    ['POST', '/tools/with%252Fslash', [mine], '{}', 404, 'There is no tool with%2Fslash'],
    ['POST', '/tools/plain/', [mine], '{}', 404, 'There is no tool plain/'],
    ['POST', '/tools/PLAIN', [mine], '{}', 404, 'There is no tool PLAIN'],
    ['POST', '/tools/%00', [mine], '{}', 404, /There is no tool/], ['POST', '/tools/%', [mine], '{}', 400, /'\/tools\/%'/],
    ['POST', '/Tools/plain', [mine], '{}', 404, 'There is no POST /Tools/plain'],
    ...['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'QUERY'].map(method =>
      [method, '/tools/plain', [mine], '', 405, '/tools/plain takes POST'] as Refused)
  ]
  for (const [method, path, headers, body, status, error] of cases(bad, 3)) {
    const answer = await ask(method, path, headers, body)
    t.match(answer.head, new RegExp(`^HTTP/1.1 ${status} `), `${method} ${path} ${body}`)
    t.match((JSON.parse(answer.body) as { error: string }).error, error)
    if (status === 405) t.match(answer.head, /^allow: POST\r?$/im)
  }
  t.match(await ask('HEAD', '/tools/plain', [mine], ''), { head: /^HTTP\/1.1 405 /, body: '' })
})
