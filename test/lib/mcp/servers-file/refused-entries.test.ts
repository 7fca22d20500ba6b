/* eslint-disable no-template-curly-in-string -- placeholders of the servers file look like those of JavaScript */
import t from 'tap'
import { readServersFile } from '../../../../lib/mcp/servers-file/servers-file.ts'
import { policyDefaults } from '../../../support/servers-file.ts'

const node = process.execPath
const host = { PATH: process.env.PATH, API_KEY: 'key-of-the-operator' }
const sensitiveParams = ['apiUrl', 'jwtToken', 'tenant']

const stdio = (fields: object) => ({ command: node, ...fields })
const http = (fields: object) => ({ url: 'https://mcp.example.com', ...fields })

/** An entry, the field that its refusal names, and the rule. `canary` is a secret that the refusal must not repeat. */
type Refusal = [entry: unknown, field: string, rule: RegExp | string]

const belongsTo = (kind: string, other: string) =>
  `belongs to a server of type "${kind}", and this one is of type "${other}"`
const oneForAll = 'must be "request": one process for all cannot have the credential tenant of each session'
const headerNames = 'must have names of letters, digits and !#$%&\'*+-.^_`|~'
const variableNames = 'must have names without =, spaces and control characters'
const command = 'must be a non-empty string, or the server must have a url instead'
const queryOnly = 'may hold ${session.tenant} only as a value of its query, behind ? and ='
const timeouts = /^must be an object of start, list, call and inactivity, each a number of seconds/
const userInUrl = 'must not hold a user or a password: put them into headers'
const fragment = 'must not have a fragment (#), which no server is sent'

const ofTheEntry: Refusal[] = [
  ['canary', 'entry', 'must be an object'],
  [{ command: 1 }, 'command', command],
  [{}, 'command', command],
  [{ command: 'canary' }, 'command', 'must be an executable, but "canary" was not found on PATH'],
  [{ command: './canary' }, 'command', 'must be an executable, but "./canary" was not found'],
  [http({ type: 'canary' }), 'type', 'must be "stdio", "http" or "sse"'],
  [{ type: 'http' }, 'url', 'must be a non-empty string'],
  [{ disabled: 'canary' }, 'disabled', 'must be true or false'],

  [stdio({ url: 'https://canary.example.com' }), 'command', belongsTo('stdio', 'http')],
  [stdio({ type: 'stdio', url: 'https://canary.example.com' }), 'url', belongsTo('http', 'stdio')],
  [stdio({ headers: { canary: 'canary' } }), 'headers', belongsTo('http', 'stdio')],
  [stdio({ session: 'kept' }), 'session', belongsTo('http', 'stdio')],
  [http({ type: 'sse', session: 'kept' }), 'session', belongsTo('http', 'sse')],
  ...['args', 'env', 'cwd', 'uid', 'gid', 'lifecycle', 'warmSpares']
    .map((field): Refusal => [http({ [field]: 'canary' }), field, belongsTo('stdio', 'http')]),

  ...[0, -1, 86_401, '1', null].map((start): Refusal => [stdio({ timeouts: { start } }), 'timeouts', timeouts]),
  [stdio({ timeouts: { calls: 1 } }), 'timeouts', timeouts],
  [stdio({ timeouts: 5 }), 'timeouts', timeouts],
  [stdio({ includeTools: 'canary' }), 'includeTools', 'must be an array of non-empty strings'],
  [stdio({ includeTools: ['canary', ''] }), 'includeTools', 'must be an array of non-empty strings'],
  [stdio({ excludeTools: [1] }), 'excludeTools', 'must be an array of non-empty strings'],
  ...['a b', 'x'.repeat(33), 'ü', 1, 'a\n']
    .map((prefix): Refusal =>
      [stdio({ prefix }), 'prefix', 'must be at most 32 of the characters A-Z, a-z, 0-9, _ and -'])
]

