import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { serve } from '../support/http-server.ts'
import { fixture } from '../support/paths.ts'
import { call, initSession, postTo } from '../support/requests.ts'
import { type Environment, serviceOn } from '../support/service.ts'
import { until } from '../support/wait.ts'

const results: Record<string, object> = {
  initialize: {
    protocolVersion: '2025-11-25',
    capabilities: { tools: {}, resources: {}, prompts: {} },
    serverInfo: { name: 's', version: '1' }
  },
  'tools/list': { tools: [{ name: 'act', inputSchema: { type: 'object' } }] },
  'resources/list': { resources: [{ uri: 'a://b', name: 'b' }] },
  'resources/templates/list': { resourceTemplates: [] },
  'prompts/list': { prompts: [{ name: 'ask' }] },
  'prompts/get': { messages: [] },
  'resources/read': { contents: [{ uri: 'a://b', text: 'well' }] },
  'tools/call': { content: [{ type: 'text', text: '{"well":true}' }] }
}

/** A server that never answers some methods, or answers them with a status. */
async function startServer (t: Test, trouble: Record<string, 'hangs' | number> = {}) {
  const state = { trouble, asked: {} as Record<string, number> }
  const { url } = await serve(t, ({ http, message: { id, method = '' } }, response) => {
    if (http !== 'POST') return response.writeHead(405).end()
    if (id === undefined) return response.writeHead(202).end()
    state.asked[method] = (state.asked[method] ?? 0) + 1
    const { [method]: troubled } = state.trouble
    if (troubled === 'hangs') return
    if (troubled !== undefined) return response.writeHead(troubled).end()
    const result = results[method]
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({
      jsonrpc: '2.0', id, ...(result === undefined ? { error: { code: -32_601, message: 'Method not found' } } : { result })
    }))
  })
  return { entry: { url, session: 'request' }, state, asked: (method: string) => state.asked[method] ?? 0 }
}

const brief = { MCP_API_DEFAULT_TIMEOUT: '0.4', MCP_SESSION_START_TIMEOUT: '0.4' }

/** A service on a server in trouble and a good one, which remembers the trouble for as long as the test runs. */
async function withGood (t: Test, troubled: Record<string, unknown>, env: Environment = {}) {
  const good = await startServer(t)
  const app = await serviceOn(t, { slow: troubled, good: good.entry }, { ...brief, MCP_FAILING_TTL: '3600', ...env })
  return { app, good, session: await initSession(app) }
}

const errorsOf = async (app: FastifyInstance, session: string, path = '/tools') =>
  (await postTo(app, path, { session_id: session })).json<{ errors?: Record<string, string> }>().errors?.slow ?? ''

const again = /, and is asked again in (3600|35\d\d) s$/

t.test('a server that hangs is asked once, and the listings that follow pass over it at once', async t => {
  const { entry, asked } = await startServer(t, { 'tools/list': 'hangs' })
  const { app, good, session } = await withGood(t, entry, { MCP_TOOLS_CACHE_TTL: '0' })

  t.equal(await errorsOf(app, session), 'MCP server slow did not answer the list of tools in time (0.4 s)')
  for (let times = 0; times < 10; times++) {
    const { statusCode, ...response } = await postTo(app, '/tools', { session_id: session })
    t.equal(statusCode, 200)
    t.strictSame(response.json().tools.map(({ name }: { name: string }) => name), ['good__act'])
    t.match(response.json().errors.slow, again)
    t.match(response.json().errors.slow, /^MCP server slow did not answer the list of tools in time \(0\.4 s\), and/)
  }
  t.match((await app.inject('/tools-schema')).json().errors.slow, again, 'also without a session')
  t.equal(asked('tools/list'), 1)
  t.equal(good.asked('tools/list'), 12)
})

t.test('a server that hangs at its start is passed over by every list', async t => {
  for (const trouble of ['http', 'stdio'] as const) {
    const server = await startServer(t, { initialize: 'hangs', 'server/discover': 'hangs' })
    const process = { command: globalThis.process.execPath, args: [fixture('zoo-server.mjs'), 'never-answers-initialize'] }
    const { app, session } = await withGood(t, trouble === 'http' ? server.entry : process)
    t.match(await errorsOf(app, session), /^MCP server slow was not ready within 0\.4 s/)
    const before = server.asked('server/discover') + server.asked('initialize')
    for (const path of ['/tools', '/resources', '/resource-templates', '/prompts']) {
      t.match(await errorsOf(app, session, path), again, path)
    }
    t.equal(server.asked('server/discover') + server.asked('initialize'), before)
  }
})

t.test('a server that answers one list is asked for it, whatever other list it does not answer', async t => {
  const { entry, asked } = await startServer(t, { 'resources/list': 'hangs' })
  const { app, session } = await withGood(t, entry, { MCP_TOOLS_CACHE_TTL: '0' })
  for (let times = 0; times < 3; times++) {
    t.match(await errorsOf(app, session, '/resources'), times === 0 ? /in time \(0\.4 s\)$/ : again)
    t.equal(await errorsOf(app, session), '')
  }
  t.equal(asked('resources/list'), 1)
  t.equal(asked('tools/list'), 3)
})

t.test('a resource is read of the server that has it, though another one hangs', async t => {
  const { entry, asked } = await startServer(t, { 'resources/list': 'hangs', 'resources/templates/list': 'hangs' })
  const { app, session } = await withGood(t, entry)
  for (let times = 0; times < 4; times++) {
    t.equal((await postTo(app, '/read-resource', { session_id: session, uri: 'a://b' })).statusCode, 200)
  }
  t.equal(asked('resources/list'), 1)
  const named = await postTo(app, '/read-resource', { session_id: session, uri: 'a://b', server: 'slow' })
  t.strictSame(named.json(), { contents: [{ uri: 'a://b', text: 'well' }] }, 'and of the one that hangs, when it is named')
})

