/*
 * The conformance suite runs this as "the client", with the address of the scenario's MCP server as its argument. It
 * starts the built service with that server as its only one, and calls the public HTTP API as the scenario needs. So
 * the suite tests the service. A wrong answer ends it with exit code 1 and a reason.
 */
import { deepStrictEqual, ok } from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import app, { options } from '../../dist/app.js'

const url = process.argv.at(-1)
const { MCP_CONFORMANCE_SCENARIO: scenario, MCP_CONFORMANCE_CONTEXT: context = '{}' } = process.env
const redisUrl = process.env.CONFORMANCE_REDIS_URL
const session = `conformance-${process.pid}`

/** The calls of each scenario. */
const acts = {
  initialize: () => list(),

  async tools_call () {
    await list()
    deepStrictEqual(await call('add_numbers', { a: 5, b: 3 }), { result: 'The sum of 5 and 3 is 8' })
  },

  async 'sse-retry' () {
    await list()
    deepStrictEqual(await call('test_reconnection'), { result: 'Reconnection test completed successfully' })
  },

  'request-metadata': () => list(),

  async 'http-standard-headers' () {
    for (const name of await list()) await call(name)
    const { resources } = await post('/resources')
    for (const { uri } of resources) await post('/read-resource', { uri })
    const { prompts } = await post('/prompts')
    for (const { name } of prompts) await post('/get-prompt', { name, arguments: {} })
  },

  async 'http-custom-headers' () {
    await list()
    for (const { name, arguments: args } of JSON.parse(context).toolCalls) await call(name, args)
  },

  async 'http-invalid-tool-headers' () {
    const names = await list()
    deepStrictEqual(names, ['valid_tool'])
    for (const name of names) await call(name, { region: 'us-west1' })
  },

  async 'json-schema-ref-no-deref' () {
    deepStrictEqual(await list(), ['lookup_user'])
  },

  async 'json-schema-2020-12-preservation' () {
    const { tools } = await post('/tools')
    const { inputSchema } = tools.find(({ name }) => name === 'json_schema_2020_12_tool')
    await call('json_schema_echo', { schema: inputSchema })
  },

  async 'sep-2322-client-request-state' () {
    await list()
    // Another call runs while the first is pending: a client might mix up their input requests.
    const pending = await post('/call-tool', { tool: 'test_mrtr_echo_state' }, 202)
    await call('test_mrtr_unrelated')
    await goOn(pending)
    await call('test_mrtr_no_state')
    await call('test_mrtr_no_result_type')
  }
}

async function list () {
  const { tools, errors } = await post('/tools')
  ok(errors === undefined || Object.keys(errors).length === 0, `the list has errors: ${JSON.stringify(errors)}`)
  return tools.map(({ name }) => name)
}

/** Calls a tool, and answers its input requests with the defaults of their forms. */
async function call (tool, params = {}) {
  return await goOn(await post('/call-tool', { tool, params }, [200, 202]))
}

async function goOn (answer) {
  let reply = answer
  for (let rounds = 0; reply?.status === 'input_required'; rounds++) {
    ok(rounds < 5, 'the input requests have no end')
    const responses = Object.fromEntries(reply.requests.map(({ id, params }) =>
      [id, { action: 'accept', content: filledForm(params.requestedSchema) }]))
    reply = await post('/call-tool', { continue: reply.continue, responses }, [200, 202])
  }
  return reply
}

function filledForm ({ properties = {} } = {}) {
  const samples = { string: 'text', number: 1.5, integer: 1, boolean: true }
  const valueFor = schema => schema.default ?? schema.enum?.[0] ?? samples[schema.type]
  return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, valueFor(schema)]))
}

async function post (path, fields = {}, expected = [200]) {
  const payload = { session_id: session, ...fields }
  const { statusCode, body } = await service.inject({ method: 'POST', url: path, payload })
  ok([expected].flat().includes(statusCode), `${path} ${fields.tool ?? ''} answered ${statusCode}: ${body}`)
  return JSON.parse(body)
}

const folder = mkdtempSync(join(tmpdir(), 'mcp-conformance-'))
const serversFile = join(folder, 'servers.json')
writeFileSync(serversFile, JSON.stringify({ mcpServers: { suite: { type: 'http', url } } }))

const service = Fastify({ ...options, logger: { ...options.logger, level: 'warn', stream: process.stderr } })
try {
  ok(Object.hasOwn(acts, scenario), `this client has no calls for the scenario ${scenario}`)
  await service.register(fp(app), {
    env: {
      REDIS_URL: redisUrl,
      MCP_SESSION_KEY_PREFIX: session,
      MCP_SKIP_VALIDATION: 'true',
      MCP_SERVERS_FILE: serversFile,
      MCP_ELICITATION: 'on',
      MCP_LOG_LEVEL: 'warn'
    }
  })
  await post('/init', { apiUrl: 'https://api.example.com', jwtToken: 'not.a-real.token' })
  await acts[scenario]()
  await post('/shutdown')
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  await service.close()
  rmSync(folder, { recursive: true, force: true })
}