const ofProcesses: Refusal[] = [
  [stdio({ args: 'canary' }), 'args', 'must be an array of strings'],
  [stdio({ args: ['canary', 1] }), 'args', 'must be an array of strings'],
  [stdio({ args: ['a', 'canary${x}'] }), 'args[1]', /^holds a \$\{…\} for a variable, which is not set; /],
  [stdio({ args: ['a', 'canary${'] }), 'args[1]', /^holds a \$\{ that is neither/],
  ...[['canary'], 'canary', { KEY: null }, { KEY: ['canary'] }, { 'canary\n': {} }].map((env): Refusal =>
    [stdio({ env }), 'env', 'must be an object of strings, numbers, true and false']),
  [stdio({ env: { 'canary\n': 1 } }), 'env', variableNames],
  [stdio({ env: { 'KEY=canary': 'x' } }), 'env', variableNames],
  [stdio({ env: { 'canary\n': 'x' } }), 'env', variableNames],
  [stdio({ env: { KEY: '${env.NOWHERE}' } }), 'env.KEY', 'needs the variable NOWHERE, which is not set'],
  [
    stdio({ env: { KEY: '${session.nobody}' } }), 'env.KEY',
    'needs the credential nobody, which is not among MCP_SENSITIVE_PARAMS'
  ],
  [stdio({ env: { KEY: 'canary\0' } }), 'env.KEY', 'must not hold a NUL character'],
  [
    { command: 'node', env: { PATH: '/${session.tenant}/bin' } }, 'env.PATH',
    'must be the same for every session: it says which command is meant'
  ],
  [stdio({ cwd: 1 }), 'cwd', 'must be a string'],
  [stdio({ cwd: 'nowhere' }), 'cwd', /^must be a folder, but there is none at \/.+\/nowhere$/],
  ...['uid', 'gid'].flatMap(field => [-1, 1.5, '0', 'nobody', null, true, [], 2_147_483_648, 4_294_967_295]
    .map((value): Refusal => [stdio({ uid: 0, [field]: value }), field, 'must be a whole number from 0 to 2147483647'])),
  [
    stdio({ gid: 0 }), 'gid',
    'needs a uid: a group alone does not keep a server from what is the service\'s'
  ],
  [stdio({ lifecycle: 'canary' }), 'lifecycle', 'must be "request" or "shared"'],
  [stdio({ lifecycle: 'shared', args: ['${session.tenant}'] }), 'lifecycle', oneForAll],
  [stdio({ lifecycle: 'shared', env: { KEY: '${session.tenant}' } }), 'lifecycle', oneForAll],
  ...[-1, 1_001, 1.5, '1', null]
    .map((warmSpares): Refusal => [stdio({ warmSpares }), 'warmSpares', 'must be a whole number from 0 to 1000']),
  [
    stdio({ warmSpares: 1, lifecycle: 'shared' }), 'warmSpares',
    'is for a server with "lifecycle": "request": a shared one needs none'
  ],
  [
    stdio({ warmSpares: 1, env: { KEY: '${session.tenant}' } }), 'warmSpares',
    'must be 0: a spare starts before its session is known, and the server needs the credential tenant of one'
  ],
  [stdio({ stateful: 'canary' }), 'stateful', 'must be true or false']
]

const ofHttp: Refusal[] = [
  ...[
    'canary', 'ftp://canary.example.com', '//canary', 'https://', 'https://mcp.example.com/ canary',
    'https://mcp.example.com/\n', 'file:///canary'
  ].map((url): Refusal => [{ url }, 'url', 'must be an http(s) URL']),
  [{ url: 'https://canary:canary@mcp.example.com' }, 'url', userInUrl],
  [{ url: 'https://canary@mcp.example.com' }, 'url', userInUrl],
  [{ url: 'https://mcp.example.com/#canary' }, 'url', fragment],
  [{ url: 'https://mcp.example.com/#' }, 'url', fragment],
  [{ url: 'https://mcp.example.com/?canary=1#b=${session.tenant}' }, 'url', queryOnly],
  [{ url: 'https://${session.tenant}.example.com/?canary=1' }, 'url', queryOnly],
  [http({ headers: { Authorization: ['canary'] } }), 'headers', 'must be an object of strings'],
  [http({ headers: { 'Authorization: canary': '' } }), 'headers', headerNames],
  [http({ headers: { '': 'canary' } }), 'headers', headerNames],
  [http({ headers: { 'canary\n': 'canary' } }), 'headers', headerNames],
  [
    http({ headers: { Authorization: 'canary\n' } }), 'headers.Authorization',
    'must not hold characters that cannot be sent in a header'
  ],
  [
    http({ headers: { 'X-Key': 'canary', 'x-key': 'canary' } }), 'headers.x-key',
    'is there twice, in different spellings'
  ],
  ...[
    'Host', 'content-type', 'Content-Length', 'accept', 'Connection', 'Transfer-Encoding', 'Mcp-Session-Id',
    'mcp-protocol-version', 'Mcp-Method', 'mcp-name', 'Mcp-Param-Region', 'Last-Event-ID'
  ].map((header): Refusal =>
    [http({ headers: { [header]: 'canary' } }), `headers.${header}`, 'cannot be set: it belongs to the protocol'])
]

const withTool = (said: unknown) => stdio({ tools: { read: said } })
const withSource = (source: unknown) => withTool({ arguments: { path: source } })
const source = 'tools.read.arguments.path'
const origins = 'names "other", which is neither "caller" nor an enabled server'

const ofValues: Refusal[] = [
  ...['canary', true, null, 7].map((values): Refusal =>
    [stdio({ values }), 'values', 'must be "chain", "none", or an object of keep, fill and from']),
  [stdio({ values: { keep: 'canary' } }), 'values.keep', /^must be one of "parameters", "results", "both", "neither"$/],
  [stdio({ values: { fill: true } }), 'values.fill', /^must be one of "declared", "required", "none"$/],
  [stdio({ values: { from: 'caller' } }), 'values.from', 'must be an array of strings'],
  [stdio({ values: { from: ['other'] } }), 'values.from', origins],
  [stdio({ values: { fil: 'declared' } }), 'values', 'has no "fil": it takes keep, fill, from'],
  [stdio({ tools: 'canary' }), 'tools', 'must be an object with an object for each tool'],
  [withTool('canary'), 'tools.read', 'must be an object'],
  [withTool({ keeps: 'both' }), 'tools.read', 'has no "keeps": it takes keep, fill, from, filled, arguments'],
  [withTool({ fill: 'canary' }), 'tools.read.fill', /^must be one of/],
  [withTool({ filled: 'canary' }), 'tools.read.filled', 'must be an array of strings'],
  [withTool({ filled: ['a'] }), 'tools.read.filled', /^names what the session fills, and/],
  [withTool({ arguments: ['canary'] }), 'tools.read.arguments', 'must be an object with a source for each'],
  [withSource({}), source, /^must be a constant/],
  [withSource({ constant: 1, value: 'a' }), source, /^has no "constant"/],
  [withSource({ value: 7 }), source, /^must be a constant/],
  [withSource({ value: 'jwtToken' }), source, 'names the credential jwtToken: write "${session.jwtToken}" for it'],
  [withSource({ value: 'a', from: 'other' }), `${source}.from`, origins],
  [withSource({ value: 'a', from: 7 }), `${source}.from`, 'must be the name of a server, or "caller"'],
  ...['a', '/~2', 7].map((pointer): Refusal => [withSource({ value: 'a', pointer }), `${source}.pointer`, /JSON Pointer/]),
  [withSource({ value: 'a', optional: 'canary' }), `${source}.optional`, 'must be true or false'],
  [withSource({ value: 'a', writable: 1 }), `${source}.writable`, 'must be true or false'],
  [withSource('${session.unknown}'), source, /not among MCP_SENSITIVE_PARAMS/],
  [withSource('canary ${'), source, /neither \$\{session.NAME\} nor/],
  [stdio({ credentials: 'jwtToken' }), 'credentials', 'must be an array of non-empty strings'],
  [stdio({ credentials: ['other'] }), 'credentials', 'names "other", which is not among MCP_SENSITIVE_PARAMS'],
  [stdio({ result: 'canary' }), 'result', 'must be "default", "json" or "mcp"'],
  [stdio({ validateArguments: true }), 'validateArguments', 'must be "off", "warn" or "on"']
]

t.test('no server is called as the values of callers are', async t => {
  const folder = t.testdir({ 'servers.json': JSON.stringify({ mcpServers: { caller: stdio({}) } }) })
  t.throws(
    () => readServersFile(`${folder}/servers.json`, { host, sensitiveParams, policyDefaults }),
    { message: /server "caller": entry must have another name/ }
  )
})

for (const [entry, field, rule] of [...ofTheEntry, ...ofProcesses, ...ofHttp, ...ofValues]) {
  // The folder of a test is called after it, and after the path of this file: short, so that any checkout has room.
  t.test(`refused: ${encodeURI(JSON.stringify(entry).slice(0, 50))}`, async t => {
    const folder = t.testdir({ 'servers.json': JSON.stringify({ mcpServers: { weather: entry } }) })
    let message = 'it was taken'
    try {
      readServersFile(`${folder}/servers.json`, { host, sensitiveParams, policyDefaults })
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
