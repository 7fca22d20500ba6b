/* eslint-disable no-template-curly-in-string -- placeholders of the servers file look like those of JavaScript */
import { chmodSync } from 'node:fs'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import {
  credentialNames, fillCommand, fillEndpoint, type HttpSpec, type ServerSpec, type StdioSpec
} from '../../../../lib/mcp/servers-file/server-spec.ts'
import { readServersFile } from '../../../../lib/mcp/servers-file/servers-file.ts'
import { policyDefaults } from '../../../support/servers-file.ts'

const node = process.execPath
const host = { PATH: process.env.PATH, HOME: '/home/${user}', REDIS_PASSWORD: 'canary', API_KEY: 'key-of-the-operator' }

function read (t: Test, mcpServers: unknown): ServerSpec[] {
  const folder = t.testdir({ 'servers.json': JSON.stringify({ mcpServers }) })
  return readServersFile(`${folder}/servers.json`, { host, sensitiveParams: ['apiUrl', 'jwtToken', 'tenant'], policyDefaults })
}

const stdio = (t: Test, entry: object) => read(t, { weather: { command: node, ...entry } })[0] as StdioSpec
const http = (t: Test, entry: object) =>
  read(t, { weather: { url: 'https://mcp.example.com/mcp', ...entry } })[0] as HttpSpec

t.test('a stdio server with nothing but its command', async t => {
  const spec = stdio(t, {})
  t.match(spec, {
    kind: 'stdio',
    name: 'weather',
    prefix: 'weather',
    timeouts: {},
    command: node,
    args: [],
    cwd: process.cwd(),
    lifecycle: 'request'
  })
  t.notOk('warmSpares' in spec || 'includeTools' in spec || 'excludeTools' in spec, 'what is not said is absent')
  t.strictSame(credentialNames(spec), [])
  t.strictSame(fillCommand(spec, {}), {
    name: 'weather',
    command: node,
    args: [],
    env: { HOME: '/home/${user}', PATH: process.env.PATH },
    cwd: process.cwd(),
    secrets: []
  })
})

t.test('a byte order mark before the file is passed over, and nothing else is', async t => {
  const text = JSON.stringify({ mcpServers: { weather: { command: node } } })
  const readText = (content: string) =>
    readServersFile(`${t.testdir({ 'servers.json': content })}/servers.json`, { host, sensitiveParams: [], policyDefaults })
  for (const content of [`\ufeff${text}`, `\ufeff \r\n${text}\r\n`]) t.equal(readText(content)[0]?.name, 'weather')
  for (const content of [`\ufeff\ufeff${text}`, '\ufeff', `x${text}`]) t.throws(() => readText(content), /is not valid JSON/)
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
    prefix: 'w-1',
    timeouts: { startMs: 500, listMs: 10_000, callMs: 86_400_000 },
    includeTools: ['get_*'],
    excludeTools: ['get_secret'],
    lifecycle: 'request',
    warmSpares: 0
  })
  t.strictSame(credentialNames(spec), ['tenant', 'jwtToken'])
  t.strictSame(fillCommand(spec, { tenant: 7, jwtToken: 'a.b.c' }), {
    name: 'weather',
    command: node,
    args: ['--tenant', '7'],
    env: { PATH: process.env.PATH, HOME: '/elsewhere', TOKEN: 'a.b.c', KEY: 'key-of-the-operator' },
    cwd: t.testdirName,
    // Variables of the operator first, then the values of TOKEN and KEY, whose names sound secret.
    secrets: ['key-of-the-operator', 'a.b.c']
  })
  t.throws(() => fillCommand(spec, { tenant: 7 }), {
    code: 'MCPC_ERR_MISSING_CREDENTIAL', message: /^MCP server weather needs the credential jwtToken, /
  })
})

