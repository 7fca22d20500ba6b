import type { ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { type Caller, callersOf, statusesOf } from '../support/callers.ts'
import { cases } from '../support/cases.ts'
import { type Hanging, startHangingServer } from '../support/hanging-server.ts'
import type { HttpRequest } from '../support/http-server.ts'
import { type Environment, serviceOn } from '../support/service.ts'
import { until } from '../support/wait.ts'

const limit = 4
const count = 12

const isFor = (...methods: string[]) => ({ message }: HttpRequest) => methods.includes(message.method ?? '')
const isCall = isFor('tools/call')

/** Begins an answer of a call in a way that is never ended. */
const begins = (begin: (response: ServerResponse, request: HttpRequest) => void): Hanging['hangs'] =>
  (request, response) => {
    if (!isCall(request)) return false
    begin(response, request)
    return true
  }

const events = { 'content-type': 'text/event-stream' }

interface Kind extends Hanging {
  entry?: object
  /** What callers ask for; a call of the tool, when it is left out. */
  path?: string
  fields?: object
}

/** Each entry has the credentials of its session, so that no list is shared. */
const own = { headers: { authorization: 'Bearer ${session.jwtToken}' } } // eslint-disable-line no-template-curly-in-string

const kinds: Record<string, Kind> = {
  'at a call, in the era of 2025': { hangs: isCall },
  'at a call, in the era of 2025, in a session that is kept': { hangs: isCall, session: 'one' },
  'at a call, in the era of 2026': { era: '2026', hangs: isCall },
  'at a call, for each user': { era: '2026', hangs: isCall, entry: own },
  'at everything': { hangs: () => true, entry: own },
  'at the handshake': { hangs: isFor('initialize'), entry: own },
  'at the list of tools': { hangs: isFor('tools/list'), entry: own },
  'in the body of an answer': {
    hangs: begins(response => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 900 }).write('{"js')
    })
  },
  'in the body of a refusal': { hangs: begins(response => response.writeHead(500).write('{')) },
  'in a stream of events': { hangs: begins(response => response.writeHead(200, events).write(': yes\n\n')) },
  'after a redirect': {
    hangs: (request, response) => {
      const isMoved = request.path === '/moved'
      if (isCall(request) && !isMoved) response.writeHead(307, { location: '/moved' }).end()
      return isCall(request)
    }
  },
  'when its stream is resumed': {
    hangs: (request, response) => {
      const isResumed = request.http === 'GET' && request.headers['last-event-id'] !== undefined
      if (isCall(request)) response.writeHead(200, events).end('id: 1\nretry: 1\ndata: \n\n')
      return isResumed || isCall(request)
    }
  },
  'at a resource': { hangs: isFor('resources/read'), path: '/read-resource', fields: { uri: 'memo:one', server: 'hang' } },
  'at a prompt': { hangs: isFor('prompts/get'), path: '/get-prompt', fields: { name: 'hang__greet', arguments: {} } },
  'at a completion': {
    hangs: isFor('completion/complete'),
    path: '/complete',
    fields: { ref: { type: 'ref/prompt', name: 'hang__greet' }, argument: { name: 'a', value: '' } }
  },
  'at the stream of HTTP with SSE': { hangs: ({ http }) => http === 'GET', entry: { ...own, type: 'sse' } },
  'at the first message of HTTP with SSE': {
    hangs: ({ http }, response) => {
      if (http === 'GET') response.writeHead(200, events).write('event: endpoint\ndata: /messages\n\n')
      return true
    },
    entry: { ...own, type: 'sse' }
  }
}

async function start (t: Test, { entry, ...hanging }: Kind, env: Environment = {}) {
  const server = await startHangingServer(t, hanging)
  const good = await startHangingServer(t, { hangs: () => false })
  const service = await serviceOn(t, { hang: { url: server.url, ...entry }, good: { url: good.url } }, {
    MCP_SESSION_MAX_CONCURRENCY: '1000', MCP_MAX_UPSTREAM_REQUESTS: String(limit), ...env
  })
  const callers = await callersOf(service)
  await callers.openSessions(count)
  return { server, ...callers }
}

for (const [where, kind] of cases(Object.entries(kinds), 5)) {
  t.test(`a server that hangs ${where} has no more requests than it may, and others none less`, async t => {
    const { server, call, request, untilCounts } = await start(t, kind)
    const { path, fields = {} } = kind
    const send = (): Caller[] => path === undefined ? call('hang__act', count) : request(path, count, fields)
    const callers = send()
    await untilCounts(limit, count - limit)
    t.strictSame(await statusesOf(call('good__act', 20)), Array(20).fill(200))
    await untilCounts(limit, count - limit)
    t.ok(server.sockets.peak <= 3 * limit, `${server.sockets.peak} connections`)

    for (const { leave } of callers) leave()
    t.strictSame(await statusesOf(callers), Array(count).fill(null))
    await untilCounts(0, 0)
    await until(() => server.held.every(({ response }) => response.destroyed), 'their connections have ended')
  })
}

/** Of a server that sees the end of a connection later than the begin of the next one. */
const seen = 4 * limit

const slow: Record<string, Kind> = {
  'at the end of the handshake': { hangs: isFor('notifications/initialized') },
  'at the end of a session': { hangs: ({ http }) => http === 'DELETE', session: 'one', entry: { session: 'request' } }
}

for (const [where, kind] of Object.entries(slow)) {
  t.test(`a server that hangs ${where} has no more connections than it may, and answers`, async t => {
    const { server, call, untilCounts } = await start(t, kind)
    t.strictSame(await statusesOf(call('hang__act', 40)), Array(40).fill(200))
    t.ok(server.sockets.peak <= seen, `${server.sockets.peak} connections`)
    await untilCounts(0, 0)
  })
}

t.test('requests that a server is too slow for leave their turn at their deadline', async t => {
  const { server, call, untilCounts } = await start(t, { hangs: isCall })
  t.strictSame(await statusesOf(call('hang__act', count, { timeout: 1 })), Array(count).fill(504))
  await untilCounts(0, 0)
  t.equal(server.requests.filter(isCall).length, count, 'each got its turn')
  t.ok(server.sockets.peak <= seen, `${server.sockets.peak} connections`)
})

t.test('an idle connection is closed', async t => {
  const { server, call } = await start(t, { hangs: () => false })
  t.strictSame(await statusesOf(call('hang__act', 20)), Array(20).fill(200))
  await until(() => server.sockets.open === 0, 'no connection is left')
})
