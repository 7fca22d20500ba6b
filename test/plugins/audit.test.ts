import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { apiUrl, jwtToken, tokenOf } from '../support/credentials.ts'
import { fixture } from '../support/paths.ts'
import { post } from '../support/requests.ts'
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

/** Sends requests that are all audited, except the two that neither act nor are refused. */
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
  { ...toolCall, tool: 'recall', server: 'tool-server', statusCode: 200, outcome: 'ok' },
  { ...toolCall, tool: 'failure', server: 'tool-server', statusCode: 200, outcome: 'tool_error' },
  { ...toolCall, statusCode: 404, outcome: 'MCPC_ERR_UNKNOWN_TOOL' },
  { event: 'init', route: '/init', statusCode: 403, outcome: 'MCPC_ERR_SESSION_TAKEN' },
  { event: 'shutdown', route: '/shutdown', statusCode: 200, outcome: 'ok' },
  { event: 'refused', route: '/tools', statusCode: 409, outcome: 'MCPC_ERR_SESSION_NOT_FOUND' }
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
  for (const id of ['one', 'other', 'one']) await post(`${service.url}/tools`, { session_id: id })
  const [one, other, refused] = await auditOf(inLog(service), 3)
  t.match(refused, { event: 'refused', statusCode: 429, outcome: 'MCPC_ERR_RATE_LIMIT', session: one?.session })
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
