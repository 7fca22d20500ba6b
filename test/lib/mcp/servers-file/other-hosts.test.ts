/* eslint-disable no-template-curly-in-string -- placeholders of the servers file look like those of JavaScript */
import t, { type Test } from 'tap'
import {
  fillCommand, fillEndpoint, type ServerSpec, type StdioSpec
} from '../../../../lib/mcp/servers-file/server-spec.ts'
import { readServersFile, type ServersFileNote } from '../../../../lib/mcp/servers-file/servers-file.ts'
import { policyDefaults } from '../../../support/servers-file.ts'

const node = process.execPath
const host = { PATH: process.env.PATH, API_KEY: 'key-of-the-operator', HOME: '/home/us' }
const options = { host, sensitiveParams: ['apiUrl', 'jwtToken'], policyDefaults }

function readText (t: Test, text: string, files: Record<string, string> = {}) {
  const notes: ServersFileNote[] = []
  const folder = t.testdir({ 'servers.json': text, ...files })
  const specs = readServersFile(`${folder}/servers.json`, { ...options, tell: note => notes.push(note) })
  return { specs, notes, folder }
}
const read = (t: Test, file: unknown, files?: Record<string, string>) => readText(t, JSON.stringify(file), files)
const readOne = (t: Test, it: unknown, files?: Record<string, string>) => read(t, { mcpServers: { it } }, files)

/** A stdio entry in its shortest form, and one with a url. */
const stdio = (fields: object) => ({ command: node, ...fields })
const http = (fields: object) => ({ url: 'https://mcp.example.com/mcp', ...fields })

/** What a server is reached by, without what only says how it was read. */
function essence (spec: ServerSpec | undefined) {
  if (spec === undefined || spec.kind === 'faulty') return spec?.reason
  const { identity, policy, ...said } = spec
  return spec.kind === 'stdio' ? { ...said, ...fillCommand(spec, {}) } : { ...said, ...fillEndpoint(spec, {}) }
}

t.test('what means the same as ours is taken', async t => {
  const cases: Array<[theirs: object, ours: object]> = [
    [{ serverUrl: 'https://mcp.example.com/mcp' }, http({})],
    [{ httpUrl: 'https://mcp.example.com/mcp' }, http({ type: 'http' })],
    [{ httpUrl: 'https://mcp.example.com/mcp', type: 'http' }, http({ type: 'http' })],
    [{ url: 'https://a.example.com', serverUrl: 'https://a.example.com' }, { url: 'https://a.example.com' }],
    ...['streamable-http', 'streamableHttp', 'streamable_http', 'StreamableHTTP', 'streamablehttp', 'http', 'HTTP'].flatMap(kind =>
      ['type', 'transport'].map((name): [object, object] => [http({ [name]: kind }), http({ type: 'http' })])),
    [http({ transport: 'sse' }), http({ type: 'sse' })],
    [http({ type: 'SSE' }), http({ type: 'sse' })],
    [http({ type: 'http', transport: 'streamable-http' }), http({ type: 'http' })],
    [stdio({ type: 'local' }), stdio({})],
    [stdio({ transport: 'stdio' }), stdio({})],
    [stdio({ disabledTools: ['a', 'b'] }), stdio({ excludeTools: ['a', 'b'] })],
    [stdio({ disabledTools: ['*'] }), stdio({ excludeTools: ['*'] })],
    [stdio({ disabledTools: ['b'], excludeTools: ['a'] }), stdio({ excludeTools: ['a', 'b'] })],
    [http({ disabledTools: ['a'] }), http({ excludeTools: ['a'] })],
    [stdio({ tools: ['a'] }), stdio({ includeTools: ['a'] })],
    [stdio({ tools: ['*'] }), stdio({ includeTools: ['*'] })],
    [stdio({ tools: [] }), stdio({ includeTools: [] })],
    [stdio({ enabled: true }), stdio({})],
    [stdio({ isActive: true, disabled: false }), stdio({ disabled: false })],
    [stdio({ env: { PORT: 8080, RATE: 1.50, ON: true, OFF: false } }), stdio({ env: { PORT: '8080', RATE: '1.5', ON: 'true', OFF: 'false' } })],
    [stdio({ env: { KEY: '${API_KEY}' } }), stdio({ env: { KEY: '${env.API_KEY}' } })],
    [stdio({ env: { KEY: '${env:API_KEY}' } }), stdio({ env: { KEY: '${env.API_KEY}' } })],
    [{ command: '${NODE:-' + node + '}' }, stdio({})],
    [stdio({ cwd: '${NOWHERE:-.}' }), stdio({ cwd: '.' })]
  ]
  for (const [theirs, ours] of cases) {
    const [one, other] = [readOne(t, theirs), readOne(t, ours)]
    t.strictSame(essence(one.specs[0]), essence(other.specs[0]), JSON.stringify(theirs))
    t.equal(one.specs[0]?.identity, other.specs[0]?.identity, 'it is the same server')
    t.strictSame(one.notes, [])
  }
})

