import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { fixture } from '../support/paths.ts'
import { isGiven, redisClient } from '../support/redis.ts'
import { failure, initSession } from '../support/requests.ts'
import { build } from '../support/service.ts'

const toolServer = fixture('tool-server.mjs')

async function tools (
  app: FastifyInstance,
  payload: unknown,
  headers: Record<string, string> = {}
): Promise<[number, unknown]> {
  const response = await app.inject({ method: 'POST', url: '/tools', payload: payload as object, headers })
  return [response.statusCode, response.json()]
}

/** Settings for the tool server in one of its modes. */
const inMode = (t: Test, mode: string) => ({
  MCP_SERVERS_FILE: `${t.testdir({ 'servers.json': JSON.stringify({ mcpServers: { analysis: { command: process.execPath, args: [toolServer, mode] } } }) })}/servers.json`
})

const reported = {
  name: 'report',
  title: 'Report',
  description: 'Tells which arguments it received.',
  inputSchema: {
    type: 'object',
    properties: { question: { type: ['string', 'null'], description: 'What to ask.' }, tenant: { type: 'string' } },
    required: ['question'],
    additionalProperties: true
  },
  outputSchema: { type: 'object', properties: { received: { type: 'object' } }, required: ['received'] },
  annotations: { title: 'Report it', readOnlyHint: true },
  _meta: { 'example.com/cost': 1 }
}

t.test('what /tools lists', async t => {
  const app = await build(t, { MCP_SERVER_SCRIPT: toolServer })
  const session = await initSession(app)
  const [status, body] = await tools(app, { session_id: session })
  const { tools: listed, ...more } = body as { tools: Array<Record<string, unknown>> }

  t.test("the servers' instructions stand beside the tools", async t => {
    t.equal(status, 200)
    t.strictSame(more, { workflow_guidance: { instructions: { 'tool-server': 'Report first, then ask.' } } })
  })

  t.test("every page of the server's list is there, in its order", async t => {
    t.equal(listed.length, 39)
    t.strictSame(
      listed.slice(0, 3).map(({ name }) => name),
      ['report', 'recall', 'recall_prototypes']
    )
    t.equal(listed.at(-1)?.name, 'prototypes')
  })

  t.test('a tool is as its server describes it, without the credentials', async t => {
    t.strictSame(listed[0], reported)
  })

  t.test('fields that the server did not give are left out', async t => {
    t.strictSame(listed.at(-1), { name: 'prototypes', inputSchema: { type: 'object' } })
    t.strictSame(
      listed.find(({ name }) => name === 'die'),
      { name: 'die', inputSchema: { type: 'object', properties: {} } }
    )
    t.notMatch(JSON.stringify(listed), 'null}')
  })

  t.test('the id may come in the header, with a body or without one', async t => {
    const headers = { 'x-session-id': session }
    for (const payload of [{}, undefined, { session_id: session }]) {
      // As text: a property called `constructor`, which a tool here has, is more than strictSame can compare.
      t.equal(JSON.stringify(await tools(app, payload, headers)), JSON.stringify([200, body]))
    }
  })

  t.test('listing restarts the idle TTL', async t => {
    const redis = await redisClient(t)
    const key = `${app.config.session.keyPrefix}:${session}`
    await redis.expire(key, 50)
    await tools(app, { session_id: session })
    t.ok(await isGiven(redis, key, 86_400))
  })
})

t.test('further sensitive names are hidden, too, and the checked credentials also where they are left out', async t => {
  const app = await build(t, { MCP_SERVER_SCRIPT: toolServer, MCP_SENSITIVE_PARAMS: 'jwtToken, tenant' })
  const [, body] = await tools(app, { session_id: await initSession(app) })
  const { inputSchema } = (body as { tools: Array<typeof reported> }).tools[0] ?? {}
  t.strictSame(inputSchema, {
    type: 'object',
    properties: { question: { type: ['string', 'null'], description: 'What to ask.' } },
    required: ['question'],
    additionalProperties: true
  })
})

