import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import t from 'tap'
import { signDemoToken, startDemoApi } from '../../examples/demo-api.mjs'
import { isJsonObject, type JsonObject } from '../../lib/json.ts'
import type { OpenApiDocument, Operation } from '../../lib/openapi/document.ts'
import { root } from '../support/paths.ts'
import { resultText, startScripted, textResult } from '../support/scripted-server.ts'
import { build, serviceOn } from '../support/service.ts'
import { until } from '../support/wait.ts'

type Media = { schema: JsonObject, example?: unknown, examples?: Record<string, { value: unknown }> }
interface Described { id: string, method: string, path: string, operation: Operation }

const describe = (app: FastifyInstance) => JSON.parse(JSON.stringify(app.swagger())) as OpenApiDocument
const operationsOf = ({ paths }: OpenApiDocument): Described[] => Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ id: operation.operationId ?? '', method, path, operation })))
const mediaOf = (holder: { content?: Record<string, unknown> } | undefined) =>
  holder?.content?.['application/json'] as Media | undefined
const examplesOf = (media: Media | undefined): unknown[] => [
  ...(media?.example === undefined ? [] : [media.example]),
  ...Object.values(media?.examples ?? {}).map(({ value }) => value)
]
const goodOf = ({ responses }: Operation) => Object.entries(responses).filter(([status]) => Number(status) < 300)
/** Checks values against schemas of a document. */
function checkerOf (document: OpenApiDocument) {
  const ajv = new Ajv2020({ strict: false, validateFormats: false })
  ajv.addSchema({ ...document }, 'https://document.invalid/', undefined, false)
  const checks = new Map<string, ValidateFunction>()
  return (schema: object, value: unknown) => {
    const text = JSON.stringify(schema).replaceAll('"#/', '"https://document.invalid/#/')
    const check = checks.get(text) ?? ajv.compile(JSON.parse(text) as object)
    checks.set(text, check)
    return check(value) ? null : check.errors
  }
}

t.test('each operation has an example of its request and of each good answer, which its schemas allow', async t => {
  const document = describe(await build(t))
  const faultOf = checkerOf(document)
  for (const { id, operation } of operationsOf(document)) {
    const { parameters = [], requestBody } = operation
    for (const { name, in: place, required, schema, ...rest } of parameters) {
      t.equal('example' in rest, required === true, `${id} ${place} ${name}`)
      if ('example' in rest) t.equal(faultOf(schema ?? {}, rest.example), null, `${id} ${name}`)
    }
    const described = [[id, mediaOf(requestBody)] as const, ...goodOf(operation)
      .map(([status, response]) => [`${id} ${status}`, mediaOf(response)] as const)]
    for (const [what, media] of described) {
      if (media === undefined) continue
      t.ok(examplesOf(media).length > 0, `${what} has an example`)
      for (const example of examplesOf(media)) t.equal(faultOf(media.schema, example), null, what)
    }
  }
  const openedAt = ({ paths }: OpenApiDocument) => mediaOf(paths['/init']?.post?.responses[200])?.example
  t.strictSame(openedAt(document), { status: 'ok' })
  t.match(openedAt(describe(await build(t, { MCP_SESSION_TOKENS: 'required' }))), { status: 'ok', session_token: /./ })
})

/** Members whose values vary: of these only the type is compared. */
const varying = /(^|\.)(session_id|session_token|created_at|expires_at|at|call|continue|\w*_ms|\w*_s|\w*bytes|\w*_seconds_left|sessions|alive|version|text|instructions\.[^.]+)$/
const states = /^(queued|working|completed|failed|cancelled)$/

/** Where an answer is not as its example says: members and types, and the values that do not vary. */
function differences (example: unknown, real: unknown, path = ''): string[] {
  if (Array.isArray(example)) {
    if (!Array.isArray(real)) return [`${path} is no array`]
    // A list has more than its example.
    return example.flatMap((item, index) => {
      const found = real.map(one => differences(item, one, `${path}[${index}]`))
      return found.sort((one, other) => one.length - other.length)[0] ?? [`${path} is empty`]
    })
  }
  if (isJsonObject(example)) {
    if (!isJsonObject(real)) return [`${path} is no object`]
    const names = new Set([...Object.keys(example), ...Object.keys(real)])
    return [...names].flatMap(name => {
      if (!(name in example)) return [`${path}.${name} is not in the example`]
      return name in real ? differences(example[name], real[name], `${path}.${name}`) : [`${path}.${name} is missing`]
    })
  }
  if (typeof example !== typeof real) return [`${path} is ${typeof real}`]
  const isState = states.test(String(example)) && states.test(String(real))
  return example === real || varying.test(path) || isState ? [] : [`${path} is ${JSON.stringify(real)}`]
}