t.test('a number in env is as it was written', async t => {
  const { specs } = readText(t, `{"mcpServers": {"it": {"command": "${node}", "env": {"A": 12345678901234567890, "B": 1.50, "C": 1e3, "D": -0}}}}`)
  t.match(fillCommand(specs[0] as StdioSpec, {}).env, { A: '12345678901234567890', B: '1.50', C: '1e3', D: '-0' })
})

t.test('servers that another host switches off are left out', async t => {
  for (const off of [
    { disabled: true }, { enabled: false }, { isActive: false }, { active: false }, { isEnabled: false },
    { enabled: true, disabled: true }
  ]) {
    const { specs } = read(t, { mcpServers: { on: stdio({}), off: { ...off, command: 'there-is-none', sandboxEnabled: true } } })
    t.strictSame(specs.map(({ name }) => name), ['on'], JSON.stringify(off))
  }
})

t.test('what contradicts itself, or has another form, makes its entry faulty', async t => {
  const cases: Array<[entry: object, reason: RegExp]> = [
    [http({ serverUrl: 'https://canary' }), /^serverUrl says something else than url: /],
    [{ serverUrl: 'https://canary/', httpUrl: 'https://canary/b' }, /^httpUrl says something else than serverUrl: /],
    [{ httpUrl: 'https://canary/', type: 'sse' }, /^httpUrl is for a server of type "http"/],
    [{ httpUrl: 'https://canary/', transport: 'stdio' }, /^httpUrl is for a server of type "http"/],
    [{ serverUrl: 'canary' }, /^serverUrl must be an http\(s\) URL$/],
    [{ serverUrl: 7 }, /^serverUrl must be a non-empty string$/],
    [{ httpUrl: '' }, /^httpUrl must be a non-empty string$/],
    [{ serverUrl: 'https://user:canary@mcp.example.com' }, /^serverUrl must not hold a user or a password/],
    [http({ type: 'http', transport: 'sse' }), /^transport says something else than type: /],
    [http({ transport: 'canary' }), /^transport must be "stdio", "http" or "sse"$/],
    [http({ transport: { type: 'canary' } }), /^transport must be "stdio", "http" or "sse"$/],
    [http({ type: 'ws' }), /^type must be "stdio", "http" or "sse"$/],
    [http({ type: null }), /^type must be "stdio", "http" or "sse"$/],
    [stdio({ transport: 'http' }), /^command belongs to a server of type "stdio"/],
    [stdio({ serverUrl: 'https://canary' }), /^command belongs to a server of type "stdio"/],
    [http({ envFile: '.env' }), /^envFile belongs to a server of type "stdio"/],
    ...['canary', [''], [1], { canary: true }, null].map((disabledTools): [object, RegExp] =>
      [stdio({ disabledTools }), /^disabledTools must be an array of non-empty strings$/]),
    [stdio({ disabledTools: ['a'], excludeTools: 'canary' }), /^excludeTools must be an array/],
    [stdio({ tools: ['a'], includeTools: ['canary'] }), /^tools names the only tools that are offered/],
    [stdio({ tools: [{ name: 'canary' }] }), /^tools must be an object with an object for each tool, or an array of names$/],
    [stdio({ enabled: 'canary' }), /^enabled must be true or false$/],
    [stdio({ isActive: 0 }), /^isActive must be true or false$/],
    [stdio({ disabled: 'true' }), /^disabled must be true or false$/],
    [stdio({ env: { KEY: '${input:canary}' } }), /^env\.KEY holds an \$\{input:…\}, which a person would type; write \$\{env\.NAME\}/],
    [http({ headers: { Authorization: 'Bearer ${input:canary}' } }), /^headers\.Authorization holds an \$\{input:…\}/],
    [stdio({ args: ['${workspaceFolder}'] }), /^args\[0\] holds \$\{workspaceFolder\}, which only an editor can fill in/],
    [stdio({ env: { KEY: '${UNSET}' } }), /^env\.KEY needs the variable UNSET, which is not set$/],
    [{ command: '${UNSET}/canary' }, /^command needs the variable UNSET, which is not set$/],
    [{ command: '${session.jwtToken}' }, /^command must be the same for every session$/],
    [{ command: '${API_KEY}' }, /^command must be an executable, but "\$\{API_KEY\}" was not found on PATH$/],
    [stdio({ cwd: '${API_KEY}' }), /^cwd must be a folder, but there is none at \/.*\/\$\{API_KEY\}$/],
    [stdio({ cwd: '${session.apiUrl}' }), /^cwd must be the same for every session$/]
  ]
  for (const [entry, reason] of cases) {
    const { specs, notes } = read(t, { mcpServers: { on: stdio({}), it: entry } })
    const [, faulty] = specs
    t.match(faulty, { kind: 'faulty', reason }, JSON.stringify(entry))
    t.notMatch(JSON.stringify(faulty), /canary|key-of-the-operator/)
    t.strictSame(notes, [], 'nothing is told of an entry that is not run')
  }
})

