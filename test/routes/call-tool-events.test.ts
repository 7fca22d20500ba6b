import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { startUpstream } from '../support/mcp-servers.ts'
import { call, callFailure, initSession } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { build } from '../support/service.ts'
import { until } from '../support/wait.ts'

interface Event {
  event: string
  data: unknown
}

/** What a stream of server-sent events says; comments are events named ':'. */
function parseEvents (text: string): Event[] {
  return text
    .split('\n\n')
    .filter(block => block !== '')
    .map(block => {
      if (block.startsWith(':')) return { event: ':', data: block.slice(1).trim() }
      const lines = block.split('\n')
      const of = (field: string) =>
        lines
          .filter(line => line.startsWith(`${field}: `))
          .map(line => line.slice(field.length + 2))
          .join('\n')
      return { event: of('event'), data: JSON.parse(of('data')) }
    })
}

const said = (events: Event[]) => events.filter(({ event }) => event !== ':')

const follow = (service: FastifyInstance, payload: object) =>
  service.inject({ method: 'POST', url: '/call-tool', headers: { accept: 'text/event-stream' }, payload })

/** The server of most tests. */
const upstream = await startUpstream(t, 'http-2025')

const serviceOf = async (t: Test, env: Record<string, string> = {}, entry: Record<string, unknown> = {}) => {
  const service = await build(t, {
    MCP_SERVERS_FILE: await serversFile(t, { up: { url: upstream.url, ...entry } }),
    ...env
  })
  return { service, id: await initSession(service) }
}

t.test(
  'a caller who asks for events follows the progress and the log of the tool, and gets its result at the end',
  async t => {
    const { service, id } = await serviceOf(t)
    const response = await follow(service, { session_id: id, tool: 'progress', params: { steps: 3, delay: 5 } })

    t.equal(response.statusCode, 200)
    t.match(response.headers, {
      'content-type': /^text\/event-stream/,
      'cache-control': 'no-store',
      'x-accel-buffering': 'no'
    })
    const events = said(parseEvents(response.body))
    t.strictSame(
      events.filter(({ event }) => event === 'progress').map(({ data }) => (data as { progress: number }).progress),
      [1, 2, 3]
    )
    t.equal(events.filter(({ event }) => event === 'log').length, 3)
    t.match(events.at(-1), { event: 'result', data: { status: 'success' } })
    t.equal(events.filter(({ event }) => ['result', 'error'].includes(event)).length, 1)
  }
)

t.test('events go to who takes them at least as gladly as JSON', async t => {
  const { service, id } = await serviceOf(t)
  for (const [accept, type] of [
    ['application/json, text/event-stream', /^text\/event-stream/], ['text/event-stream;q=0.1', /^text\/event-stream/],
    ['text/event-stream;q=0, application/json', /^application\/json/], ['text/event-stream;q=0', /^application\/json/],
    ['application/json, text/event-stream;q=0.5', /^application\/json/], ['text/*', /^application\/json/]
  ] as const) {
    const response = await service.inject({
      method: 'POST', url: '/call-tool', headers: { accept }, payload: { session_id: id, tool: 'add', params: { a: 1, b: 2 } }
    })
    t.match([response.statusCode, response.headers['content-type']], [200, type], accept)
  }
})

for (const [what, start] of [
  [
    'the 2026 era',
    async (t: Test) => ({ up: { url: (await startUpstream(t, 'http-2026', ['--modern-only'])).url } })
  ],
  ['the first HTTP transport', async (t: Test) => ({ up: { type: 'sse', url: (await startUpstream(t, 'sse')).url } })]
] as const) {
  t.test(`a server of ${what} is followed, too`, async t => {
    const service = await build(t, { MCP_SERVERS_FILE: await serversFile(t, await start(t)) })
    const id = await initSession(service)
    const events = said(
      parseEvents((await follow(service, { session_id: id, tool: 'progress', params: { steps: 3, delay: 5 } })).body)
    )
    t.strictSame(events.filter(({ event }) => event === 'progress').length, 3)
    t.ok(events.some(({ event }) => event === 'log'))
    t.equal(events.at(-1)?.event, 'result')
  })
}

t.test(
  'what is wrong with the request is said by the status, what goes wrong after that by the event error',
  async t => {
    const { service, id } = await serviceOf(t)
    t.equal((await follow(service, { session_id: id })).statusCode, 400)
    t.equal((await follow(service, { session_id: 'none', tool: 'echo' })).statusCode, 409)
    const { statusCode, body } = await follow(service, { session_id: id, tool: 'none' })
    t.equal(statusCode, 200)
    t.strictSame(said(parseEvents(body)), [
      { event: 'error', data: callFailure('UNKNOWN_TOOL', 'There is no tool none') }
    ])
  }
)

t.test('a tool that fails is a result, as without events', async t => {
  const { service, id } = await serviceOf(t)
  t.match(
    said(parseEvents((await follow(service, { session_id: id, tool: 'fail', params: { reason: 'no luck' } })).body)),
    [{ event: 'result', data: { status: 'error', error: /no luck/ } }]
  )
})

const lastOf = (response: { body: string }) => said(parseEvents(response.body)).at(-1)
const timedOut = (sentence: string) => callFailure('MCP_TIMEOUT', `MCP server up ${sentence}`, { acted: 'unknown' })

