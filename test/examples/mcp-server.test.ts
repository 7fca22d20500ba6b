import t from 'tap'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { signDemoToken, startDemoApi } from '../../examples/demo-api.mjs'
import { openApi, openServer } from './demo.ts'

const credentials = await openApi(t)
const { client, call } = await openServer(t)

t.test('the tools take exactly what the workflow says', async t => {
  const { tools } = await client.listTools()

  const inputs = tools.map(({ name, inputSchema }) => [
    name,
    Object.keys(inputSchema.properties ?? {}).join(' '),
    inputSchema.required?.join(' ')
  ])
  t.strictSame(inputs, [
    ['validate_settings', 'apiUrl jwtToken', 'apiUrl jwtToken'],
    ['list_sources', 'apiUrl jwtToken search page limit', 'apiUrl jwtToken'],
    ['analyze_source_structure', 'apiUrl jwtToken sourceId', 'apiUrl jwtToken sourceId'],
    ['generate_strategy', 'question columnAnalysis', 'question columnAnalysis'],
    ['create_configuration', 'question columnAnalysis strategy', 'question columnAnalysis strategy'],
    [
      'create_dashboard',
      'apiUrl jwtToken markdownConfig sourceStructure',
      'apiUrl jwtToken markdownConfig sourceStructure'
    ],
    ['get_charts_data', 'apiUrl jwtToken chartConfigs', 'apiUrl jwtToken chartConfigs'],
    ['analyze_charts', 'chartData question', 'chartData question']
  ])
  for (const { name, description, inputSchema } of tools) {
    t.ok(description, `${name} is described`)
    t.strictSame(Object.keys(inputSchema), ['type', 'properties', 'required'], `${name} has a plain schema`)
  }
})

t.test('the server introduces itself with the workflow', async t => {
  t.match(client.getServerVersion(), { name: 'insight-demo', version: /^\d+\.\d+\.\d+$/ })
  t.match(
    client.getInstructions(),
    /list_sources[\s\S]*analyze_source_structure[\s\S]*generate_strategy[\s\S]*create_configuration[\s\S]*create_dashboard[\s\S]*get_charts_data[\s\S]*analyze_charts/
  )
})

t.test('credentials are checked with the API', async t => {
  t.match(await call('validate_settings', { ...credentials }), { failed: false, outputs: { status: 'success' } })

  const jwtToken = await signDemoToken({ expiresInSeconds: -60 })
  const refused = await call('validate_settings', { ...credentials, jwtToken })
  t.match(refused, { failed: true, text: 'The API did not accept the credentials: The token has expired.' })
})

t.test('sources are listed, searched and paged', async t => {
  const all = await call('list_sources', { ...credentials })
  const second = await call('list_sources', { ...credentials, search: '', page: 2, limit: 5 })
  const found = await call('list_sources', { ...credentials, search: 'penguins', page: null, limit: null })

  t.equal(all.outputs.sources.length, 6)
  t.strictSame(second.outputs, {
    status: 'success',
    sources: all.outputs.sources.slice(5),
    pagination: { page: 2, limit: 5, total: 6 }
  })
  t.strictSame(
    found.outputs.sources.map(({ id }: { id: string }) => id),
    ['penguins']
  )
})

t.test('a source that does not exist is named', async t => {
  const answer = await call('analyze_source_structure', { ...credentials, sourceId: 'sales/../..' })

  t.match(answer, { failed: true, text: 'The API refused: There is no source "sales/../..".' })
})