const { resolve } = createRequire(import.meta.url)
const shared = (script: string, ...args: string[]) =>
  ({ command: process.execPath, args: [script, ...args], lifecycle: 'shared', values: args.length > 0 ? 'none' : 'chain' })
const asks = resultText('{"resultType":"input_required","inputRequests":{"colour":{"method":"elicitation/create","params":' +
  '{"message":"Which colour?","requestedSchema":{"type":"object","properties":{"answer":{"type":"string"}},' +
  '"required":["answer"]}}}},"requestState":"s"}')
const discover = resultText('{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{},"prompts":{}}}')
const listed = resultText('{"tools":[{"name":"list_sources","inputSchema":{"type":"object"}}]}')
const coloured = textResult('{"status":"success","colour":"blue"}').replace('{"content"', '{"resultType":"complete","content"')

t.test('each example of a request, sent in their order, is answered as the examples of its answers say', async t => {
  const api = await startDemoApi()
  t.teardown(() => api.close())
  const credentials = { apiUrl: api.url, jwtToken: await signDemoToken() }
  const env = { MCP_ASYNC_CALLS: 'on', MCP_ELICITATION: 'on', MCP_SESSION_MAX_LIFETIME: '2592000' }
  const demo = await serviceOn(t, { 'mcp-server': shared(join(root, 'examples', 'mcp-server.mjs')) }, env)
  const everything = await serviceOn(t, {
    everything: shared(resolve('@modelcontextprotocol/server-everything/dist/index.js'), 'stdio')
  }, env)
  const scripted = await startScripted(t, 'stdio')
  const asking = await serviceOn(t, { asking: { ...scripted.entry, lifecycle: 'shared' } }, env)
  const script = { 'server/discover': discover, 'tools/list': listed }
  const question = { 'tools/call': asks, 'tools/call+state': coloured, 'resources/read': asks, 'prompts/get': asks }
  await scripted.play({ ...script, ...question })

  const document = describe(demo)
  const faultOf = checkerOf(document)
  const operations = new Map(operationsOf(document).map(one => [one.id, one]))
  const compared = new Set<string>()
  let lastCall = ''

  /** Sends the example of an operation, and compares the answer with one of its status. */
  async function send (app: FastifyInstance, id: string, status: number, headers: Record<string, string> = {}) {
    const described = operations.get(id)
    if (described === undefined) throw new Error(`there is no operation ${id}`)
    const { method, path, operation: { parameters = [], requestBody, responses, security = [] } } = described
    const values = new Map(parameters.map(parameter => [parameter.name, (parameter as { example?: string }).example]))
    if (values.has('id')) values.set('id', lastCall)
    const body = mediaOf(requestBody)?.example
    const isOpening = isJsonObject(body) && 'apiUrl' in body
    const response = await app.inject({
      method: method.toUpperCase() as 'GET',
      url: path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values.get(name) ?? '')),
      headers: { ...(security.some(needed => 'session' in needed) && { 'x-session-id': 'demo-1' }), ...headers },
      ...(body !== undefined && { payload: { ...(body as object), ...(isOpening && credentials) } })
    })
    const real = response.json<unknown>()
    const media = mediaOf(responses[status])
    t.equal(response.statusCode, status, `${id}: ${response.body}`)
    t.equal(faultOf(media?.schema ?? {}, real), null, id)
    const faults = examplesOf(media).map(example => differences(example, real, ''))
    const best = faults.find(found => found.length === 0)
    t.strictSame(best ?? faults[0], [], `${id} ${status}: ${response.body.slice(0, 300)}`)
    compared.add(`${id} ${status} ${faults.findIndex(found => found.length === 0)}`)
    if (isJsonObject(real) && typeof real.call === 'string') lastCall = real.call
    return response
  }

  for (const app of [demo, everything, asking]) await send(app, 'openSession', 200)
  for (const id of ['checkHealth', 'checkLife', 'checkReadiness']) await send(demo, id, 200)
  await send(demo, 'putSessionValues', 200)
  for (const id of ['listTools', 'getTools', 'listToolsWithoutSession', 'callTool']) await send(demo, id, 200)
  await send(demo, 'describeSession', 200)
  await send(demo, 'removeSessionValue', 200)
  await send(demo, 'callNamedTool', 200)
  await send(demo, 'callTool', 202, { prefer: 'respond-async' })
  await demo.inject({ url: `/calls/${lastCall}?wait=60`, headers: { 'x-session-id': 'demo-1' } })
  for (const id of ['readCall', 'listCalls']) await send(demo, id, 200)
  const followed = await demo.inject({ url: `/calls/${lastCall}/events`, headers: { 'x-session-id': 'demo-1' } })
  t.match([followed.statusCode, followed.body], [200, /^event: result$/m])
  await send(demo, 'callNamedTool', 202, { prefer: 'respond-async' })

  const lists = ['Resources', 'ResourceTemplates', 'Prompts'].flatMap(what => [`list${what}`, `get${what}`])
  for (const id of [...lists, 'readResource', 'getPrompt', 'completeArgument']) await send(everything, id, 200)

  for (const id of ['readResource', 'getPrompt', 'callNamedTool', 'callTool', 'readCall']) await send(asking, id, 202)
  await send(asking, 'answerCall', 200)
  await send(asking, 'callTool', 202)
  await scripted.play({ ...script, ...question, 'tools/call+state': asks })
  await send(asking, 'answerCall', 202)
  await send(asking, 'cancelCall', 200)
  await scripted.play({ ...script, 'tools/call': { writes: [] } })
  await send(asking, 'callTool', 202, { prefer: 'respond-async' })
  const stateOf = async () => (await asking.inject({
    url: `/calls/${lastCall}`, headers: { 'x-session-id': 'demo-1' }
  })).json<{ status: string }>().status
  await until(async () => await stateOf() === 'working', 'the call is made')
  await send(asking, 'cancelCall', 202)

  await send(demo, 'endSession', 200)
  await send(demo, 'createSession', 201)
  await send(everything, 'deleteSession', 200)
  await send(asking, 'deleteSession', 200)

  const expected = [...operations.values()].flatMap(({ id, operation }) => goodOf(operation)
    .flatMap(([status, response]) => examplesOf(mediaOf(response)).map((_, index) => `${id} ${status} ${index}`)))
  t.strictSame(expected.filter(one => !compared.has(one)), [], 'each example was compared')

  await t.test('a document of the tools alone has nothing else, and the same names', async t => {
    const ask = async (query: string) => await everything.inject({ url: `/openapi.json${query}` })
    const whole = (await ask('')).json<OpenApiDocument>()
    t.equal((await ask('?operations=all')).body, JSON.stringify(whole))
    const alone = (await ask('?operations=tools')).json<OpenApiDocument>()
    const tools = Object.entries(whole.paths).filter(([path]) => path.startsWith('/tools/'))
    t.ok(tools.length > 5 && tools.length < Object.keys(whole.paths).length)
    t.strictSame(alone.paths, Object.fromEntries(tools))
    t.strictSame(alone.tags?.map(({ name }) => name), ['server everything'])
    for (const query of ['?operations=', '?operations=none', '?operations=tools&operations=all']) {
      t.match((await ask(query)).json(), { code: 'MCPC_ERR_INVALID_FIELD', error: 'operations must be "all" or "tools"' })
    }
  })

  await t.test("those of tools, too, which are made of the tools' schemas", async t => {
    await everything.inject({ method: 'POST', url: '/init', payload: { session_id: 'demo-1', ...credentials } })
    const headers = { 'x-session-id': 'demo-1' }
    const tools = (await everything.inject({ url: '/openapi.json', headers })).json<OpenApiDocument>()
    const faultOf = checkerOf(tools)
    for (const tool of ['echo', 'get-sum', 'get-structured-content', 'get-tiny-image']) {
      const operation = tools.paths[`/tools/${tool}`]?.post
      const body = mediaOf(operation?.requestBody)?.example
      const answer = await everything.inject({
        method: 'POST', url: `/tools/${tool}`, headers, payload: body as object
      })
      t.equal(answer.statusCode, 200, tool)
      t.equal(Object.hasOwn(answer.json<object>(), 'error'), false, answer.body)
      const media = mediaOf(operation?.responses[200])
      t.equal(faultOf(media?.schema ?? {}, answer.json()), null, tool)
      const [result = {}] = Object.entries(tools.components.schemas ?? {})
        .filter(([name]) => name === 'GetStructuredContentResult' && tool === 'get-structured-content').map(([, schema]) => schema)
      const [example] = (result as { examples?: unknown[] }).examples ?? []
      t.equal(example !== undefined, tool === 'get-structured-content', tool)
      const typeOf = (value: unknown) => Object.entries(value as object).map(([name, one]) => [name, typeof one]).sort()
      if (example !== undefined) t.strictSame(typeOf(example), typeOf(answer.json()))
    }
  })
})
