import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { type Answering, startAnsweringServer } from '../support/answering-server.ts'
import { makeFolder } from '../support/folders.ts'
import { fixture } from '../support/paths.ts'
import { call, initSession, openSession, post, postTo } from '../support/requests.ts'
import { resultText } from '../support/scripted-server.ts'
import { type Entries, serversFile } from '../support/servers-file.ts'
import { listen, serviceOn } from '../support/service.ts'

const require = createRequire(import.meta.url)
const tiny = { command: process.execPath, args: [fixture('tiny-server.mjs')] }
const line = 'an mcp server keeps state between calls, and not all of it will work'
const process1 = /each request has a fresh process: .* gone for the next one\. Run it over HTTP, .* "lifecycle": "shared"/
const session1 = /each request has an MCP session of its own: .* gone for the next one\. Use "session": "kept"/
const shared = /one process serves all callers of a worker: they share what it keeps, other workers have another one/

const warningsOf = (body: unknown) => (body as { warnings?: Record<string, string[]> }).warnings ?? {}

t.test('what a stateful server loses is said at the start and in each list of tools', async t => {
  const far = await startAnsweringServer(t, { answers: { 'tools/list': () => ({ tools: [] }) } })
  const service = await listen(t, {
    MCP_SERVERS_FILE: await serversFile(t, {
      fresh: { ...tiny, stateful: true },
      common: { ...tiny, stateful: true, lifecycle: 'shared' },
      brief: { url: far.url, stateful: true, session: 'request' },
      kept: { url: far.url, stateful: true },
      stateless: { ...tiny, stateful: false },
      silent: tiny
    })
  })
  const lines = service.output().split('\n').filter(text => text.includes(line)).map(text => JSON.parse(text))
  t.strictSame(lines.map(({ level, server }) => [level, server]), [['warn', 'fresh'], ['warn', 'common'], ['warn', 'brief']])
  for (const [index, loss] of [process1, shared, session1].entries()) t.match(lines[index].loss, loss)

  const session = await openSession(service)
  const listed = await post(`${service.url}/tools`, { session_id: session })
  const warnings = warningsOf(listed.body)
  t.strictSame(Object.keys(warnings), ['fresh', 'common', 'brief'])
  t.match(warnings, { fresh: [process1], common: [shared], brief: [session1] })
  t.strictSame(warningsOf(await (await fetch(`${service.url}/tools-schema`)).json()), warnings)
  for (const path of ['/prompts', '/resources', '/resource-templates']) {
    t.strictSame(warningsOf((await post(service.url + path, { session_id: session })).body), {}, path)
  }
  t.equal(service.output().split(line).length - 1, 3, 'and not again with each list')
})

const toolsNamed = (...names: string[]) =>
  ({ tools: names.map(name => ({ name, inputSchema: { type: 'object' } })) })
const declaring = (capabilities: object) => resultText(JSON.stringify({
  protocolVersion: '2025-11-25', capabilities, serverInfo: { name: 'a', version: '1' }
}))
const listing = (list: object) => resultText(JSON.stringify(list))

t.test('a server that shows that it keeps state is known by that, and none that merely looks like it', async t => {
  const experimental = (value: unknown) => ({ initialize: declaring({ tools: {}, experimental: value }) })
  const tools = (...names: string[]) => ({ 'tools/list': listing(toolsNamed(...names)) })
  const annotated = (annotations: object) => ({ 'tools/list': listing({ tools: [{ name: 'a', annotations }] }) })
  const known = {
    object: experimental({ stateful: {} }),
    flag: experimental({ stateful: true }),
    browser: tools('browser_close', 'browser_click', 'browser_navigate'),
    terminal: tools('start_process', 'interact_with_process'),
    annotation: annotated({ statefulHint: true })
  }
  const others = {
    no: experimental({ stateful: false }),
    null: experimental({ stateful: null }),
    words: experimental({ tasks: {}, state: {} }),
    list: experimental(['stateful']),
    half: tools('browser_navigate', 'click'),
    files: tools('open_file', 'write_file', 'close', 'create_session'),
    hints: annotated({ readOnlyHint: false, idempotentHint: false, destructiveHint: true, stateful: 'yes' })
  }
  const folder = await makeFolder(t)
  const entries: Entries = {}
  for (const [name, script] of Object.entries({ ...known, ...others })) {
    const file = join(folder, `${name}.json`)
    await writeFile(file, JSON.stringify(script))
    entries[name] = { command: process.execPath, args: [fixture('scripted-server.mjs'), file] }
  }
  const excluded = { ...entries.browser, excludeTools: ['browser_click'] }
  const service = await listen(t, { MCP_SERVERS_FILE: await serversFile(t, { ...entries, excluded }) })
  t.notOk(service.output().includes(line), 'nothing is known before they have listed their tools')
  const session = await openSession(service)
  for (const time of ['at first', 'again']) {
    const { body } = await post(`${service.url}/tools`, { session_id: session })
    const warnings = warningsOf(body)
    t.strictSame(Object.keys(warnings), Object.keys(known), time)
    for (const sentences of Object.values(warnings)) t.match(sentences, [process1])
  }
  t.equal(service.output().split(line).length - 1, Object.keys(known).length, 'a line for each, once')
})

t.test('a modern server\'s word counts, too, and is remembered with its era', async t => {
  const capabilities = { tools: {}, experimental: { stateful: true } }
  const answering: Answering = { era: '2026', capabilities, answers: { 'tools/list': () => toolsNamed('act') } }
  const upstream = await startAnsweringServer(t, answering)
  const service = await serviceOn(t, { up: { url: upstream.url, session: 'request' } }, { MCP_TOOLS_CACHE_TTL: '0' })
  for (const time of ['at first', 'again']) {
    const listed = await postTo(service, '/tools', { session_id: await initSession(service) })
    t.match(warningsOf(listed.json()), { up: [session1] }, time)
  }
})

/** The program of an installed package, which npx would start. */
function binOf (name: string): string {
  const manifest = require.resolve(`${name}/package.json`)
  const { bin } = require(manifest) as { bin: Record<string, string> }
  return join(manifest, '..', Object.values(bin)[0] ?? '')
}

t.test('published servers that keep their data in files raise no alarm', async t => {
  const folder = await makeFolder(t)
  const service = await serviceOn(t, {
    memory: { command: process.execPath, args: [binOf('@modelcontextprotocol/server-memory')] },
    files: { command: process.execPath, args: [binOf('@modelcontextprotocol/server-filesystem'), folder] },
    everything: { command: process.execPath, args: [binOf('@modelcontextprotocol/server-everything'), 'stdio'] }
  })
  const listed = await postTo(service, '/tools', { session_id: await initSession(service) })
  t.strictSame([listed.statusCode, listed.json().errors, warningsOf(listed.json())], [200, undefined, {}])
})

t.test('a stateful server is called all the same', async t => {
  const service = await serviceOn(t, { up: { ...tiny, stateful: true } })
  const answer = await call(service, await initSession(service), 'count', { n: 1 })
  t.equal(answer.statusCode, 200)
})