t.test('following a call does not shorten it', async t => {
  // A list may take no time at all: that is no business of a call.
  const { service, id } = await serviceOf(t, {}, { timeouts: { call: 3 } })
  await call(service, id, 'echo')
  const { service: hasty, id: own } = await serviceOf(t, { MCP_API_DEFAULT_TIMEOUT: '1.5' })
  await call(hasty, own, 'echo')
  const silent = { tool: 'slow', params: { delay: 2_000 } }
  const answers = await Promise.all([
    follow(service, { session_id: id, ...silent }), follow(hasty, { session_id: own, ...silent })
  ])
  for (const answer of answers) t.equal(lastOf(answer)?.event, 'result')
  t.match(lastOf(await follow(service, { session_id: id, tool: 'slow', params: { delay: 60_000 } })), {
    event: 'error', data: timedOut('did not answer tool slow in time (3 s)')
  })
})

t.test('a bound on silence is one where it is set, followed or not, and progress never lengthens a call', async t => {
  // Far enough apart for a machine that is slow, or busy for a second.
  const set = { MCP_API_INACTIVITY_TIMEOUT: '1.5', MCP_API_LONG_TIMEOUT: '6' }
  const [{ service, id }, { service: off, id: own }, { service: longer, id: third }] = await Promise.all([
    serviceOf(t, set), serviceOf(t, set, { timeouts: { inactivity: 0 } }),
    serviceOf(t, {}, { timeouts: { inactivity: 1.5, call: 0.5 } })
  ])
  const progressing = { tool: 'progress', params: { steps: 10, delay: 200 } }
  const endless = { tool: 'progress', params: { steps: 1_000, delay: 100 } }
  const silent = { tool: 'slow', params: { delay: 60_000 } }
  const quiet = 'sent neither an answer to tool slow nor progress for 1.5 s'
  const [followed, plain, endlessOne, endlessOther, silentOne, silentOther, withoutBound, shorter] = await Promise.all([
    follow(service, { session_id: id, ...progressing }),
    call(service, id, progressing.tool, progressing.params),
    follow(service, { session_id: id, ...endless }),
    call(service, id, endless.tool, endless.params),
    follow(service, { session_id: id, ...silent }),
    call(service, id, silent.tool, silent.params),
    follow(off, { session_id: own, tool: 'slow', params: { delay: 2_500 } }),
    call(longer, third, 'slow', silent.params)
  ])
  t.equal(lastOf(followed)?.event, 'result', 'longer than the one, within the other')
  t.equal(plain.statusCode, 200)
  const total = timedOut('did not answer tool progress in time (6 s)')
  t.strictSame([lastOf(endlessOne)?.data, endlessOther.json()], [total, total])
  t.strictSame([lastOf(silentOne)?.data, silentOther.json()], [timedOut(quiet), timedOut(quiet)])
  t.equal(lastOf(withoutBound)?.event, 'result', 'an entry may turn it off')
  t.strictSame(shorter.json(), timedOut('did not answer tool slow in time (0.5 s)'))
})

t.test('`timeout` lowers the total deadline, with and without events, and cannot raise it', async t => {
  const { service, id } = await serviceOf(t, { MCP_API_LONG_TIMEOUT: '1' })
  const late = { session_id: id, tool: 'slow', params: { delay: 60_000 } }
  const plain = (timeout: unknown) =>
    service.inject({ method: 'POST', url: '/call-tool', payload: { ...late, timeout } })

  const failed = (seconds: number) =>
    callFailure('MCP_TIMEOUT', `MCP server up did not answer tool slow in time (${seconds} s)`, { acted: 'unknown' })
  t.strictSame((await plain(0.2)).json(), failed(0.2))
  t.strictSame((await plain(60)).json(), failed(1))
  t.strictSame(
    (await plain('soon')).json(), callFailure('INVALID_FIELD', 'timeout must be a number of seconds above 0')
  )
  t.match((await plain(0)).statusCode, 400)
  // The second one is no whole number of milliseconds.
  for (const timeout of [0.2, 0.2001]) {
    t.match(said(parseEvents((await follow(service, { ...late, timeout })).body)), [
      { event: 'error', data: { code: 'MCPC_ERR_MCP_TIMEOUT' } }
    ])
  }
})

t.test('the stream begins at once, and beats while the tool is silent', async t => {
  const { service, id } = await serviceOf(t, { MCP_HEARTBEAT_INTERVAL: '0.1' })
  const events = parseEvents((await follow(service, { session_id: id, tool: 'slow', params: { delay: 1_500 } })).body)
  t.strictSame(events[0], { event: ':', data: 'open' })
  t.ok(events.filter(({ data }) => data === 'alive').length >= 2)
})

t.test('a caller who leaves the stream cancels the call', async t => {
  const { service, id } = await serviceOf(t)
  const before = await upstream.stats()
  await service.listen({ port: 0, host: '127.0.0.1' })
  const call = request({
    port: (service.server.address() as AddressInfo).port,
    method: 'POST',
    path: '/call-tool',
    headers: { accept: 'text/event-stream' }
  })
  call.end(JSON.stringify({ session_id: id, tool: 'slow', params: { delay: 600_000 } }))
  const [response] = (await once(call, 'response')) as [IncomingMessage]
  await once(response, 'data')
  await until(async () => (await upstream.stats()).calls.slow === (before.calls.slow ?? 0) + 1, 'the tool runs')
  call.destroy()
  response.once('error', () => {}) // it was cut off, by us
  await until(async () => (await upstream.stats()).cancelled === before.cancelled + 1, 'the server was told')
})