t.test('the guidance file speaks instead of the servers', async t => {
  const guidance = { workflow_guidance: { steps: ['report', { then: 'ask' }] }, system_info: { name: 'Analysis' } }
  const folder = t.testdir({ 'guidance.json': JSON.stringify(guidance), 'half.json': '{"system_info":"only"}' })
  const full = await build(t, { MCP_SERVER_SCRIPT: toolServer, MCP_GUIDANCE_FILE: `${folder}/guidance.json` })
  const half = await build(t, { MCP_SERVER_SCRIPT: toolServer, MCP_GUIDANCE_FILE: `${folder}/half.json` })
  const mute = await build(t)

  const guidanceOf = async (app: FastifyInstance) => {
    const [, body] = await tools(app, { session_id: await initSession(app) })
    return (body as { workflow_guidance: unknown }).workflow_guidance
  }
  t.strictSame(await guidanceOf(full), guidance.workflow_guidance)
  t.strictSame(
    await guidanceOf(half),
    { instructions: { 'tool-server': 'Report first, then ask.' } },
    'a file without it leaves it to the servers'
  )
  t.strictSame(await guidanceOf(mute), { instructions: {} }, 'a server need not say anything')
})

t.test('refused requests', async t => {
  const app = await build(t)
  const missing = [400, failure('MISSING_FIELD', 'Missing session_id')]
  for (const body of [{}, { session_id: null }, { session_id: '' }, undefined]) { t.strictSame(await tools(app, body), missing) }
  t.strictSame(await tools(app, {}, { 'x-session-id': '' }), missing)
  t.strictSame(await tools(app, { session_id: 'x'.repeat(257) }), [
    400,
    failure(
      'INVALID_FIELD',
      'session_id must be a string of 1 to 256 characters without control characters, or an integer'
    )
  ])

  const nobody = [409, failure('SESSION_NOT_FOUND', 'Session 12 not found or expired. Please run /init first.')]
  for (const id of ['12', 12]) t.strictSame(await tools(app, { session_id: id }), nobody)
  t.strictSame(await tools(app, {}, { 'x-session-id': '12' }), nobody)
  const redis = await redisClient(t)
  t.strictSame(
    await redis.keys(`${app.config.session.keyPrefix}*`),
    [],
    'a session that was asked for is not there for it'
  )

  t.strictSame(await tools(app, {}, { 'x-session-id': Buffer.from('会话').toString('latin1') }), [
    409,
    failure('SESSION_NOT_FOUND', 'Session 会话 not found or expired. Please run /init first.')
  ])
})

t.test('a server that dies at its start is 502, with what it said last', async t => {
  const app = await build(t, inMode(t, '--dies'))
  t.strictSame(await tools(app, { session_id: await initSession(app) }), [
    502,
    failure(
      'MCP_START',
      'MCP server analysis ended before it was ready (exit code 3); it said: reading the settings\ncannot read settings.ini'
    )
  ])
})

t.test('a server that never shakes hands is 504 when its start has taken too long', async t => {
  const app = await build(t, { ...inMode(t, '--hangs'), MCP_SESSION_START_TIMEOUT: '4' })
  t.strictSame(await tools(app, { session_id: await initSession(app) }), [
    504,
    failure(
      'MCP_START_TIMEOUT',
      'MCP server analysis was not ready within 4 s; it said: reading the settings\ncannot read settings.ini',
      { retryable: true }
    )
  ])
})

t.test('a server that never lists its tools is 504', async t => {
  const app = await build(t, { ...inMode(t, '--mute'), MCP_API_DEFAULT_TIMEOUT: '0.3' })
  t.strictSame(await tools(app, { session_id: await initSession(app) }), [
    504,
    failure('MCP_TIMEOUT', 'MCP server analysis did not answer the list of tools in time (0.3 s)')
  ])
})
