import { createHash } from 'node:crypto'
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { apiUrl, jwtToken, tokenOf } from '../support/credentials.ts'
import { fixture } from '../support/paths.ts'
import { openSession, post } from '../support/requests.ts'
import { resultText, startScripted } from '../support/scripted-server.ts'
import { serversFile } from '../support/servers-file.ts'
import { environment, listen, type ListeningService, spawnService } from '../support/service.ts'
import { until } from '../support/wait.ts'

interface Line { event: string, session?: string, [name: string]: unknown }

const linesIn = (text: string) =>
  text.split('\n').filter(line => line.startsWith('{')).map(line => JSON.parse(line) as Line)

/** Waits until a service has written `count` audit lines. */
async function auditOf (read: () => Line[], count: number): Promise<Line[]> {
  await until(() => read().length >= count, `${count} audit lines are there`)
  return read()
}

const inLog = (service: ListeningService) => () => linesIn(service.output()).filter(({ name }) => name === 'audit')

/** Sends requests that are all audited, except the last one. */
async function walk ({ url }: ListeningService, headers: Record<string, string> = {}): Promise<void> {
  const session = { session_id: 'the-canary-id' }
  const send = (path: string, body: object) => post(url + path, { ...session, ...body }, headers)
  await send('/init', { apiUrl, jwtToken: tokenOf({ sub: 'ann' }) })
  await send('/tools', {})
  await send('/call-tool', { tool: 'recall', params: { name: 'canary-value' } })
  await send('/call-tool', { tool: 'failure', params: {} })
  await send('/call-tool', { tool: 'canary-tool', params: {} })
  await send('/init', { apiUrl, jwtToken: tokenOf({ sub: 'bob' }) })
  await send('/shutdown', {})
  await send('/tools', {})
  await fetch(`${url}/health`)
}

const toolCall = { event: 'tool_call', route: '/call-tool' }

const expected = [
  { event: 'init', route: '/init', statusCode: 200, outcome: 'ok' },
  { event: 'list', route: '/tools', server: 'tool-server', statusCode: 200, outcome: 'ok' },
  { ...toolCall, tool: 'recall', server: 'tool-server', statusCode: 200, outcome: 'ok' },
  { ...toolCall, tool: 'failure', server: 'tool-server', statusCode: 200, outcome: 'tool_error' },
  { ...toolCall, statusCode: 404, outcome: 'MCPC_ERR_UNKNOWN_TOOL' },
  { event: 'init', route: '/init', statusCode: 403, outcome: 'MCPC_ERR_SESSION_TAKEN' },
  { event: 'shutdown', route: '/shutdown', statusCode: 200, outcome: 'ok' },
  { event: 'list', route: '/tools', statusCode: 409, outcome: 'MCPC_ERR_SESSION_NOT_FOUND' }
]

const start = (t: Test, env: Record<string, string | undefined> = {}) =>
  listen(t, { MCP_SERVERS_FILE: fixture('shared-tool-server.json'), ...env })

t.test('who opens, calls, ends and is refused is a line each, and nothing secret is in it', async t => {
  const service = await start(t)
  await walk(service)
  const lines = await auditOf(inLog(service), expected.length)
  t.match(
    lines,
    expected.map(line => ({ ...line, client: null, address: '127.0.0.1', durationMs: Number, session: /^[\w-]{22}$/ }))
  )
  t.equal(lines.length, expected.length)
  t.equal(new Set(lines.map(({ session }) => session)).size, 1)
  t.notMatch(JSON.stringify(lines), /canary|jwt/)
})

t.test('the lines go to a file of their own at any log level, and all workers name a session alike', async t => {
  const file = join(t.testdir({}), 'logs', 'audit.log')
  const shared = await environment(t, { MCP_SERVERS_FILE: fixture('shared-tool-server.json') })
  const env = { ...shared, MCP_AUDIT_LOG: file, MCP_LOG_LEVEL: 'info' }
  const [one, other] = [await start(t, env), await start(t, env)]
  const read = () => linesIn(readFileSync(file, 'utf8'))
  await walk(one)
  const first = await auditOf(read, expected.length)
  t.match(first, expected)
  t.match(first[0], { time: /^\d{4}-\d\d-\d\dT/ })
  await walk(other)
  const both = await auditOf(read, 2 * expected.length)
  t.equal(new Set(both.map(({ session }) => session)).size, 1)
  t.strictSame(inLog(one)(), [])
})