t.test('an http server with nothing but its url', async t => {
  const spec = http(t, {})
  t.match(spec, {
    kind: 'http',
    name: 'weather',
    prefix: 'weather',
    timeouts: {},
    label: 'https://mcp.example.com/mcp',
    session: 'kept'
  })
  t.strictSame(fillEndpoint(spec, {}), {
    name: 'weather', url: 'https://mcp.example.com/mcp', headers: {}, secrets: []
  })
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
  const { secrets, ...endpoint } = fillEndpoint(spec, {
    tenant: 'a&b', jwtToken: 'a.b.c', apiUrl: 'https://api.example.com'
  })
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
  t.equal(
    http(t, { type: 'sse' }).session,
    'request',
    'the older transport has no session that another worker could go on with'
  )
})

t.test('the name for people holds no value of a placeholder', async t => {
  t.equal(
    http(t, { url: 'https://mcp.example.com/${env.API_KEY}?a=${session.tenant}' }).label,
    'https://mcp.example.com/${env.API_KEY}'
  )
})

t.test('servers come in their order, without those that are disabled', async t => {
  const specs = read(t, {
    b: { command: node },
    off: { disabled: true, command: 'no-such-command', headers: 1 },
    a: { url: 'http://localhost:1/' },
    on: { command: node, disabled: false }
  })
  t.strictSame(specs.map(({ name }) => name), ['b', 'a', 'on'])
  t.throws(() => read(t, { off: { command: node, disabled: true } }), {
    code: 'MCPC_ERR_CONFIG', message: /^MCP_SERVERS_FILE must name a server that is not disabled, but /
  })
})

t.test('a name with other characters makes a prefix of allowed ones', async t => {
  const names = read(t, {
    'Wetter (Zürich) 🙂': { command: node },
    ['x'.repeat(50)]: { command: node },
    __proto__x: { command: node }
  })
  t.strictSame(names.map(({ prefix }) => prefix), ['Wetter__Z_rich___', 'x'.repeat(32), '__proto__x'])
  t.equal(stdio(t, { prefix: '' }).prefix, '', 'and may be left out')
})

t.test('a command is found on the server\'s own PATH, or from its folder', async t => {
  const folder = t.testdir({
    bin: { tool: '#!/bin/sh\n' },
    'servers.json': JSON.stringify({
      mcpServers: {
        a: { command: 'tool', env: { PATH: `${t.testdirName}/bin` } },
        b: { command: './tool', cwd: 'bin' }
      }
    })
  })
  chmodSync(`${folder}/bin/tool`, 0o755)
  t.match(readServersFile(`${folder}/servers.json`, { host, sensitiveParams: [], policyDefaults }), [
    { command: `${folder}/bin/tool`, cwd: process.cwd() },
    { command: `${folder}/bin/tool`, cwd: `${folder}/bin` }
  ])
})

t.test('a server without a name is refused', async t => {
  t.throws(() => read(t, { ' ': { command: node } }), {
    code: 'MCPC_ERR_CONFIG', message: 'MCP_SERVERS_FILE: server " ": entry must have a name'
  })
})

t.test('that a server keeps state changes nothing in how it is reached', async t => {
  for (const entry of [{}, { lifecycle: 'shared' }]) {
    const { lifecycle, stateful } = stdio(t, { ...entry, stateful: true })
    t.strictSame([lifecycle, stateful], [entry.lifecycle ?? 'request', true])
  }
  for (const entry of [{}, { session: 'request' }]) {
    const { session, stateful } = http(t, { ...entry, stateful: true })
    t.strictSame([session, stateful], [entry.session ?? 'kept', true])
  }
  t.equal(stdio(t, { stateful: false }).stateful, undefined)
})

t.test('a description that ends up in a log has no secret of the operator', async t => {
  const specs = [
    stdio(t, { args: ['canary'], env: { KEY: 'canary', OTHER: '${env.API_KEY}' } }),
    http(t, { url: 'https://mcp.example.com/?key=canary', headers: { Authorization: 'Bearer canary ${env.API_KEY}' } })
  ]
  for (const text of [JSON.stringify(specs), inspect(specs, { depth: 9 })]) {
    t.notMatch(text, /canary|key-of-the-operator/)
  }
})
