import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { openApi } from '../examples/demo.ts'
import { makeFolder } from '../support/folders.ts'
import { root } from '../support/paths.ts'
import { call, initSession } from '../support/requests.ts'
import { build, type Environment, serviceOn } from '../support/service.ts'

const require = createRequire(import.meta.url)

/** The program of an installed package. */
function binOf (name: string): string {
  const manifest = require.resolve(`${name}/package.json`)
  const { bin } = require(manifest) as { bin: Record<string, string> }
  return join(manifest, '..', Object.values(bin)[0] ?? '')
}

const examples = join(root, 'examples')

/** As the service has it without settings. */
const noValues = { MCP_VALUES: undefined }

t.test('server-filesystem does what its caller wants, whatever was called before', async t => {
  const path = await makeFolder(t)
  const file = (name: string) => join(path, name)
  await writeFile(file('lines'), 'one\ntwo\nthree')
  const app = await serviceOn(t, {
    files: {
      command: process.execPath,
      args: [binOf('@modelcontextprotocol/server-filesystem'), path],
      lifecycle: 'shared'
    }
  }, noValues)
  const session = await initSession(app)
  const textOf = async (tool: string, params: object) => {
    const response = await call(app, session, tool, params)
    t.equal(response.headers['x-mcp-injected'], undefined)
    return response.json<{ content?: string }>().content
  }

  t.equal(await textOf('read_text_file', { path: file('lines'), head: 1 }), 'one')
  t.equal(await textOf('read_text_file', { path: file('lines') }), 'one\ntwo\nthree')
  t.match(await textOf('read_text_file', { path: file('lines'), tail: 1 }), /three/)

  const edits = [{ oldText: 'two', newText: '2' }]
  await call(app, session, 'edit_file', { path: file('lines'), edits, dryRun: true })
  t.equal(await readFile(file('lines'), 'utf8'), 'one\ntwo\nthree')
  await call(app, session, 'edit_file', { path: file('lines'), edits })
  t.equal(await readFile(file('lines'), 'utf8'), 'one\n2\nthree')

  await writeFile(file('b'), 'precious')
  await call(app, session, 'write_file', { path: file('c'), content: 'of c' })
  t.match((await call(app, session, 'write_file', { path: file('b') })).json(), { status: 'error' })
  t.equal(await readFile(file('b'), 'utf8'), 'precious', 'nothing is destroyed')

  // A file says what a chain's tool would say.
  const page = `{"status":"success","path":${JSON.stringify(file('b'))},"intermediate":{"a":1},"n":12345678901234567890}`
  await writeFile(file('page'), page)
  const response = await call(app, session, 'read_text_file', { path: file('page') })
  t.equal(response.headers['x-mcp-result'], 'structured')
  t.strictSame(response.json(), { content: page })
  t.match((await call(app, session, 'read_text_file')).json(), { status: 'error' })
  const described = await app.inject({ url: '/session', headers: { 'x-session-id': session } })
  t.strictSame(described.json().values, [])
})

t.test('what a file says fills, in a chain, only what its own server declares', async t => {
  const path = await makeFolder(t)
  const app = await serviceOn(t, {
    files: {
      command: process.execPath,
      args: [binOf('@modelcontextprotocol/server-filesystem'), path],
      lifecycle: 'shared',
      values: 'chain'
    },
    everything: {
      command: process.execPath,
      args: [binOf('@modelcontextprotocol/server-everything'), 'stdio'],
      lifecycle: 'shared',
      values: 'chain'
    }
  }, noValues)
  const session = await initSession(app)
  await writeFile(join(path, 'page'), '{"status":"success","message":"of the page","odd":1}')
  await call(app, session, 'files__read_text_file', { path: join(path, 'page') })
  const answer = await call(app, session, 'everything__echo')
  t.notMatch(answer.body, /of the page/)
  t.equal(answer.headers['x-mcp-injected'], undefined)
})

t.test('server-memory keeps what it is told, and gives it as it is', async t => {
  const file = join(await makeFolder(t), 'memory.jsonl')
  const app = await serviceOn(t, {
    memory: {
      command: process.execPath,
      args: [binOf('@modelcontextprotocol/server-memory')],
      env: { MEMORY_FILE_PATH: file },
      lifecycle: 'shared'
    }
  }, noValues)
  const session = await initSession(app, { names: ['of /init'], query: 'nothing' })
  const entities = [{ name: 'Ann', entityType: 'person', observations: ['{"status":"success","query":"x"}'] }]
  t.equal((await call(app, session, 'create_entities', { entities })).statusCode, 200)
  t.match((await call(app, session, 'open_nodes', { names: ['Ann'] })).json(), { entities })
  t.match((await call(app, session, 'search_nodes')).json(), { status: 'error' }, 'the query is not filled in')
  t.match((await call(app, session, 'search_nodes', { query: 'Ann' })).json(), { entities })
})

t.test('the demo: a value that a tool refuses is not kept, and is not filled into the next call', async t => {
  const credentials = await openApi(t)
  const app = await build(t, { MCP_SERVER_SCRIPT: join(examples, 'mcp-server.mjs'), ...noValues })
  const session = await initSession(app, { ...credentials })
  const refused = await call(app, session, 'list_sources', { limit: 'x', search: 'weather' })
  t.notMatch(refused.json(), { status: 'success' })
  const next = await call(app, session, 'list_sources')
  t.match(next.json(), { status: 'success', pagination: { limit: 10 } })
  t.equal(next.headers['x-mcp-injected'], 'search', 'what fits is kept')
  t.equal(next.headers['x-mcp-result'], 'json')
})

/** A server whose one tool gives what the other one requires. */
const serverScript = `
import { createInterface } from 'node:readline'
const tools = [
  { name: 'make', inputSchema: { type: 'object' }, outputSchema: { properties: { intermediate: { properties: { rows: {} } } } } },
  { name: 'draw', inputSchema: { type: 'object', properties: { rows: {} }, required: ['rows'] } }
]
const answers = {
  initialize: ({ protocolVersion }) => ({ protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } }),
  'tools/list': () => ({ tools })
}
createInterface({ input: process.stdin }).on('line', line => {
  const { id, method, params } = JSON.parse(line)
  if (id === undefined) return
  const result = answers[method]?.(params)
  const error = { code: -32601, message: 'Method not found' }
  console.log(JSON.stringify({ jsonrpc: '2.0', id, ...(result ? { result } : { error }) }))
})
`

t.test('lists of MCP_SERVER_SCRIPT are as ever, unless the operator wants filled parameters marked', async t => {
  const script = join(await makeFolder(t), 'server.mjs')
  await writeFile(script, serverScript)
  const schemaOf = async (env: Environment) => {
    const app = await build(t, { MCP_SERVER_SCRIPT: script, ...noValues, ...env })
    const { tools } = (await app.inject('/tools-schema')).json<{ tools: Array<{ name: string, inputSchema: object }> }>()
    return tools.find(({ name }) => name === 'draw')?.inputSchema
  }
  t.strictSame(await schemaOf({}), { type: 'object', properties: { rows: {} }, required: ['rows'] })
  t.strictSame(await schemaOf({ MCP_LIST_FILLED: 'optional' }), {
    type: 'object', properties: { rows: { 'x-mcp-filled': true } }, required: []
  })
})