t.test('a line has the name of the API key, and not the key', async t => {
  const key = 'mcpk_canary'
  const service = await start(t, { MCP_CLIENT_API_KEYS: `billing:${createHash('sha256').update(key).digest('hex')}` })
  await walk(service, { 'x-api-key': key })
  await post(
    `${service.url}/init`, { session_id: 'the-canary-id', apiUrl, jwtToken }, { 'x-api-key': 'mcpk_canary-wrong' }
  )
  const lines = await auditOf(inLog(service), expected.length + 1)
  t.match(lines, expected.map(line => ({ ...line, client: 'billing' })))
  t.match(lines.at(-1), { event: 'init', client: null, statusCode: 401, outcome: 'MCPC_ERR_API_KEY' })
  t.notMatch(JSON.stringify(lines), /canary/)
})

t.test('a request that exceeds the rate of its session names the session', async t => {
  const service = await start(t, { MCP_RATE_LIMIT_PER_MINUTE: '1' })
  for (const id of ['one', 'other']) await post(`${service.url}/init`, { session_id: id, apiUrl, jwtToken })
  for (const id of ['one', 'other', 'one']) await post(`${service.url}/tools`, { session_id: id })
  const [, , one, other, refused] = await auditOf(inLog(service), 5)
  t.match(refused, { event: 'list', statusCode: 429, outcome: 'MCPC_ERR_RATE_LIMIT', session: one?.session })
  t.notSame(one?.session, other?.session)
})

t.test('the audit log can be turned off', async t => {
  const service = await start(t, { MCP_AUDIT_LOG: 'off' })
  await walk(service)
  await until(() => service.output().includes('/tools'), 'the log has the requests')
  t.strictSame(inLog(service)(), [])
})

t.test('a full disk does not end the service, and the log says so once', async t => {
  const service = await start(t, { MCP_AUDIT_LOG: '/dev/full' })
  await walk(service)
  await walk(service)
  t.equal((await fetch(`${service.url}/health`)).status, 200)
  await until(() => service.output().includes('audit lines cannot be written'), 'the log says so')
  t.equal(service.output().match(/audit lines cannot be written/g)?.length, 1)
})

t.test('a file that cannot be written stops the start with one line', async t => {
  const env = await environment(t, { MCP_AUDIT_LOG: `${fixture('tool-server.mjs')}/audit.log` })
  const { output, exited } = await spawnService(t, env)
  t.match(await exited, { code: 1 })
  await until(() => output().includes('\n'), 'it says why')
  t.match(output(), /^MCP_AUDIT_LOG must be on, off, or a file that can be written, but .*audit\.log cannot: .*$/m)
})

t.test('a caller who leaves has the outcome caller_left', async t => {
  const hanging = { command: process.execPath, args: [fixture('tool-server.mjs'), '--hangs'] }
  const folder = t.testdir({ 'servers.json': JSON.stringify({ mcpServers: { hanging } }) })
  const service = await listen(t, { MCP_SERVERS_FILE: join(folder, 'servers.json') })
  await post(`${service.url}/init`, { session_id: 'a', apiUrl, jwtToken })
  const leaving = new AbortController()
  const body = JSON.stringify({ session_id: 'a', tool: 'recall' })
  const left = fetch(`${service.url}/call-tool`, { method: 'POST', body, signal: leaving.signal })
  const health = async () => await (await fetch(`${service.url}/health`)).json() as { processes: { alive: number } }
  await until(async () => (await health()).processes.alive === 1, 'the call waits for its server')
  leaving.abort()
  await t.rejects(left)
  t.match((await auditOf(inLog(service), 2))[1], { event: 'tool_call', outcome: 'caller_left' })
})

const scripted = {
  'server/discover': resultText(
    '{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{},"prompts":{},"completions":{}}}'
  ),
  'tools/list': resultText('{"tools":[]}'),
  'resources/list': resultText('{"resources":[{"uri":"x:canary","name":"x"}]}'),
  'resources/templates/list': resultText('{"resourceTemplates":[]}'),
  'prompts/list': resultText('{"prompts":[{"name":"p"}]}'),
  'completion/complete': resultText('{"completion":{"values":["canary"]}}'),
  'resources/read': resultText('{"contents":[]}'),
  'prompts/get': resultText('{"messages":[]}')
}