t.test('the variables of an envFile are the server\'s, and those of env go before them', async t => {
  const file = '\ufeff# ours\nexport TOKEN="a b"\r\nKEY=from-file\nQUOTED=\'${API_KEY} $API_KEY\'\nEMPTY=\n\nLAST=x#y'
  const { specs, folder } = readOne(t, stdio({ envFile: 'conf.env', env: { KEY: 'from-env' } }), { 'conf.env': file })
  const { env, secrets = [] } = fillCommand(specs[0] as StdioSpec, {})
  t.match(env, { TOKEN: 'a b', KEY: 'from-env', QUOTED: '${API_KEY} $API_KEY', EMPTY: '', PATH: host.PATH })
  t.ok(secrets.includes('a b') && secrets.includes('${API_KEY} $API_KEY'), 'all of them are masked')
  t.notMatch(JSON.stringify(specs), 'a b')
  const there = readOne(t, stdio({ envFile: '${DIR:-' + folder + '}/conf.env' }), { 'conf.env': file })
  t.match(fillCommand(there.specs[0] as StdioSpec, {}).env, { KEY: 'from-file' })
  const changed = readOne(t, stdio({ envFile: 'conf.env', env: { KEY: 'from-env' } }), { 'conf.env': file.replace('x#y', 'z') })
  t.not(changed.specs[0]?.identity, specs[0]?.identity, 'a file that changed makes another server of it')
  t.throws(() => readOne(t, { command: 'sh', envFile: 'conf.env' }, { 'conf.env': 'PATH=/nowhere' }), /"sh" was not found on PATH/)
})

t.test('an envFile that cannot be used makes its entry faulty, and nothing of it is repeated', async t => {
  const rule = 'must be a text file with lines of the form NAME=value, but '
  const cases: Array<[envFile: string, content: string | null, reason: string | RegExp]> = [
    ['conf.env', null, /^envFile must be a text file .*conf\.env" does not exist$/],
    ['.', null, /^envFile .* is a folder$/],
    ['/dev/zero', null, `envFile ${rule}"/dev/zero" is no regular file`],
    ['conf.env', 'A=canary\0', /^envFile .* holds a NUL character$/],
    ['conf.env', `A=${'x'.repeat(70_000)}`, /^envFile .* is larger than 64 KiB$/],
    ['conf.env', 'canary key=canary', 'envFile must have names without =, spaces and control characters'],
    ['${session.jwtToken}', null, 'envFile must be the same for every session'],
    ['${API_KEY}.env', null, /^envFile .*\/\$\{API_KEY\}\.env" does not exist$/],
    ['${workspaceFolder}/.env', null, /^envFile holds \$\{workspaceFolder\}, which only an editor can fill in; write the path/],
    ['', null, 'envFile must be a non-empty string']
  ]
  for (const [envFile, content, reason] of cases) {
    const entries = { mcpServers: { on: stdio({}), it: stdio({ envFile }) } }
    const { specs: [, faulty] } = read(t, entries, content === null ? {} : { 'conf.env': content })
    t.match(faulty, { kind: 'faulty', reason }, envFile)
    t.notMatch(JSON.stringify(faulty), /canary|key-of-the-operator/)
  }
})
