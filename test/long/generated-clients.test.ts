import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import t from 'tap'
import type { OpenApiDocument, Operation } from '../../lib/openapi/document.ts'
import { provideApiGenerators, strictConfiguration } from '../support/api-generators.ts'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { makeFolder } from '../support/folders.ts'
import { generatedCaller } from '../support/generated-caller.ts'
import { fixture } from '../support/paths.ts'
import { openSession, post } from '../support/requests.ts'
import { resultText, startScripted } from '../support/scripted-server.ts'
import { listen } from '../support/service.ts'
import { serversFile } from '../support/servers-file.ts'
import { thousandTools } from '../support/thousand-tools.ts'

t.setTimeout(600_000)

interface CorpusTool { name: string, args?: object, reply?: unknown, fails?: boolean }
interface Call {
  id: string
  method: string
  url: string
  body?: unknown
  path?: object
  session?: boolean
}

interface Outcome { by: string, id: string, status: number, body: unknown }

const { resolve } = createRequire(import.meta.url)
const official = (name: string) => resolve(`@modelcontextprotocol/server-${name}/dist/index.js`)
const schemas = readdirSync(fixture('schemas')).map(file => fixture(join('schemas', file)))
const corpus = schemas.flatMap(file => JSON.parse(readFileSync(file, 'utf8')) as CorpusTool[])

const shared = (...args: string[]) => ({ command: process.execPath, args, values: 'none', lifecycle: 'shared' })

const generators = await provideApiGenerators(t)
const file = (name: string) => join(generators.folder, name)

/** Both generated clients of the document, compiled strictly into the folder `js`, with a program that calls them. */
async function generate (text: string, program: string): Promise<void> {
  for (const name of ['src', 'js']) await rm(file(name), { recursive: true, force: true })
  await writeFile(file('openapi.json'), text)
  await writeFile(file('package.json'), '{ "private": true, "type": "commonjs" }')
  await writeFile(file('tsconfig.json'), strictConfiguration(['src'], 'src'))
  await mkdir(file('src'))
  await Promise.all([
    generators.run('openapi-ts', '-i', 'openapi.json', '-o', 'src/hey'),
    generators.run('openapi-typescript', 'openapi.json', '-o', 'src/api.d.ts')
  ])
  await writeFile(file(join('src', 'calls.ts')), program)
  await generators.run('tsc', '-p', 'tsconfig.json')
}

function operationsOf ({ paths }: OpenApiDocument) {
  return Object.entries(paths).flatMap(([url, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ url, method, operation })))
}