t.test('each request that is for MCP servers is a line, which names its server, and no URI', async t => {
  const { entry, play } = await startScripted(t, 'http', scripted)
  const service = await start(t, { MCP_SERVERS_FILE: await serversFile(t, { up: entry }), MCP_ELICITATION: 'on' })
  const session = await openSession(service)
  const send = (path: string, body: object = {}) => post(service.url + path, { session_id: session, ...body })
  const prompt = { ref: { type: 'ref/prompt', name: 'p-canary' }, argument: { name: 'a', value: 'canary' } }
  const resource = { ...prompt, ref: { type: 'ref/resource', uri: 'x:canary' } }

  const lines = async (count: number) => (await auditOf(inLog(service), count)).slice(1)
  for (const path of ['/tools', '/resources', '/resource-templates', '/prompts']) await send(path)
  await fetch(`${service.url}/tools-schema`)
  await send('/read-resource', { uri: 'x:canary' })
  await send('/read-resource', { uri: 'x:canary', server: 'up' })
  await send('/get-prompt', { name: 'p', arguments: { a: 'canary' } })
  await send('/complete', prompt)
  await send('/complete', resource)
  const ok = { server: 'up', statusCode: 200, outcome: 'ok', session: /^[\w-]{22}$/ }
  t.match(await lines(11), [
    { ...ok, event: 'list', route: '/tools' },
    { ...ok, event: 'list', route: '/resources' },
    { ...ok, event: 'list', route: '/resource-templates' },
    { ...ok, event: 'list', route: '/prompts' },
    { ...ok, event: 'list', method: 'GET', route: '/tools-schema', session: undefined },
    { ...ok, event: 'read_resource', prompt: undefined },
    { ...ok, event: 'read_resource' },
    { ...ok, event: 'get_prompt', prompt: 'p' },
    { ...ok, event: 'complete', prompt: undefined },
    { ...ok, event: 'complete' }
  ])

  const asks = resultText('{"resultType":"input_required","inputRequests":{"c":{"method":"elicitation/create",' +
    '"params":{"message":"Which?","requestedSchema":{}}}},"requestState":"s"}')
  const refuses = '{"jsonrpc":"2.0","id":$ID,"error":{"code":-32602,"message":"canary"}}'
  await play({ ...scripted, 'resources/read': asks, 'prompts/get': refuses, 'completion/complete': refuses })
  await send('/read-resource', { uri: 'x:canary' })
  await send('/get-prompt', { name: 'p-canary' })
  await send('/complete', resource)
  await send('/get-prompt', { continue: 'canary' })
  await send('/read-resource', { uri: 'x:1', server: 'canary' })
  await send('/get-prompt', {})
  t.match((await lines(17)).slice(10), [
    { event: 'read_resource', server: 'up', statusCode: 202, outcome: 'input_required' },
    { event: 'get_prompt', server: 'up', prompt: undefined, outcome: 'MCPC_ERR_PROMPT_ARGUMENTS' },
    { event: 'complete', server: 'up', outcome: /^MCPC_ERR_/ },
    { event: 'get_prompt', server: undefined, outcome: 'MCPC_ERR_UNKNOWN_CONTINUATION' },
    { event: 'read_resource', server: undefined, statusCode: 400, outcome: 'MCPC_ERR_INVALID_FIELD' },
    { event: 'get_prompt', statusCode: 400, outcome: 'MCPC_ERR_MISSING_FIELD' }
  ])
  t.notMatch(JSON.stringify(await lines(17)), /canary/)
})

t.test('a prompt and its server are named as callers know them, of several servers', async t => {
  const { entry } = await startScripted(t, 'http', scripted)
  const service = await start(t, { MCP_SERVERS_FILE: await serversFile(t, { one: entry, other: entry }) })
  const session = await openSession(service)
  await post(`${service.url}/prompts`, { session_id: session })
  await post(`${service.url}/get-prompt`, { session_id: session, name: 'other__p' })
  await post(`${service.url}/get-prompt`, { session_id: session, name: 'other__canary' })
  const [, list, found, unknown] = await auditOf(inLog(service), 4)
  t.match(list, { event: 'list', server: undefined, outcome: 'ok' })
  t.match(found, { event: 'get_prompt', server: 'other', prompt: 'other__p', outcome: 'ok' })
  t.match(unknown, { event: 'get_prompt', prompt: undefined, outcome: 'MCPC_ERR_UNKNOWN_PROMPT' })
})

