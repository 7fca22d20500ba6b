/* eslint-disable no-template-curly-in-string -- placeholders of the servers file look like those of JavaScript */
import { chmodSync } from 'node:fs'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import {
  credentialNames, fillCommand, fillEndpoint, type HttpSpec, type ServerSpec, type StdioSpec
} from '../../../../lib/mcp/servers-file/server-spec.ts'
import { readServersFile } from '../../../../lib/mcp/servers-file/servers-file.ts'

const node = process.execPath
const host = { PATH: process.env.PATH, HOME: '/home/${user}', REDIS_PASSWORD: 'canary', API_KEY: 'key-of-the-operator' }

function read (t: Test, mcpServers: unknown): ServerSpec[] {
  const folder = t.testdir({ 'servers.json': JSON.stringify({ mcpServers }) })
  return readServersFile(`${folder}/servers.json`, { host, sensitiveParams: ['apiUrl', 'jwtToken', 'tenant'] })
}

const stdio = (t: Test, entry: object) => read(t, { weather: { command: node, ...entry } })[0] as StdioSpec
const http = (t: Test, entry: object) => read(t, { weather: { url: 'https://mcp.example.com/mcp', ...entry } })[0] as HttpSpec

t.test('a stdio server with nothing but its command', async t => {
  const spec = stdio(t, {})
  t.match(spec, { kind: 'stdio', name: 'weather', prefix: 'weather', timeouts: {}, command: node, args: [], cwd: process.cwd(), lifecycle: 'request' })
  t.notOk('warmSpares' in spec || 'includeTools' in spec || 'excludeTools' in spec, 'what is not said is absent')
  t.strictSame(credentialNames(spec), [])
  t.strictSame(fillCommand(spec, {}), { name: 'weather', command: node, args: [], env: { HOME: '/home/${user}', PATH: process.env.PATH }, cwd: process.cwd(), secrets: [] })
})

t.test('a stdio server with all that there is', async t => {
  const spec = stdio(t, {
    type: 'stdio',
    args: ['--tenant', '${session.tenant}'],
    env: { TOKEN: '${session.jwtToken}', KEY: '${env.API_KEY}', HOME: '/elsewhere' },
    cwd: '.',
    prefix: 'w-1',
    timeouts: { start: 0.5, list: 10, call: 86_400 },
    includeTools: ['get_*'],
    excludeTools: ['get_secret'],
    warmSpares: 0
  })
  t.match(spec, {
    prefix: 'w-1', timeouts: { startMs: 500, listMs: 10_000, callMs: 86_400_000 }, includeTools: ['get_*'], excludeTools: ['get_secret'], lifecycle: 'request', warmSpares: 0
  })
  t.strictSame(credentialNames(spec), ['tenant', 'jwtToken'])
  t.strictSame(fillCommand(spec, { tenant: 7, jwtToken: 'a.b.c' }), {
    name: 'weather',
    command: node,
    args: ['--tenant', '7'],
    env: { PATH: process.env.PATH, HOME: '/elsewhere', TOKEN: 'a.b.c', KEY: 'key-of-the-operator' },
    cwd: t.testdirName,
    secrets: ['key-of-the-operator', 'key-of-the-operator', 'a.b.c', 'key-of-the-operator'] // as variables of the operator's, and by the names of TOKEN and KEY
  })
  t.throws(() => fillCommand(spec, { tenant: 7 }), { code: 'MCPC_ERR_MISSING_CREDENTIAL', message: /^MCP server weather needs the credential jwtToken, / })
})

t.test('an http server with nothing but its url', async t => {
  const spec = http(t, {})
  t.match(spec, { kind: 'http', name: 'weather', prefix: 'weather', timeouts: {}, label: 'https://mcp.example.com/mcp', session: 'kept' })
  t.strictSame(fillEndpoint(spec, {}), { name: 'weather', url: 'https://mcp.example.com/mcp', headers: {}, secrets: [] })
})

t.test('an http server with all that there is', async t => {
  const spec = http(t, {
    type: 'streamable-http',
    url: 'https://mcp.example.com/mcp?key=${env.API_KEY}&tenant=${session.tenant}',
    headers: { Authorization: 'Bearer ${session.jwtToken}', 'X-Url': '${session.apiUrl}' },
    session: 'request'
  })
  t.match(spec, { kind: 'http', label: 'https://mcp.example.com/mcp', session: 'request' })
  t.strictSame(credentialNames(spec), ['tenant', 'jwtToken', 'apiUrl'])
  const { secrets, ...endpoint } = fillEndpoint(spec, { tenant: 'a&b', jwtToken: 'a.b.c', apiUrl: 'https://api.example.com' })
  t.strictSame(new Set(secrets), new Set(['key-of-the-operator', 'Bearer a.b.c', 'a.b.c', 'https://api.example.com']))
  t.strictSame(endpoint, {
    name: 'weather',
    url: 'https://mcp.example.com/mcp?key=key-of-the-operator&tenant=a%26b',
    headers: { Authorization: 'Bearer a.b.c', 'X-Url': 'https://api.example.com' }
  })
})