t.test('two generators make clients that compile strictly and call every operation', async t => {
  const folder = await makeFolder(t)
  const text = join(folder, 'a.txt')
  await writeFile(text, 'some text\n')
  // Its tool asks again and again.
  const discover = resultText('{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}')
  const question = '{"colour":{"method":"elicitation/create","params":{"message":"Which?"}}}'
  const asking = await startScripted(t, 'stdio', {
    'server/discover': discover,
    'tools/list': resultText('{"tools":[{"name":"ask","inputSchema":{"type":"object"}}]}'),
    'tools/call': resultText(`{"resultType":"input_required","inputRequests":${question},"requestState":"s"}`)
  })
  const service = await listen(t, {
    MCP_SERVERS_FILE: await serversFile(t, {
      everything: shared(official('everything'), 'stdio'),
      filesystem: shared(official('filesystem'), folder),
      corpus: shared(fixture('corpus-server.mjs'), ...schemas),
      asking: { ...asking.entry, lifecycle: 'shared' }
    }),
    MCP_ELICITATION: 'on',
    MCP_ASYNC_CALLS: 'on'
  })
  const session = await openSession(service)
  const response = await fetch(`${service.url}/openapi.json`, { headers: { 'x-session-id': session } })
  const body = await response.text()
  const document = JSON.parse(body) as OpenApiDocument
  t.equal(response.status, 200)
  t.equal((document as unknown as Record<string, unknown>)['x-mcp-errors'], undefined)
  const operations = operationsOf(document)
  t.ok(operations.length > 140, `${operations.length} operations`)

  await generate(body, generatedCaller({ isTyped: true }))
  const { totals, problems } = JSON.parse(
    await generators.run('redocly', 'lint', '--extends=recommended', '--format=json', 'openapi.json')
  ) as { totals: object, problems: unknown[] }
  t.match(totals, { errors: 0, warnings: 0 })
  t.strictSame(problems, [])
  t.match(JSON.parse(await generators.run('validate-api', 'openapi.json')), { valid: true })

  const asked = await post(`${service.url}/call-tool`, { session_id: session, tool: 'asking__ask' })
  const { call = '' } = asked.body as { call?: string }
  /** What the service's own operations are asked; the session itself is ended last. */
  const own: Record<string, Omit<Call, 'id' | 'method' | 'url'>> = {
    openSession: { body: { session_id: 'generated', apiUrl, jwtToken } },
    createSession: { body: { apiUrl, jwtToken } },
    endSession: { body: { session_id: 'generated' } },
    putSessionValues: { body: { values: { a: 1, b: [2] } } },
    removeSessionValue: { path: { name: 'a' } },
    readCall: { path: { id: call } },
    answerCall: { path: { id: call }, body: { session_id: session, responses: { colour: { action: 'decline' } } } },
    cancelCall: { path: { id: call } },
    callTool: { body: { session_id: session, tool: 'everything__echo', params: { message: 'hello' } } },
    readResource: { body: { session_id: session, uri: 'demo://resource/static/document/features.md' } },
    getPrompt: { body: { session_id: session, name: 'everything__simple-prompt' } },
    completeArgument: {
      body: {
        session_id: session,
        ref: { type: 'ref/prompt', name: 'everything__completable-prompt' },
        argument: { name: 'department', value: 'E' }
      }
    }
  }
  const ofSession = { body: { session_id: session } }
  for (const id of ['listTools', 'listResources', 'listResourceTemplates', 'listPrompts']) own[id] = ofSession
  const fixed = new Map<string, object>(Object.entries({
    'trigger-long-running-operation': { duration: 0.1, steps: 1 },
    read_multiple_files: { paths: [text] },
    edit_file: { path: text, edits: [{ oldText: 'some', newText: 'any' }], dryRun: true },
    write_file: { path: join(folder, 'b.txt'), content: 'b' },
    create_directory: { path: join(folder, 'c') },
    move_file: { source: join(folder, 'gone'), destination: join(folder, 'new') },
    search_files: { path: folder, pattern: '*.txt' }
  }))
  for (const name of ['read_file', 'read_text_file', 'read_media_file', 'get_file_info']) fixed.set(name, { path: text })
  for (const name of ['list_directory', 'list_directory_with_sizes', 'directory_tree']) fixed.set(name, { path: folder })
  const listed = await (await fetch(`${service.url}/tools`, { headers: { 'x-session-id': session } })).json() as {
    tools: Array<{ name: string, inputSchema: { required?: string[], properties?: Record<string, { type?: string }> } }>
  }

  /** What a tool is called with: as its author says, or each argument that it requires. */
  function argumentsOf (tool: string): unknown {
    const [server = '', ...rest] = tool.split('__')
    const name = rest.join('__')
    if (server === 'corpus') return corpus.find(one => one.name === name)?.args ?? {}
    const { required = [], properties = {} } = listed.tools.find(one => one.name === tool)?.inputSchema ?? {}
    const examples: Record<string, unknown> = { string: 'x', number: 1, integer: 1, boolean: true, array: [], object: {} }
    return fixed.get(name) ?? Object.fromEntries(required.map(name => [name, examples[properties[name]?.type ?? '']]))
  }

  const calls = operations.map(({ url, method, operation: { operationId = '', security = [] } }): Call => {
    const tool = url.startsWith('/tools/') ? decodeURIComponent(url.slice('/tools/'.length)) : null
    const request = tool === null ? own[operationId] : { body: argumentsOf(tool) }
    return { id: operationId, method, url, ...request, session: security.some(needed => 'session' in needed) }
  })
  const lasts = ['cancelCall', 'deleteSession']
  const others = calls.filter(({ id }) => !lasts.includes(id))
  const phases = [others, ...lasts.map(last => calls.filter(({ id }) => id === last))]
  await writeFile(file('plan.json'), JSON.stringify({ baseUrl: service.url, session, phases }))
  const written = await generators.run('node', join('js', 'calls.js'), 'plan.json')
  const outcomes = written.trim().split('\n').map(line => JSON.parse(line) as Outcome)
  t.equal(outcomes.length, 2 * operations.length, 'each operation, by each client')

  // Each answer is one that its operation describes.
  const ajv = new Ajv2020({ strict: false, validateFormats: false, ownProperties: true })
  ajv.addSchema({ ...document }, 'https://document.invalid/', undefined, false)
  const checks = new Map<object, ValidateFunction>()
  const byId = new Map(operations.map(({ operation }) => [operation.operationId, operation]))
  for (const { by, id, status, body } of outcomes) {
    t.ok(status >= 200 && status < 300, `${id} by ${by}: ${status} ${JSON.stringify(body)?.slice(0, 300)}`)
    t.equal(faultOf(byId.get(id), status, body), null, `${id} by ${by}: ${JSON.stringify(body)?.slice(0, 300)}`)
  }
  const bodies = new Map(outcomes.map(({ by, id, body }) => [`${by} ${id}`, body]))
  for (const { url, operation: { operationId } } of operations) {
    const tool = corpus.find(({ name }) => url === `/tools/${encodeURIComponent(`corpus__${name}`)}`)
    if (tool === undefined) continue
    const { name, args = {}, reply = { name, args }, fails } = tool
    const expected = fails ? { status: 'error', error: `${name} fails` } : reply
    for (const by of ['hey', 'fetch']) t.strictSame(bodies.get(`${by} ${operationId}`), expected, `${name} by ${by}`)
  }

  function faultOf (operation: Operation | undefined, status: number, value: unknown): string | null {
    const response = operation?.responses[status]
    if (response === undefined) return `${status} is not described`
    const schema = response.content?.['application/json']?.schema
    if (schema === undefined) return null
    // Two clients have one answer each.
    const check = checks.get(schema) ??
      ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"https://document.invalid/#/')) as object)
    checks.set(schema, check)
    return check(value) ? null : JSON.stringify(check.errors)
  }
})

