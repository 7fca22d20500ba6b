import t, { type Test } from 'tap'
import { fixture } from '../support/paths.ts'
import { startRedis } from '../support/redis.ts'
import { failure, initSession } from '../support/requests.ts'
import { build } from '../support/service.ts'

const toolServer = fixture('tool-server.mjs')
const request = { method: 'GET', url: '/tools-schema' } as const

/** Settings for the tool server in one of its modes. */
const inMode = (t: Test, mode: string) => ({
  MCP_SERVERS_FILE: `${t.testdir({ 'servers.json': JSON.stringify({ mcpServers: { analysis: { command: process.execPath, args: [toolServer, mode] } } }) })}/servers.json`
})

t.test('the tools are listed without a session, as /tools lists them', async t => {
  const app = await build(t, { MCP_SERVER_SCRIPT: toolServer })
  const response = await app.inject(request)
  const listed = await app.inject({ method: 'POST', url: '/tools', payload: { session_id: await initSession(app) } })

  t.equal(response.statusCode, 200)
  // As text: a property called `constructor`, which a tool here has, is more than strictSame can compare.
  t.equal(response.body, JSON.stringify({ status: 'success', tools: listed.json().tools, system_info: null }))
  t.equal(response.json().tools.length, 39)
  t.notMatch(response.body, /jwtToken|apiUrl/)
})

t.test("a session's id in the header changes nothing, whether there is one or not", async t => {
  const app = await build(t)
  const plain = await app.inject(request)
  const response = await app.inject({ ...request, headers: { 'x-session-id': 'nobody' } })
  t.equal(response.statusCode, 200)
  t.strictSame(response.json(), plain.json())
})

t.test('system_info comes from the guidance file', async t => {
  const folder = t.testdir({
    'guidance.json': '{"system_info":{"name":"Analysis","steps":[1]},"workflow_guidance":{}}',
    'half.json': '{}',
    'marked.json': '\ufeff{"system_info":7}\r\n'
  })
  const full = await build(t, { MCP_GUIDANCE_FILE: `${folder}/guidance.json` })
  const half = await build(t, { MCP_GUIDANCE_FILE: `${folder}/half.json` })
  t.strictSame((await full.inject(request)).json().system_info, { name: 'Analysis', steps: [1] })
  t.strictSame((await half.inject(request)).json().system_info, null)
  const marked = await build(t, { MCP_GUIDANCE_FILE: `${folder}/marked.json` })
  t.strictSame((await marked.inject(request)).json().system_info, 7, 'after a byte order mark')
})

t.test('it needs no Redis', async t => {
  const redis = await startRedis(t)
  const app = await build(t, { REDIS_URL: redis.url })
  await redis.stop()
  const response = await app.inject(request)
  t.equal(response.statusCode, 200)
  t.equal(response.json().tools[0].name, 'echo')
})

t.test('a server that dies at its start is 502, with what it said last', async t => {
  const app = await build(t, inMode(t, '--dies'))
  const response = await app.inject(request)
  t.equal(response.statusCode, 502)
  t.strictSame(
    response.json(),
    failure(
      'MCP_START',
      'MCP server analysis ended before it was ready (exit code 3); it said: reading the settings\ncannot read settings.ini'
    )
  )
})

t.test('a server that never shakes hands is 504', async t => {
  const app = await build(t, { ...inMode(t, '--hangs'), MCP_SESSION_START_TIMEOUT: '4' })
  const response = await app.inject(request)
  t.equal(response.statusCode, 504)
  t.strictSame(
    response.json(),
    failure(
      'MCP_START_TIMEOUT',
      'MCP server analysis was not ready within 4 s; it said: reading the settings\ncannot read settings.ini',
      { retryable: true }
    )
  )
})

t.test('a server that never lists its tools is 504', async t => {
  const app = await build(t, { ...inMode(t, '--mute'), MCP_API_DEFAULT_TIMEOUT: '0.3' })
  const response = await app.inject(request)
  t.equal(response.statusCode, 504)
  t.strictSame(
    response.json(),
    failure('MCP_TIMEOUT', 'MCP server analysis did not answer the list of tools in time (0.3 s)')
  )
})