t.test('the kind of a server is its type in any of the spellings, or follows from its url', async t => {
  for (const type of ['http', 'streamable-http', 'streamableHttp']) t.equal(http(t, { type }).kind, 'http', type)
  t.equal(http(t, { type: 'sse' }).kind, 'sse')
  t.equal(http(t, { type: 'sse' }).session, 'request', 'the older transport has no session that another worker could go on with')
})

t.test('the name for people holds no value of a placeholder', async t => {
  t.equal(http(t, { url: 'https://mcp.example.com/${env.API_KEY}?a=${session.tenant}' }).label, 'https://mcp.example.com/${env.API_KEY}')
})

t.test('servers come in their order, without those that are disabled', async t => {
  const specs = read(t, { b: { command: node }, off: { disabled: true, command: 'no-such-command', headers: 1 }, a: { url: 'http://localhost:1/' }, on: { command: node, disabled: false } })
  t.strictSame(specs.map(({ name }) => name), ['b', 'a', 'on'])
  t.throws(() => read(t, { off: { command: node, disabled: true } }), { code: 'MCPC_ERR_CONFIG', message: /^MCP_SERVERS_FILE must name a server that is not disabled, but / })
})

t.test('fields of other hosts are passed over', async t => {
  t.equal(stdio(t, { alwaysAllow: ['a'], autoApprove: true, description: 'x', timeout: 3 }).name, 'weather')
})

t.test('a name with other characters makes a prefix of allowed ones', async t => {
  const names = read(t, { 'Wetter (Zürich) 🙂': { command: node }, ['x'.repeat(50)]: { command: node }, __proto__x: { command: node } })
  t.strictSame(names.map(({ prefix }) => prefix), ['Wetter__Z_rich___', 'x'.repeat(32), '__proto__x'])
  t.equal(stdio(t, { prefix: '' }).prefix, '', 'and may be left out')
})

t.test('a command is found on the server\'s own PATH, or from its folder', async t => {
  const folder = t.testdir({
    bin: { tool: '#!/bin/sh\n' },
    'servers.json': JSON.stringify({ mcpServers: { a: { command: 'tool', env: { PATH: `${t.testdirName}/bin` } }, b: { command: './tool', cwd: 'bin' } } })
  })
  chmodSync(`${folder}/bin/tool`, 0o755)
  t.match(readServersFile(`${folder}/servers.json`, { host, sensitiveParams: [] }), [
    { command: `${folder}/bin/tool`, cwd: process.cwd() },
    { command: `${folder}/bin/tool`, cwd: `${folder}/bin` }
  ])
})

