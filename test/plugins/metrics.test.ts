import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { ConfigError } from '../../lib/errors.ts'
import { events, phases } from '../../lib/telemetry/channels.ts'
import { Refused, startAnsweringServer } from '../support/answering-server.ts'
import { listenOnLoopback } from '../support/http-server.ts'
import { metricsUrl, type Sample, scrape } from '../support/metrics.ts'
import { fixture } from '../support/paths.ts'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { freePort } from '../support/ports.ts'
import { post } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { build, listen, type ServiceInProcess } from '../support/service.ts'
import { until } from '../support/wait.ts'

const loaded = () => Object.keys(createRequire(import.meta.url).cache).filter(name => name.includes('/prom-client/'))
const hasSubscribers = () =>
  [...Object.values(phases), ...Object.values(events)].some(channel => channel.hasSubscribers)

t.test('metrics are off unless a port is set: nothing listens, nothing is counted, no library is loaded', async t => {
  const service = await listen(t)
  await post(`${service.url}/tools`, { session_id: 'nobody' })
  t.equal(metricsUrl(service), '')
  t.strictSame(loaded(), [])
  t.notOk(hasSubscribers())
})

/** What must be in no label, by where it is put. */
const canary = {
  session: 'canary-session',
  token: 'canary.token.signature',
  apiUrl: 'https://canary-api.example.com',
  argument: 'canary-argument',
  argumentName: 'canary-argument-name',
  unknownTool: 'canary-unknown-tool',
  result: 'canary-result',
  failure: 'canary-failure',
  code: 'canary-code',
  path: 'canary-path',
  query: 'canary-query',
  header: 'canary-header',
  value: 'canary-value',
  method: 'CANARYMETHOD'
}

const hostileNames = [
  'line\nbreak', 'quo"te', 'back\\slash', '{le="0"}', 'nul\0', 'bell\u0007', '\u202Ereversed', '\uD800half',
  'mcpc_tool_calls_total 1e9', 'ünï 🎉', '__name__', 'other', `long-${'x'.repeat(500)}`, '# HELP a b', '\u2028'
]

let service: ServiceInProcess
let url: string
const call = (tool: string, params: object = {}) =>
  post(`${service.url}/call-tool`, { session_id: canary.session, tool, params })

t.before(async () => {
  const server = await startAnsweringServer(t, {
    answers: {
      'tools/list': () => ({
        tools: ['say', 'fail', 'refuse', ...hostileNames, ...Array.from({ length: 45 }, (_, index) => `many-${index}`)]
          .map(name => ({ name, inputSchema: { type: 'object' } }))
      }),
      'tools/call': ({ name }) => {
        if (name === 'refuse') throw new Refused(-32_000, canary.failure, { code: canary.code })
        return { content: [{ type: 'text', text: canary.result }], isError: name === 'fail' }
      }
    }
  })
  service = await listen(t, {
    MCP_METRICS_PORT: '0',
    MCP_ASYNC_CALLS: 'on',
    MCP_SERVERS_FILE: await serversFile(t, {
      web: { url: server.url, prefix: '' },
      tiny: { command: process.execPath, args: [fixture('tiny-server.mjs')] },
      dying: { command: process.execPath, args: ['-e', 'process.exit(3)'] }
    })
  })
  url = metricsUrl(service)
  await post(`${service.url}/init`, {
    session_id: canary.session, apiUrl: canary.apiUrl, jwtToken: canary.token, [canary.value]: canary.value
  })
})