t.test('an end that ended nothing is told from one that ended a session', async t => {
  const service = await start(t, { MCP_SESSION_TOKENS: 'required' })
  const init = { session_id: 'a', apiUrl, jwtToken }
  const { session_token: token } = (await post(`${service.url}/init`, init)).body as { session_token: string }
  const end = (id: string, authorization = '') =>
    post(`${service.url}/shutdown`, { session_id: id }, { authorization })
  const endByHeader = (id: string) =>
    fetch(`${service.url}/session`, { method: 'DELETE', headers: { 'x-session-id': id } })

  await end('never')
  await endByHeader('never')
  await end('a')
  await end('a', 'Bearer wrong')
  await end('a', `Bearer ${token}`)
  await end('a', `Bearer ${token}`)
  const [, ...ends] = await auditOf(inLog(service), 7)
  t.strictSame(
    ends.map(({ event, statusCode, outcome }) => [event, statusCode, outcome]),
    ['not_found', 'not_found', 'not_found', 'not_found', 'ok', 'not_found'].map(outcome => ['shutdown', 200, outcome])
  )
})

t.test('a new audit file is its owner\'s alone; one that others may use stays as it is, and the log says so', async t => {
  const folder = t.testdir({})
  const warning = 'the audit file can be read or written by other users of the machine'
  const startOn = async (name: string, mode?: number) => {
    const file = join(folder, name)
    if (mode !== undefined) {
      writeFileSync(file, '')
      chmodSync(file, mode)
    }
    const service = await start(t, { MCP_AUDIT_LOG: file, MCP_LOG_LEVEL: 'info' })
    return { mode: statSync(file).mode & 0o777, warnings: service.output().split(warning).length - 1 }
  }
  t.strictSame(await startOn('new/folder/audit.log'), { mode: 0o600, warnings: 0 })
  t.strictSame(await startOn('new/folder/audit.log'), { mode: 0o600, warnings: 0 }, 'the same file, again')
  for (const mode of [0o600, 0o400 | 0o200]) t.match(await startOn(`own-${mode}`, mode), { mode, warnings: 0 })
  for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666, 0o660]) {
    t.strictSame(await startOn(`wide-${mode}`, mode), { mode, warnings: 1 }, mode.toString(8))
  }
  t.equal((await start(t, { MCP_AUDIT_LOG: '/dev/null', MCP_LOG_LEVEL: 'info' })).output().includes(warning), false)
})

t.test('equal arguments have equal digests on all workers, and no reader can check a guess', async t => {
  const pairs = (encryptionKeys: string | undefined) => [1, 2].map(async () => await start(t, {
    MCP_SESSION_KEY_PREFIX: `test-digest-${encryptionKeys === undefined}-${process.pid}`,
    MCP_ENCRYPTION_KEYS: encryptionKeys
  }))
  const digests: unknown[] = []
  for (const key of [undefined, `k1:${Buffer.alloc(32, 7).toString('base64')}`]) {
    const workers = await Promise.all(pairs(key))
    for (const [index, service] of workers.entries()) {
      const session = { session_id: `digest-${index}` }
      await post(`${service.url}/init`, { ...session, apiUrl, jwtToken })
      for (const params of [{ name: 'a' }, { name: 'b' }, {}, undefined]) {
        await post(`${service.url}/call-tool`, { ...session, tool: 'recall', ...(params && { params }) })
      }
      const lines = await auditOf(inLog(service), 5)
      const [a, b, none, absent] = lines.filter(({ event }) => event === 'tool_call').map(line => line.arguments)
      t.match(a, /^[\w-]{22}$/)
      t.not(a, b)
      t.equal(none, absent)
      digests.push(a)
      for (const hash of ['hex', 'base64url'] as const) {
        t.notMatch(service.output(), createHash('sha256').update('{"name":"a"}').digest(hash).slice(0, 22))
      }
    }
  }
  const [one, other, sealed, sealedToo] = digests
  t.equal(one, other)
  t.equal(sealed, sealedToo)
  t.not(one, sealed)
})