t.test('a document of a thousand tools is valid, and the clients of two generators call them', async t => {
  const tools = join(await makeFolder(t), 'tools.json')
  await writeFile(tools, JSON.stringify(thousandTools()))
  const service = await listen(t, {
    MCP_SERVERS_FILE: await serversFile(t, { large: shared(fixture('corpus-server.mjs'), tools) })
  })
  const body = await (await fetch(`${service.url}/openapi.json`)).text()
  const operations = operationsOf(JSON.parse(body) as OpenApiDocument).filter(({ url }) => url.startsWith('/tools/'))
  t.equal(operations.length, 1_000)
  await generate(body, generatedCaller({ isTyped: false }))
  const linted = await generators.run('redocly', 'lint', '--extends=recommended', '--format=json', 'openapi.json')
  t.match(JSON.parse(linted), { totals: { errors: 0, warnings: 0 } })
  t.match(JSON.parse(await generators.run('validate-api', 'openapi.json')), { valid: true })

  const session = await openSession(service)
  const some = operations.filter((_, index) => index % 50 === 0)
  const calls = some.map(({ url, method, operation: { operationId: id } }) =>
    ({ id, method, url, body: { id: 'x', filter: { all: [{}] } }, session: true }))
  await writeFile(file('plan.json'), JSON.stringify({ baseUrl: service.url, session, phases: [calls] }))
  const lines = (await generators.run('node', join('js', 'calls.js'), 'plan.json')).trim().split('\n')
  t.equal(lines.length, 2 * calls.length)
  for (const line of lines) {
    t.match(JSON.parse(line), { status: 200, body: { name: /^tool_\d+$/, args: { id: 'x', filter: { all: [{}] } } } })
  }
})