t.test('calls, requests, sessions, phases and processes are counted as they were made', async t => {
  await call('say')
  await call('say')
  await call('fail')
  await call('refuse')
  await call('tiny__echo', { text: canary.argument })
  await call(canary.unknownTool)
  await post(`${service.url}/call-tool`, { session_id: 'nobody', tool: 'say' })
  await call('dying__any')
  await until(async () => (await scrape(url)).sum('mcpc_processes', { state: 'alive' }) === 0, 'the process has ended')
  const { samples, sum } = await scrape(url)

  const calls = (labels: Record<string, string>) => sum('mcpc_tool_calls_total', labels)
  t.equal(calls({ server: 'web', tool: 'say', outcome: 'ok', error_type: '' }), 2)
  t.equal(calls({ server: 'web', tool: 'fail', outcome: 'tool_error' }), 1)
  t.equal(calls({ tool: 'refuse' }), 1)
  t.equal(calls({ server: 'tiny', tool: 'tiny__echo', outcome: 'ok' }), 1)
  t.equal(calls({ tool: 'other', outcome: 'error', error_type: 'MCPC_ERR_UNKNOWN_TOOL' }), 1)
  t.equal(calls({ server: 'dying', tool: 'other', error_type: 'MCPC_ERR_MCP_START' }), 1)
  t.equal(calls({}), 7, 'and no others: a call without a session is none')

  const requests = (labels: Record<string, string>) => sum('http_server_request_duration_seconds_count', labels)
  t.equal(requests({ http_request_method: 'POST', http_route: '/init', http_response_status_code: '200' }), 1)
  t.equal(requests({ http_route: '/call-tool', http_response_status_code: '409' }), 1)
  t.equal(requests({ http_route: '/call-tool', http_response_status_code: '404' }), 1)
  t.equal(requests({ http_route: '/call-tool' }), 8)
  t.equal(sum('mcpc_failures_total', { code: 'MCPC_ERR_SESSION_NOT_FOUND' }), 1)

  t.equal(sum('mcpc_session_loads_total', { outcome: 'loaded' }), 7)
  t.equal(sum('mcpc_session_loads_total', { outcome: 'MCPC_ERR_SESSION_NOT_FOUND' }), 1)
  t.equal(sum('mcpc_session_events_total', { event: 'opened' }), 1)
  t.equal(sum('mcpc_sessions'), 1)

  const inPhase = (phase: string, server: string) => sum('mcpc_phase_duration_seconds_count', { phase, server })
  t.equal(sum('mcpc_phase_duration_seconds_count', { phase: 'session' }), 8)
  t.equal(inPhase('tool', 'web'), 4)
  t.equal(inPhase('call', 'tiny'), 1)
  for (const phase of ['queue', 'start', 'tool', 'write']) t.ok(inPhase(phase, 'tiny') >= 1, phase)
  for (const phase of ['queue', 'connect', 'tool', 'write']) t.ok(inPhase(phase, 'web') >= 1, phase)
  t.equal(inPhase('start', 'web'), 0)
  t.equal(inPhase('connect', 'tiny'), 0)
  t.equal(sum('mcpc_phase_active', { phase: 'call' }), 0)

  const operations = { mcp_method_name: 'tools/call', gen_ai_tool_name: 'say', server: 'web', error_type: '' }
  t.equal(sum('mcp_client_operation_duration_seconds_count', operations), 2)
  t.ok(sum('mcp_client_operation_duration_seconds_count', { mcp_method_name: 'tools/list' }) >= 2)

  t.ok(sum('mcpc_process_ends_total', { server: 'tiny', end: 'stopped' }) >= 1)
  t.ok(sum('mcpc_process_ends_total', { server: 'dying', end: 'exited' }) >= 1)
  t.ok(sum('mcpc_upstream_connections', { server: 'web' }) >= 1)
  t.equal(sum('mcpc_servers', { state: 'usable' }), 3)
  t.ok(sum('db_client_operation_duration_seconds_count', { db_operation_name: 'evalsha' }) > 7)
  t.equal(sum('mcpc_redis_up'), 1)
  t.ok(samples.some(({ name }) => name === 'nodejs_eventloop_lag_p99_seconds'))
})

t.test('a caller who leaves is counted as one', async t => {
  const leaving = new AbortController()
  const request = fetch(`${service.url}/call-tool`, {
    method: 'POST',
    signal: leaving.signal,
    body: JSON.stringify({ session_id: canary.session, tool: 'tiny__wait', params: { ms: 60_000 } })
  })
  await until(async () => (await scrape(url)).sum('mcpc_phase_active', { phase: 'tool' }) === 1, 'the tool runs')
  leaving.abort()
  await t.rejects(request)
  await until(async () => {
    const { sum } = await scrape(url)
    return sum('mcpc_phase_active', { phase: 'call' }) === 0 &&
      sum('http_server_request_duration_seconds_count', { http_response_status_code: '499' }) === 1
  }, 'it is over')
  const labels = { tool: 'tiny__wait', outcome: 'error', error_type: 'MCPC_ERR_CALLER_LEFT' }
  t.equal((await scrape(url)).sum('mcpc_tool_calls_total', labels), 1)
})

