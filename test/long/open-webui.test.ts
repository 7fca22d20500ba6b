import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import type { JsonObject } from '../../lib/json.ts'
import type { OpenApiDocument } from '../../lib/openapi/document.ts'
import { makeFolder } from '../support/folders.ts'
import { callFunction, functionsOf } from '../support/open-webui.ts'
import { fixture } from '../support/paths.ts'
import { openSession } from '../support/requests.ts'
import { listen } from '../support/service.ts'
import { serversFile } from '../support/servers-file.ts'

interface CorpusTool { name: string, args?: JsonObject, reply?: unknown, fails?: boolean }

const { resolve } = createRequire(import.meta.url)
const official = (name: string) => resolve(`@modelcontextprotocol/server-${name}/dist/index.js`)
const shared = (...args: string[]) => ({ command: process.execPath, args, values: 'none', lifecycle: 'shared' })
const schemas = readdirSync(fixture('schemas')).map(file => fixture(join('schemas', file)))
const corpus = schemas.flatMap(file => JSON.parse(readFileSync(file, 'utf8')) as CorpusTool[])

async function start () {
  const folder = await makeFolder(t)
  const service = await listen(t, {
    MCP_SERVERS_FILE: await serversFile(t, {
      everything: shared(official('everything'), 'stdio'),
      filesystem: shared(official('filesystem'), folder),
      corpus: shared(fixture('corpus-server.mjs'), ...schemas)
    })
  })
  const session = await openSession(service)
  const headers = { 'x-session-id': session }
  const documentAt = async (path: string) =>
    await (await fetch(`${service.url}${path}`, { headers })).json() as OpenApiDocument
  return { url: service.url, headers, documentAt, folder }
}

const { url, headers, documentAt, folder } = await start()
/** What models' makers take for the name of a function. */
const functionName = /^[a-zA-Z0-9_-]{1,64}$/
const ajv = new Ajv2020({ strict: false, validateFormats: false })

t.test('Open WebUI makes a function of each tool, and nothing else, and each can be called', async t => {
  const document = await documentAt('/openapi/everything.json?operations=tools')
  const functions = functionsOf(document)
  t.equal(functions.length, Object.keys(document.paths).length)
  t.ok(Object.keys(document.paths).every(path => path.startsWith('/tools/everything__')))
  for (const { name, description, parameters } of functions) {
    t.match(name, functionName)
    t.ok(description.length > 0)
    t.equal(ajv.validateSchema(parameters), true, name)
    t.notMatch(JSON.stringify(parameters), '$ref', 'nothing is left to be resolved')
  }
  const call = (name: string, params: JsonObject = {}) => callFunction(document, { url, name, params, headers })
  t.match(await call('everything__get-sum', { a: 2, b: 3 }), { result: /5/ })
  t.match(await call('everything__get-structured-content', { location: 'Chicago' }), { temperature: Number })
  t.match(await call('everything__get-env'), { result: /PATH/ }, 'no arguments')
  await t.rejects(callFunction(document, { url, name: 'everything__echo', params: {}, headers: {} }), {
    message: /HTTP error 400: .*Missing X-Session-Id/
  })
})

t.test('the tools of the corpus are functions, but for those whose schemas lead back to themselves', async t => {
  const document = await documentAt('/openapi/corpus.json?operations=tools')
  const endless: string[] = []
  const without: string[] = []
  for (const { name, args = {}, reply, fails } of corpus) {
    const path = `/tools/${encodeURIComponent(`corpus__${name}`)}`
    const operations = document.paths[path]
    if (operations === undefined) continue
    const alone = { ...document, paths: { [path]: operations } }
    let made
    try {
      [made] = functionsOf(alone)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      endless.push(name)
      continue
    }
    const { name: id = '', parameters } = made ?? {}
    t.match(id, functionName)
    t.equal(ajv.validateSchema(parameters as object), true, name)
    // A model gives only what the function declares.
    const declared = Object.keys(parameters?.properties ?? {})
    if (Object.keys(args).length > 0 && declared.length === 0) without.push(name)
    const params = Object.fromEntries(Object.entries(args).filter(([argument]) => declared.includes(argument)))
    const expected = fails ? { status: 'error', error: `${name} fails` } : reply ?? { name, args: params }
    t.strictSame(await callFunction(alone, { url, name: id, params, headers }), expected, name)
  }
  // docs/clients.md says so of both.
  t.strictSame(endless, [
    'tree_of_pages', 'nest_filters', 'self_recursive', 'cycle_of_two', 'dynamic_tree', 'recursive_2019', 'mutual_all_of'
  ])
  t.strictSame(without, [
    'pattern_properties', 'property_names', 'no_schema_at_all', 'root_one_of', 'root_any_of_without_type', 'root_all_of',
    'root_not', 'pattern_names_of_python'
  ], 'their arguments are not in `properties`')
})

t.test("the service's own operations are functions, too, where the whole document is taken", async t => {
  const document = await documentAt('/openapi/filesystem.json')
  const functions = functionsOf(document)
  t.equal(new Set(functions.map(({ name }) => name)).size, functions.length)
  for (const { name, parameters } of functions) {
    t.match(name, functionName)
    t.equal(ajv.validateSchema(parameters), true, name)
  }
  const call = (name: string, params: JsonObject = {}) => callFunction(document, { url, name, params, headers })
  t.match(await call('getTools', { server: 'filesystem' }), { tools: [{ name: /^filesystem__/ }] })
  t.match(await call('filesystem__list_directory', { path: folder }), { content: String })
  t.match(await call('listCalls'), { status: 'ok' })
  t.match(await call('putSessionValues', { a: 1 }), { status: 'ok' })
  t.match(await call('removeSessionValue', { name: 'a' }), { status: 'ok', removed: 1 }, 'a DELETE with a body')
  t.match(await call('deleteSession'), { status: 'ok' })
})