/** Entries that are refused: the field that is named, and the rule. */
const refused: Array<[entry: unknown, field: string, rule: RegExp | string]> = [
  ['canary', 'entry', 'must be an object'],
  [{ command: 1 }, 'command', 'must be a non-empty string, or the server must have a url instead'],
  [{}, 'command', 'must be a non-empty string, or the server must have a url instead'],
  [{ command: 'canary' }, 'command', 'must be an executable, but "canary" was not found on PATH'],
  [{ command: './canary' }, 'command', 'must be an executable, but "./canary" was not found'],
  [{ type: 'canary', url: 'https://mcp.example.com' }, 'type', 'must be "stdio", "http" or "sse"'],
  [{ type: 'http' }, 'url', 'must be a non-empty string'],
  [{ disabled: 'canary' }, 'disabled', 'must be true or false'],

  [{ command: node, url: 'https://canary.example.com' }, 'command', 'belongs to a server of type "stdio", and this one is of type "http"'],
  [{ command: node, type: 'stdio', url: 'https://canary.example.com' }, 'url', 'belongs to a server of type "http", and this one is of type "stdio"'],
  [{ command: node, headers: { canary: 'canary' } }, 'headers', 'belongs to a server of type "http", and this one is of type "stdio"'],
  [{ command: node, session: 'kept' }, 'session', 'belongs to a server of type "http", and this one is of type "stdio"'],
  [{ url: 'https://mcp.example.com', type: 'sse', session: 'kept' }, 'session', 'belongs to a server of type "http", and this one is of type "sse"'],
  ...['args', 'env', 'cwd', 'lifecycle', 'warmSpares'].map((field): [object, string, string] =>
    [{ url: 'https://mcp.example.com', [field]: 'canary' }, field, 'belongs to a server of type "stdio", and this one is of type "http"']),

  [{ command: node, args: 'canary' }, 'args', 'must be an array of strings'],
  [{ command: node, args: ['canary', 1] }, 'args', 'must be an array of strings'],
  [{ command: node, args: ['a', 'canary${x}'] }, 'args[1]', /^holds a \$\{ that is neither/],
  [{ command: node, env: ['canary'] }, 'env', 'must be an object of strings'],
  [{ command: node, env: { KEY: 1 } }, 'env', 'must be an object of strings'],
  [{ command: node, env: { 'canary\n': 1 } }, 'env', 'must be an object of strings'],
  [{ command: node, env: { 'KEY=canary': 'x' } }, 'env', 'must have names without =, spaces and control characters'],
  [{ command: node, env: { 'canary\n': 'x' } }, 'env', 'must have names without =, spaces and control characters'],
  [{ command: node, env: { KEY: '${env.NOWHERE}' } }, 'env.KEY', 'needs the variable NOWHERE, which is not set'],
  [{ command: node, env: { KEY: '${session.nobody}' } }, 'env.KEY', 'needs the credential nobody, which is not among MCP_SENSITIVE_PARAMS'],
  [{ command: node, env: { KEY: 'canary\0' } }, 'env.KEY', 'must not hold a NUL character'],
  [{ command: 'node', env: { PATH: '/${session.tenant}/bin' } }, 'env.PATH', 'must be the same for every session: it says which command is meant'],
  [{ command: node, cwd: 1 }, 'cwd', 'must be a string'],
  [{ command: node, cwd: 'nowhere' }, 'cwd', /^must be a folder, but there is none at \/.+\/nowhere$/],
  [{ command: node, lifecycle: 'canary' }, 'lifecycle', 'must be "request" or "shared"'],
  [{ command: node, lifecycle: 'shared', args: ['${session.tenant}'] }, 'lifecycle', 'must be "request": one process for all cannot have the credential tenant of each session'],
  [{ command: node, lifecycle: 'shared', env: { KEY: '${session.tenant}' } }, 'lifecycle', 'must be "request": one process for all cannot have the credential tenant of each session'],
  ...[-1, 1_001, 1.5, '1', null].map((warmSpares): [object, string, string] => [{ command: node, warmSpares }, 'warmSpares', 'must be a whole number from 0 to 1000']),
  [{ command: node, warmSpares: 1, lifecycle: 'shared' }, 'warmSpares', 'is for a server with "lifecycle": "request": a shared one needs none'],
  [{ command: node, warmSpares: 1, env: { KEY: '${session.tenant}' } }, 'warmSpares', 'must be 0: a spare belongs to nobody, and the server needs the credential tenant of a session'],
  [{ command: node, stateful: 'canary' }, 'stateful', 'must be true or false'],
  [{ command: node, stateful: true }, 'stateful', /^cannot be true with "lifecycle": "request".*: declare it "lifecycle": "shared" if all callers may share it, or run it as an HTTP server, whose MCP session is kept per session$/],
  [{ url: 'https://mcp.example.com', stateful: true, session: 'request' }, 'stateful', /^cannot be true with "session": "request"/],
  [{ url: 'https://mcp.example.com', stateful: true, type: 'sse' }, 'stateful', /^cannot be true with "type": "sse"/],

  ...[0, -1, 86_401, '1', null].map((start): [object, string, RegExp] => [{ command: node, timeouts: { start } }, 'timeouts', /^must be an object of start, list and call, each a number of seconds/]),
  [{ command: node, timeouts: { calls: 1 } }, 'timeouts', /^must be an object of start, list and call/],
  [{ command: node, timeouts: 5 }, 'timeouts', /^must be an object of start, list and call/],
  [{ command: node, includeTools: 'canary' }, 'includeTools', 'must be an array of non-empty strings'],
  [{ command: node, includeTools: ['canary', ''] }, 'includeTools', 'must be an array of non-empty strings'],
  [{ command: node, excludeTools: [1] }, 'excludeTools', 'must be an array of non-empty strings'],
  ...['a b', 'x'.repeat(33), 'ü', 1, 'a\n'].map((prefix): [object, string, string] => [{ command: node, prefix }, 'prefix', 'must be at most 32 of the characters A-Z, a-z, 0-9, _ and -']),

  ...['canary', 'ftp://canary.example.com', '//canary', 'https://', 'https://mcp.example.com/ canary', 'https://mcp.example.com/\n', 'file:///canary'].map((url): [object, string, string] => [{ url }, 'url', 'must be an http(s) URL']),
  [{ url: 'https://canary:canary@mcp.example.com' }, 'url', 'must not hold a user or a password: put them into headers'],
  [{ url: 'https://canary@mcp.example.com' }, 'url', 'must not hold a user or a password: put them into headers'],
  [{ url: 'https://mcp.example.com/#canary' }, 'url', 'must not have a fragment (#), which no server is sent'],
  [{ url: 'https://mcp.example.com/#' }, 'url', 'must not have a fragment (#), which no server is sent'],
  [{ url: 'https://mcp.example.com/?canary=1#b=${session.tenant}' }, 'url', 'may hold ${session.tenant} only as a value of its query, behind ? and ='],
  [{ url: 'https://${session.tenant}.example.com/?canary=1' }, 'url', 'may hold ${session.tenant} only as a value of its query, behind ? and ='],
  [{ url: 'https://mcp.example.com', headers: { Authorization: ['canary'] } }, 'headers', 'must be an object of strings'],
  [{ url: 'https://mcp.example.com', headers: { 'Authorization: canary': '' } }, 'headers', 'must have names of letters, digits and !#$%&\'*+-.^_`|~'],
  [{ url: 'https://mcp.example.com', headers: { '': 'canary' } }, 'headers', 'must have names of letters, digits and !#$%&\'*+-.^_`|~'],
  [{ url: 'https://mcp.example.com', headers: { 'canary\n': 'canary' } }, 'headers', 'must have names of letters, digits and !#$%&\'*+-.^_`|~'],
  [{ url: 'https://mcp.example.com', headers: { Authorization: 'canary\n' } }, 'headers.Authorization', 'must not hold characters that cannot be sent in a header'],
  [{ url: 'https://mcp.example.com', headers: { 'X-Key': 'canary', 'x-key': 'canary' } }, 'headers.x-key', 'is there twice, in different spellings'],
  ...['Host', 'content-type', 'Content-Length', 'accept', 'Connection', 'Transfer-Encoding', 'Mcp-Session-Id', 'mcp-protocol-version', 'Mcp-Method', 'mcp-name', 'Mcp-Param-Region', 'Last-Event-ID']
    .map((header): [object, string, string] => [{ url: 'https://mcp.example.com', headers: { [header]: 'canary' } }, `headers.${header}`, 'cannot be set: it belongs to the protocol'])
]
for (const [entry, field, rule] of refused) {
  t.test(`refused: ${encodeURI(JSON.stringify(entry).slice(0, 120))}`, async t => {
    let message = 'it was taken'
    try {
      read(t, { weather: entry })
    } catch (error) {
      t.match(error, { code: 'MCPC_ERR_CONFIG' })
      message = (error as Error).message
    }
    const start = `MCP_SERVERS_FILE: server "weather": ${field} `
    t.equal(message.slice(0, start.length), start)
    if (typeof rule === 'string') t.equal(message.slice(start.length), rule)
    else t.match(message.slice(start.length), rule)
    if (field !== 'command') t.notMatch(message, /canary|\n/)
  })
}

t.test('servers whose tools could not be told apart are refused', async t => {
  t.throws(() => read(t, { 'a b': { command: node }, 'a.b': { command: node } }), { code: 'MCPC_ERR_CONFIG', message: /^MCP_SERVERS_FILE: servers "a b" and "a.b": prefix must / })
  t.equal(read(t, { 'a b': { command: node }, 'a.b': { command: node, disabled: true } }).length, 1, 'one that is disabled has none')
})

t.test('a server without a name is refused', async t => {
  t.throws(() => read(t, { ' ': { command: node } }), { code: 'MCPC_ERR_CONFIG', message: 'MCP_SERVERS_FILE: server " ": entry must have a name' })
})

t.test('a server that keeps state is taken where state can be kept', async t => {
  t.equal(stdio(t, { stateful: true, lifecycle: 'shared' }).lifecycle, 'shared')
  t.equal(http(t, { stateful: true }).session, 'kept')
  t.equal(stdio(t, { stateful: false }).lifecycle, 'request')
})

t.test('a description that ends up in a log has no secret of the operator', async t => {
  const specs = [
    stdio(t, { args: ['canary'], env: { KEY: 'canary', OTHER: '${env.API_KEY}' } }),
    http(t, { url: 'https://mcp.example.com/?key=canary', headers: { Authorization: 'Bearer canary ${env.API_KEY}' } })
  ]
  for (const text of [JSON.stringify(specs), inspect(specs, { depth: 9 })]) t.notMatch(text, /canary|key-of-the-operator/)
})