t.test('no failure repeats the token', async t => {
  const { apiUrl } = credentials
  const jwtToken = await signDemoToken({ secret: 'a-secret-of-another-service-entirely' })
  const gone = await startDemoApi()
  await gone.close()
  // An API that answers with what it was sent.
  const echo = createServer((request, response) => {
    response.writeHead(403, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ status: 'error', error: `refused ${request.headers.authorization}` }))
  })
  await once(echo.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    echo.close()
  })
  const echoUrl = `http://127.0.0.1:${(echo.address() as AddressInfo).port}`

  const answers = [
    await call('list_sources', { apiUrl, jwtToken }),
    await call('list_sources', { apiUrl: gone.url, jwtToken }),
    await call('list_sources', { apiUrl: echoUrl, jwtToken }),
    await call('list_sources', { apiUrl: 'file:///etc/passwd', jwtToken }),
    await call('list_sources', { apiUrl, jwtToken: `${jwtToken}\nX-Smuggled: yes` }),
    await call('list_sources', { apiUrl, jwtToken, limit: jwtToken })
  ]

  t.strictSame(
    answers.map(({ failed }) => failed),
    [true, true, true, true, true, true]
  )
  t.match(
    answers.map(({ text }) => text),
    [
      /not accept the credentials/,
      /could not be reached: ECONNREFUSED/,
      'refused Bearer [token]',
      /must be an http or https URL/,
      /could not be reached/,
      /does not fit at limit: expected number, received string/
    ]
  )
  for (const { text } of answers) t.notOk(text.includes(jwtToken), text)
})

t.test('an input that is missing says which tool returns it', async t => {
  t.match(await call('generate_strategy', { question: 'Why?' }), {
    failed: true,
    text: '"columnAnalysis" is missing. From analyze_source_structure: '
  })
  t.match(await call('analyze_charts', { question: 'Why?' }), {
    failed: true,
    text: '"chartData" is missing. From get_charts_data: '
  })
  t.match(await call('list_sources', {}), { failed: true, text: '"apiUrl" is missing.' })
})

t.test('an input of another shape says where it does not fit', async t => {
  const config = { name: 'n', chart: 'bar', x: 'a', sourceId: 's' }
  const cases: Array<[string, object, RegExp]> = [
    [
      'generate_strategy',
      { question: 'Why?', columnAnalysis: [] },
      /at columnAnalysis: .*expected array to have >=1 items/
    ],
    [
      'generate_strategy',
      { question: 'Why?', columnAnalysis: [{ name: 'a', type: 'colour' }] },
      /at columnAnalysis\/0\/type: expected one of "number"/
    ],
    [
      'create_configuration',
      { question: 'Why?', columnAnalysis: [{ name: 'a', type: 'text' }], strategy: 'bars' },
      /at strategy: expected object, received string/
    ],
    [
      'create_configuration',
      {
        question: 'Why?',
        columnAnalysis: [{ name: 'a', type: 'text' }],
        strategy: { charts: [{ name: 'n', chart: 'bar', x: 'b', aggregate: 'count' }] }
      },
      /no column "b"/
    ],
    [
      'analyze_charts',
      { question: 'Why?', chartData: [{ config, columns: ['a'], rows: 'many' }] },
      /at chartData\/0\/rows: expected array, received string/
    ],
    ['analyze_charts', { question: 'Why?', chartData: Array(500).fill(7) }, /^.{1,400}$/]
  ]
  for (const [tool, input, reason] of cases) {
    t.match(await call(tool, { ...input }), { failed: true, text: reason })
  }
  // Rows that do not fit their columns are no reason to fail: there is nothing in them.
  const answer = await call('analyze_charts', {
    question: 'Why?',
    chartData: [{ config, columns: [], rows: [[], [null], ['x']] }]
  })
  t.match(answer.outputs.insights, [
    { chart: 'n', rowCount: 3, statements: ['No row has the values that this chart needs.'] }
  ])
})

t.test('a tool that does not exist is an error of the protocol', async t => {
  await t.rejects(client.callTool({ name: 'constructor', arguments: {} }), {
    message: /There is no tool "constructor"/
  })
})

t.test('a server whose client is gone answers what it was asked and ends', async t => {
  const script = fileURLToPath(new URL('../../examples/mcp-server.mjs', import.meta.url))
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => {
    child.kill('SIGKILL')
  })
  const { apiUrl, jwtToken } = credentials
  const exited = once(child, 'exit')
  child.stdin.write(
    JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'validate_settings', arguments: { apiUrl, jwtToken } }
    }) + '\n'
  )
  child.stdin.end()

  let output = ''
  for await (const chunk of child.stdout) output += String(chunk)

  t.match(JSON.parse(output), { id: 1, result: { content: [{ type: 'text', text: /"status":"success"/ }] } })
  t.strictSame(await exited, [0, null])
})