t.test('the names of a server\'s tools are bounded, and none of them breaks the format', async t => {
  const { body } = await post(`${service.url}/tools`, { session_id: canary.session })
  const all = (body as { tools: Array<{ name: string }> }).tools.map(({ name }) => name)
  const exposed = all.filter(name => !name.startsWith('tiny__') && !['fail', 'refuse'].includes(name))
  t.equal(exposed.length, 61)
  for (const name of exposed) {
    const { status, body } = await call(name)
    if (status !== 200) t.fail(JSON.stringify(body))
  }
  const { samples, sum } = await scrape(url)
  for (const [metric, label] of [
    ['mcpc_tool_calls_total', 'tool'], ['mcp_client_operation_duration_seconds_count', 'gen_ai_tool_name']
  ] as const) {
    const found = samples.filter(({ name, labels }) => name === metric && labels.server === 'web')
    const tools = new Set(found.map(({ labels }) => labels[label] ?? ''))
    t.ok(tools.size > 40 && tools.size <= 52, `${tools.size} names`)
    t.ok([...tools].every(tool => tool.length <= 128 && !/[\p{Cc}\p{Cs}\u2028\u202E]/u.test(tool)))
    t.ok(sum(metric, { server: 'web', [label]: 'other' }) > 5)
    t.ok(sum(metric, { server: 'web', [label]: 'say' }) >= 2, 'earlier names keep their series')
    t.equal(tools.has('quo"te'), label === 'gen_ai_tool_name', 'callers know other names than the server')
  }
})

t.test('no session, credential, argument, value, result or text of a caller is in the metrics', async t => {
  const base = service.url
  const session = { session_id: canary.session }
  const requests: Array<[path: string, init: RequestInit]> = [
    [`/${canary.path}`, {}],
    [`/${canary.path}?${canary.query}=${canary.query}`, { method: 'POST', body: canary.argument }],
    [`/tools?${canary.query}`, { method: 'POST', body: JSON.stringify(session) }],
    ['/livez', { headers: { 'x-request-id': canary.header, 'user-agent': canary.header, traceparent: canary.header } }],
    [`/session/values/${canary.value}`, { headers: { 'x-session-id': canary.session } }],
    ['/call-tool', { method: 'POST', body: `{"session_id":"${canary.session}","${canary.argumentName}":` }],
    ['/read-resource', { method: 'POST', body: JSON.stringify({ ...session, uri: `file:///${canary.path}` }) }],
    ['/get-prompt', { method: 'POST', body: JSON.stringify({ ...session, name: canary.unknownTool }) }],
    ['/call-tool', { method: 'POST', body: JSON.stringify({ ...session, continue: canary.value }) }],
    ['/init', { method: 'POST', body: JSON.stringify({ session_id: canary.session, apiUrl: canary.apiUrl }) }]
  ]
  for (const [path, init] of requests) await (await fetch(`${base}${path}`, init)).text()
  await text(connect(Number(new URL(base).port), '127.0.0.1').end(`${canary.method} /${canary.path} HTTP/1.1\r\n\r\n`))
  await call('say', { [canary.argumentName]: canary.argument, apiUrl: canary.apiUrl })
  await call('refuse', { [canary.argumentName]: canary.argument })
  await call('fail')
  await call(`${canary.unknownTool}-2`)

  const { text: metrics, sum } = await scrape(url)
  for (const [where, value] of Object.entries(canary)) t.notOk(metrics.includes(value), where)
  t.ok(sum('http_server_request_duration_seconds_count', { http_route: 'other' }) >= 2, 'unknown paths are one route')
})

const root = join(import.meta.dirname, '..', '..')

t.test('calls that sessions keep are counted by the states that they came to', async t => {
  const body = { session_id: canary.session, tool: 'say', params: {} }
  const later = await post(`${service.url}/call-tool`, body, { prefer: 'respond-async, wait=30' })
  t.equal(later.status, 200)
  for (const tool of ['say', canary.unknownTool, 'dying__any']) {
    await post(`${service.url}/call-tool`, { ...body, tool }, { 'idempotency-key': tool })
  }
  const states = { queued: 1, working: 4, completed: 2, released: 2, failed: 0 }
  await until(async () => (await scrape(url)).sum('mcpc_kept_calls_total', { state: 'released' }) === 2, 'both are released')
  const { sum } = await scrape(url)
  for (const [state, count] of Object.entries(states)) t.equal(sum('mcpc_kept_calls_total', { state }), count, state)
  t.equal(sum('mcpc_tool_calls_total', { tool: 'say', outcome: 'accepted' }), 0, 'an acceptance is no call of the tool yet')
  t.equal(sum('mcpc_call_queue_length'), 0)
})

