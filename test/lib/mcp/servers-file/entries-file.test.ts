import t, { type Test } from 'tap'
import { readServersFile, type ServersFileNote } from '../../../../lib/mcp/servers-file/servers-file.ts'
import { policyDefaults } from '../../../support/servers-file.ts'

const entry = { command: process.execPath }
const faulty = { command: 'there-is-no-such-command' }

function read (t: Test, file: unknown, isStrict = false) {
  const notes: ServersFileNote[] = []
  const folder = t.testdir({ 'servers.json': typeof file === 'string' ? file : JSON.stringify(file) })
  const options = { host: { PATH: process.env.PATH }, sensitiveParams: ['jwtToken'], policyDefaults, isStrict }
  const specs = readServersFile(`${folder}/servers.json`, { ...options, tell: note => notes.push(note) })
  return { names: specs.map(({ name, kind }) => kind === 'faulty' ? `${name} (faulty)` : name), specs, notes }
}

t.test('a file has its entries in mcpServers, or in servers, with comments and trailing commas', async t => {
  const command = JSON.stringify(process.execPath)
  const cases: Array<[file: unknown, names: string[]]> = [
    [{ mcpServers: { a: entry, b: entry } }, ['a', 'b']],
    [{ servers: { a: entry } }, ['a']],
    [{ $schema: './servers-file.schema.json', mcpServers: { a: entry } }, ['a']],
    [`\ufeff// ours\n{"mcpServers": {/* one */ "a": {"command": ${command},},\n"b": {"command": ${command}}, }, }`, ['a', 'b']],
    [`{"servers": {"http://x": {"command": ${command}, "args": ["// no comment", "/*", ",}",]}}}`, ['http://x']]
  ]
  for (const [file, names] of cases) {
    const found = read(t, file)
    t.strictSame(found.names, names)
    t.strictSame(found.notes, [])
  }
})

t.test('a file that cannot be read as one says where and why, and repeats nothing of it', async t => {
  const cases: Array<[file: unknown, sentence: RegExp]> = [
    ['{"mcpServers": {\n  "a": {"command": "canary" "b"}}}', /servers\.json is not valid JSON: line 2, column 29: comma expected$/],
    ['{"mcpServers": {"a": {},\n "a": {"command": "canary"}}}', /: line 2, column 2: the object has a value of that name already$/],
    ['{"mcpServers": {"a": {"env": {"X": "canary", "X": "canary"}}}}', /: line 1, column 46: the object has a value of/],
    ['', /is not valid JSON: line 1, column 1: value expected$/],
    ['['.repeat(50_000), /is not valid JSON: it is nested too deeply$/],
    ['canary = 1\n[mcp_servers.a]', /is not valid JSON: line 1, column 1: /],
    [[], /^MCP_SERVERS_FILE must hold an object "mcpServers" or "servers", but \S+ does not$/],
    [7, /^MCP_SERVERS_FILE must hold an object/],
    [{ mcpServers: [{ name: 'canary' }] }, /^MCP_SERVERS_FILE must hold an object/],
    [{ mcpServers: null }, /^MCP_SERVERS_FILE must hold an object/],
    [{ a: entry }, /^MCP_SERVERS_FILE must hold an object/],
    [{ context_servers: { a: entry } }, /does not; its "context_servers" is another form$/],
    [{ mcp: { servers: { a: entry } } }, /does not; its "mcp" is another form$/],
    [{ servers: {} }, /^MCP_SERVERS_FILE must name a server, but "servers" in \S+ is empty$/],
    [{ mcpServers: { a: entry }, servers: { b: entry } }, /has both "mcpServers" and "servers": keep the one that is meant$/],
    [{ mcpServers: { a: { disabled: true } } }, /^MCP_SERVERS_FILE must name a server that is not disabled/]
  ]
  for (const [file, sentence] of cases) {
    t.throws(() => read(t, file), { code: 'MCPC_ERR_CONFIG', message: sentence }, String(sentence))
    t.throws(() => read(t, file), { message: /^MCP_SERVERS_FILE(?!.*canary)/ })
  }
})