t.test('a call and a prompt ask the server all the same, and the first success is enough', async t => {
  const server = await startServer(t, { 'tools/list': 'hangs', 'prompts/list': 'hangs' })
  const { app, session } = await withGood(t, server.entry)
  const promptOf = () => postTo(app, '/get-prompt', { session_id: session, name: 'slow__ask' })
  await errorsOf(app, session)
  await errorsOf(app, session, '/prompts')
  t.equal((await call(app, session, 'slow__act')).statusCode, 504)
  t.equal((await promptOf()).statusCode, 504)
  t.strictSame([server.asked('tools/list'), server.asked('prompts/list')], [2, 2])
  t.match(await errorsOf(app, session), again)

  server.state.trouble = {}
  t.equal((await call(app, session, 'slow__act')).statusCode, 200)
  t.equal((await promptOf()).statusCode, 200)
  t.strictSame([await errorsOf(app, session), await errorsOf(app, session, '/prompts')], ['', ''])
})

t.test('the only server is asked each time', async t => {
  const { entry, asked } = await startServer(t, { 'tools/list': 'hangs' })
  const app = await serviceOn(t, { slow: entry }, { ...brief, MCP_FAILING_TTL: '3600' })
  const session = await initSession(app)
  for (let times = 1; times <= 3; times++) {
    t.equal((await postTo(app, '/tools', { session_id: session })).statusCode, 504)
    t.equal(asked('tools/list'), times)
  }
})

t.test('with MCP_FAILING_TTL=0 nothing is remembered', async t => {
  const { entry, asked } = await startServer(t, { 'tools/list': 'hangs' })
  const { app, session } = await withGood(t, entry, { MCP_FAILING_TTL: '0' })
  for (let times = 1; times <= 3; times++) {
    t.match(await errorsOf(app, session), /in time \(0\.4 s\)$/)
    t.equal(asked('tools/list'), times)
  }
})

t.test('failures that come soon are not remembered, and end what was', async t => {
  for (const status of [500, 401, 404]) {
    const { entry, asked } = await startServer(t, { 'tools/list': status })
    const { app, session } = await withGood(t, entry)
    for (let times = 1; times <= 3; times++) {
      t.notMatch(await errorsOf(app, session), /again/, `HTTP ${status}`)
      t.ok(asked('tools/list') >= times)
    }
  }
  const server = await startServer(t, { 'tools/list': 'hangs' })
  const { app, session } = await withGood(t, server.entry)
  await errorsOf(app, session)
  server.state.trouble = { 'tools/list': 500 }
  await call(app, session, 'slow__act')
  t.match(await errorsOf(app, session), /HTTP 500/)
})

t.test('what one audience waited for in vain, another one asks for', async t => {
  const { entry, asked } = await startServer(t, { 'tools/list': 'hangs' })
  const personal = { ...entry, headers: { authorization: 'Bearer ${session.jwtToken}' } } // eslint-disable-line no-template-curly-in-string -- a placeholder
  const { app, session } = await withGood(t, personal)
  const other = await initSession(app, { jwtToken: 'other.other.other' })
  const same = await initSession(app)
  t.match(await errorsOf(app, session), /\(0\.4 s\)$/)
  t.match(await errorsOf(app, other), /\(0\.4 s\)$/)
  for (const id of [session, other, same]) t.match(await errorsOf(app, id), again)
  t.equal(asked('tools/list'), 2)
})

t.test('when the time is over one listing asks again, and the others need not wait for it', async t => {
  const { entry, asked, state } = await startServer(t, { 'tools/list': 'hangs' })
  // Long enough that all listings come while the first of them still waits.
  const { app, session } = await withGood(t, entry, { MCP_FAILING_TTL: '0.05', MCP_API_DEFAULT_TIMEOUT: '3', MCP_TOOLS_CACHE_TTL: '0' })
  await errorsOf(app, session)
  await new Promise(resolve => setTimeout(resolve, 100))

  const sentences = await Promise.all(Array.from({ length: 8 }, () => errorsOf(app, session)))
  t.equal(asked('tools/list'), 2)
  t.equal(sentences.filter(sentence => sentence.endsWith(', and is being asked again')).length, 7)
  t.equal(sentences.filter(sentence => sentence.endsWith('(3 s)')).length, 1)

  state.trouble = {}
  await until(async () => await errorsOf(app, session) === '', 'it is asked again, and answers')
  t.equal(asked('tools/list'), 3)
})

t.test('a list that is remembered is shown, also when the server has just not answered', async t => {
  const server = await startServer(t)
  const { app, session } = await withGood(t, server.entry)
  t.equal(await errorsOf(app, session), '')
  server.state.trouble = { 'tools/list': 'hangs' }
  t.equal((await call(app, session, 'slow__unknown')).statusCode, 504)
  t.equal(await errorsOf(app, session), '')
})

t.test('other servers are other servers, when the servers file is read again', async t => {
  const { entry, asked } = await startServer(t, { 'tools/list': 'hangs' })
  const { app, session } = await withGood(t, entry)
  await errorsOf(app, session)
  app.replaceServers(app.readServerSpecs())
  t.match(await errorsOf(app, session), /\(0\.4 s\)$/)
  t.equal(asked('tools/list'), 2)
})