t.test('docs/metrics.md has a row for each metric, with its type and its labels', async t => {
  const { text, samples } = await scrape(url)
  const types = new Map([...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name = '', type = '']) => [name, type]))
  const own = [...types].filter(([name]) => !/^(nodejs|process)_/.test(name))
  const baseOf = (name: string) => types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '')
  const labelsOf = (metric: string) => new Set(samples
    .filter(({ name }) => baseOf(name) === metric)
    .flatMap(({ labels }: Sample) => Object.keys(labels)).filter(label => label !== 'le'))
  const table = readFileSync(join(root, 'docs', 'metrics.md'), 'utf8')
  const rows = [...table.matchAll(/^\| `(\w+)` \| (\w+) \|([^|]*)\| [^|]{8,} \|$/gm)]
    .map(([, name = '', type = '', labels = '']) => [name, type, [...labels.matchAll(/`(\w+)`/g)].map(([, l]) => l)])
  t.ok(own.length > 15)
  t.strictSame(
    rows.sort(), own.map(([name, type]) => [name, type, [...labelsOf(name)]]).sort()
  )
})

t.test('the port answers GET /metrics and nothing else, also to pages of other names', async t => {
  const origin = new URL(url).origin
  for (const [path, init] of [
    ['/', {}], ['/metrics/', {}], ['/health', {}], ['/metrics', { method: 'POST', body: 'x'.repeat(1_000_000) }],
    ['//metrics', {}], ['/Metrics', {}], ['/metrics', { method: 'DELETE' }]
  ] as Array<[string, RequestInit]>) {
    t.equal((await fetch(`${origin}${path}`, init)).status, 404, `${init.method ?? 'GET'} ${path}`)
  }
  t.equal((await fetch(`${url}?a=b`)).status, 200)
  const answered = await fetch(url)
  t.match(answered.headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
  t.equal(answered.headers.get('access-control-allow-origin'), null)
  await answered.body?.cancel()

  const { hostname, port } = new URL(url)
  async function raw (head: string): Promise<string> {
    const socket = connect(Number(port), hostname)
    socket.write(`${head}\r\nConnection: close\r\n\r\n`)
    return await text(socket)
  }
  t.match(await raw('GET /metrics HTTP/1.1\r\nHost: rebound.example.com'), /^HTTP\/1\.1 403 /)
  t.match(await raw(`GET /metrics HTTP/1.1\r\nHost: localhost:${port}`), /^HTTP\/1\.1 200 /)
  t.match(await raw(`GET /metrics HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(20_000)}`), /^HTTP\/1\.1 431 /)
})

/** The sentence of a start that fails. */
async function refusal (t: Test, env: Record<string, string>): Promise<string> {
  const error = await build(t, env).then(() => null, (error: unknown) => error)
  t.ok(error instanceof ConfigError)
  return error instanceof Error ? error.message : ''
}

t.test('a metrics port that cannot be used stops the start in one line that names the variable', async t => {
  const taken = new URL(await listenOnLoopback(t, createServer())).port
  const started = (env: Record<string, string>) => refusal(t, { MCP_METRICS_PORT: '0', ...env })
  t.equal(
    await started({ MCP_METRICS_PORT: taken }),
    `MCP_METRICS_PORT must be a free port, but 127.0.0.1:${taken} is taken by another process`
  )
  t.equal(
    await started({ MCP_METRICS_PORT: '33000' }),
    'MCP_METRICS_PORT must be another port than MCP_CLIENT_PORT, but both are 33000'
  )
  t.equal(
    await started({ MCP_METRICS_HOST: '192.0.2.1' }),
    'MCP_METRICS_HOST must be an address of this machine, but is 192.0.2.1'
  )
  for (const port of ['70000', '-1', '1.5', 'x']) {
    t.equal(
      await started({ MCP_METRICS_PORT: port }),
      `MCP_METRICS_PORT must be a port from 0 to 65535, but is ${JSON.stringify(port)}`
    )
  }
})

t.test('the metrics can be read until the end, and readers do not hold it up', async t => {
  const port = await freePort()
  const app = await build(t, { MCP_METRICS_PORT: String(port) })
  const base = await app.listen({ host: '127.0.0.1', port: 0 })
  const metrics = `http://127.0.0.1:${port}/metrics`
  await post(`${base}/init`, { session_id: 's', apiUrl, jwtToken })
  for (const bytes of ['', 'GET /metrics HTTP/1.1\r\nHost: ']) {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    t.teardown(() => socket.destroy())
  }
  const running = post(`${base}/call-tool`, { session_id: 's', tool: 'wait', params: { ms: 500 } })
  await until(async () => (await scrape(metrics)).sum('mcpc_phase_active', { phase: 'tool' }) >= 1, 'the tool runs')
  const closing = app.close()
  t.ok((await scrape(metrics)).sum('mcpc_phase_active', { phase: 'call' }) >= 1, 'while a call is still under way')
  t.equal((await running).status, 200)
  await closing
  await t.rejects(fetch(metrics))
  await service.close()
  t.notOk(hasSubscribers(), 'nobody counts any more')
})