t.test('what other hosts say beside the entries is taken, told of, or refused', async t => {
  const a = { mcpServers: { a: entry, b: entry } }
  const choices: Array<[file: object, names: string[]]> = [
    [{ mcp: { excluded: ['a'] } }, ['b']],
    [{ mcp: { allowed: ['b', 'c'] } }, ['b']],
    [{ allowMCPServers: ['a', 'b'], excludeMCPServers: ['b'] }, ['a']],
    [{ disabledMcpServers: ['a'] }, ['b']],
    [{ disabledMcpjsonServers: [] }, ['a', 'b']]
  ]
  for (const [beside, names] of choices) {
    const found = read(t, { ...a, ...beside })
    t.strictSame(found.names, names, JSON.stringify(beside))
    t.equal(found.notes.filter(({ why }) => why.startsWith('it leaves out the server')).length, 2 - names.length)
  }

  const told: object[] = [
    { inputs: [{ id: 'key', type: 'promptString', password: true }] }, { theme: 'dark' }, { sandbox: { network: {} } },
    { globalShortcut: '' }, { isDxtEnabled: false }, { security: { auth: { selectedType: 'oauth' } } },
    { mcp: { serverCommand: 'x' } }, { ui: { hideTips: true } }, { preferences: {} }
  ]
  for (const beside of told) {
    const found = read(t, { ...a, ...beside })
    t.strictSame(found.names, ['a', 'b'])
    t.match(found.notes, [{ member: Object.keys(beside)[0], why: String }], JSON.stringify(beside))
    t.notOk('server' in (found.notes[0] ?? {}))
  }

  const refused: object[] = [
    { permissions: { deny: ['mcp__a__x'] } }, { allowedMcpServers: [{ serverName: 'a' }] }, { deniedMcpServers: ['a'] },
    { enabledMcpjsonServers: ['a'] }, { tools: { exclude: ['x'] } }, { excludeTools: ['x'] }, { disabledTools: ['x'] },
    { toolPermissions: 'ask' }, { mcp: { allowedTools: ['x'] } }, { serverAllowlist: ['a'] }
  ]
  for (const beside of refused) {
    t.throws(() => read(t, { ...a, ...beside }), {
      code: 'MCPC_ERR_CONFIG', message: new RegExp(`has "${Object.keys(beside)[0]}.*", which may restrict servers or tools`)
    }, JSON.stringify(beside))
  }
  for (const beside of [{ mcp: { excluded: 'a' } }, { allowMCPServers: [7] }, { disabledMcpServers: { a: true } }]) {
    t.throws(() => read(t, { ...a, ...beside }), { message: /must have an array of names in "/ })
  }
})

t.test('one entry that cannot be leaves the others as they are', async t => {
  const { names, specs } = read(t, {
    mcpServers: { a: entry, b: faulty, c: 'canary', d: { ...entry, values: { from: ['b', 'caller'], fill: 'declared' } }, ' ': entry }
  })
  t.strictSame(names, ['a', 'b (faulty)', 'c (faulty)', 'd', '  (faulty)'])
  t.match(specs, [
    { prefix: 'a' },
    { prefix: 'b', reason: 'command must be an executable, but "there-is-no-such-command" was not found on PATH' },
    { prefix: 'c', reason: 'entry must be an object' },
    { policy: { from: ['b', 'caller'] } },
    { reason: 'entry must have a name' }
  ])
  t.strictSame(read(t, { mcpServers: { a: entry, caller: entry } }).names, ['a', 'caller (faulty)'])
  t.strictSame(read(t, { mcpServers: { a: entry, x: { ...faulty, prefix: 'p' } } }).specs[1]?.prefix, 'p')
})

t.test('a faulty entry keeps the arguments that its operator gives to tools', async t => {
  const tools = { read: { arguments: { path: { value: 'folder', from: 'caller' } } } }
  const { specs } = read(t, { mcpServers: { a: entry, b: { ...faulty, tools } } })
  t.strictSame([...specs[1]?.policy.tools.get('read')?.sources.keys() ?? []], ['path'])
})

t.test('of two servers whose tools could not be told apart, the later one is faulty', async t => {
  const cases: Array<[mcpServers: object, names: string[]]> = [
    [{ 'a b': entry, 'a.b': entry, c: entry }, ['a b', 'a.b (faulty)', 'c']],
    [{ a__b: entry, a: entry }, ['a__b', 'a (faulty)']],
    [{ a: { ...entry, prefix: '' }, b: { ...entry, prefix: '' }, c: { ...entry, prefix: '' } }, ['a', 'b (faulty)', 'c (faulty)']],
    [{ a: { ...faulty, prefix: 'p' }, b: { ...entry, prefix: 'p' } }, ['a (faulty)', 'b']],
    [{ 'a b': entry, 'a.b': { ...entry, disabled: true } }, ['a b']]
  ]
  for (const [mcpServers, names] of cases) t.strictSame(read(t, { mcpServers }).names, names)
  const [, refused] = read(t, { mcpServers: { 'a b': entry, 'a.b': entry } }).specs
  t.match(refused, { reason: 'prefix must tell its tools from those of "a b", but "a_b" and "a_b" do not' })
})

t.test('a file in which every entry is faulty, or a strict one, is refused', async t => {
  const command = /command must be an executable, but "there-is-no-such-command" was not found on PATH/.source
  t.throws(() => read(t, { mcpServers: { a: faulty, b: 7, c: { disabled: true } } }), {
    code: 'MCPC_ERR_CONFIG',
    message: new RegExp(`^MCP_SERVERS_FILE: server "a": ${command}; MCP_SERVERS_FILE: server "b": entry must be an object$`)
  })
  t.throws(() => read(t, { mcpServers: { a: entry, b: faulty } }, true), { message: new RegExp(`server "b": ${command}$`) })
  t.throws(() => read(t, { mcpServers: { a: entry, a_: entry } }, true), { message: /server "a_": prefix must tell/ })
  t.strictSame(read(t, { mcpServers: { a: { ...entry, timeout: 5 } } }, true).names, ['a'], 'what is passed over is no fault')
})
