import t from 'tap'
import { cases } from '../support/cases.ts'
import { startUpstream } from '../support/mcp-servers.ts'
import { fixture } from '../support/paths.ts'
import { call, initSession } from '../support/requests.ts'
import { serviceOn } from '../support/service.ts'
import { until } from '../support/wait.ts'

/** Small bounds: what is held is the same, and the tests are short. */
const env = {
  MCP_MAX_RESULT_BYTES: '12000000',
  MCP_MAX_SERVER_BYTES: '30000000',
  MCP_MAX_SERVER_MESSAGES: '2000',
  MCP_MAX_SERVER_REQUESTS: '50',
  MCP_WARM_SPARES: '0'
}

const messages = 'it sent more than 2000 messages in a minute (MCP_MAX_SERVER_MESSAGES)'
const requests = 'it has not taken the answers to 50 requests (MCP_MAX_SERVER_REQUESTS)'
const values = 'a message has more than 500000 values (MCP_MAX_MESSAGE_VALUES)'
const message = 'a message is longer than 12000000 bytes (MCP_MAX_RESULT_BYTES)'
const line = 'a line is longer than 12000000 bytes (MCP_MAX_RESULT_BYTES)'
const bytes = 'it sent more than 30000000 bytes in a minute (MCP_MAX_SERVER_BYTES)'

const stdio = { command: process.execPath, args: [fixture('hostile-server.mjs')] }
const [good, http, sse] = await Promise.all([
  startUpstream(t, 'http-2025', ['--stateless']),
  startUpstream(t, 'hostile', ['http']),
  startUpstream(t, 'hostile', ['sse'])
])
const service = await serviceOn(t, {
  good: { url: good.url },
  stdio,
  shared: { ...stdio, lifecycle: 'shared' },
  http: { url: http.url },
  sse: { type: 'sse', url: sse.url }
}, env)

const attacks = [
  ['stdio', 'noise', messages],
  ['stdio', 'json-noise', messages],
  ['stdio', 'line-without-end', line],
  ['stdio', 'progress', messages],
  ['stdio', 'log', messages],
  ['stdio', 'pings', requests],
  ['stdio', 'large-log', bytes],
  ['stdio', 'large-pings', 'the id of a request of it is longer than 1024 characters'],
  ['stdio', 'batch', values],
  ['stdio', 'values', values],
  ['stdio', 'deep-values', values],
  ['shared', 'noise', messages],
  ['shared', 'pings', requests],
  ['http', 'progress', messages],
  ['http', 'log', messages],
  ['http', 'events', messages],
  ['http', 'comment', messages],
  ['http', 'comment-without-end', 'a comment in its stream of events is longer than 1048576 bytes'],
  ['http', 'data-without-end', message],
  ['http', 'values', values],
  ['http', 'batch', values],
  ['sse', 'progress', messages],
  ['sse', 'log', messages],
  ['sse', 'pings', requests]
] as const

for (const [over, attack, sentence] of cases(attacks, 5)) {
  t.test(`what a server sends without end is ended by a bound: ${attack} over ${over}`, async t => {
    const [id, other] = [await initSession(service), await initSession(service)]
    let turns = 0
    const attacked = call(service, id, `${over}__${attack}`)
    const state = { isOver: false }
    attacked.finally(() => { state.isOver = true }).catch(() => {})
    // Another user's calls, one after the other, while it goes on.
    do {
      t.equal((await call(service, other, 'good__echo', { text: turns })).json().text, turns)
      turns++
    } while (!state.isOver)
    const response = await attacked
    t.equal(response.statusCode, 502, response.body)
    t.equal(response.json().error.slice(-sentence.length), sentence)
    t.match(response.json(), { code: 'MCPC_ERR_MCP_CALL', acted: 'unknown' })
    await service.deferredSettled()
    const isGone = () => service.processCounts().alive === 0
    if (over === 'stdio') t.ok(isGone(), 'its process is gone')
    if (over === 'shared') await until(isGone, 'its process is gone')
    const again = await call(service, id, `${over}__calm`)
    t.match(again.json(), { result: 'calm' }, 'the next call is as good as its server')
  })
}

t.test('a server that was ended by a bound leaves a place free for the starts of others', async t => {
  const service = await serviceOn(t, { good: stdio, bad: stdio, worse: stdio }, { ...env, MCP_MAX_STARTING: '3' })
  const id = await initSession(service)
  const startsAtOnce = async (...tools: string[]) => {
    const state = { most: 0, isOver: false }
    const look = () => {
      state.most = Math.max(state.most, service.processCounts().starting)
      if (!state.isOver) setImmediate(look)
    }
    look()
    const answers = await Promise.all(tools.map(tool => call(service, id, tool)))
    state.isOver = true
    t.ok(answers.every(({ statusCode }) => statusCode === 200), 'every call is served')
    await service.deferredSettled()
    return state.most
  }
  const calls = ['bad__calm', 'worse__calm', 'bad__calm', 'worse__calm', 'bad__calm', 'worse__calm']
  t.ok(await startsAtOnce(...calls) >= 3, 'before that, as many as may')
  // On a busy machine a start may take so long that it leaves its place to another.
  let most = Infinity
  for (let attempt = 0; attempt < 5 && most > 2; attempt++) {
    for (const tool of ['bad__noise', 'worse__pings']) t.equal((await call(service, id, tool)).statusCode, 502)
    most = await startsAtOnce(...calls)
  }
  t.equal(most, 2, 'one place is left free')
  t.ok(await startsAtOnce(...calls, 'good__calm', 'good__calm') >= 3, 'for others')
})

t.test('answers that a server does not take are bounded in connections', async t => {
  const upstream = await startUpstream(t, 'hostile', ['sse'])
  const service = await serviceOn(t, { hostile: { type: 'sse', url: upstream.url } }, env)
  const response = await call(service, await initSession(service), 'pings')
  t.equal(response.statusCode, 502)
  const { peak, sockets } = await upstream.stats() as unknown as { peak: number, sockets: number }
  t.ok(peak <= 50 && sockets <= 60, `${peak} answers of 2000 at once over ${sockets} connections`)
})

t.test('a good server may send as much in all as it likes', async t => {
  const service = await serviceOn(t, { good: { url: good.url } }, { ...env, MCP_MAX_SERVER_MESSAGES: '100' })
  const id = await initSession(service)
  for (let round = 0; round < 5; round++) {
    const response = await service.inject({
      method: 'POST',
      url: '/call-tool',
      headers: { accept: 'text/event-stream' },
      payload: { session_id: id, tool: 'progress', params: { steps: 40, delay: 0 } }
    })
    t.match(response.body, /event: result/)
  }
})

t.test('a process for all may answer as many calls, with as much, as there are', async t => {
  const bounds = { MCP_MAX_SERVER_MESSAGES: '100', MCP_MAX_SERVER_BYTES: '65536', MCP_WARM_SPARES: '0' }
  const large = { command: process.execPath, args: [fixture('large-server.mjs'), '10000'], lifecycle: 'shared' }
  const service = await serviceOn(t, { large }, bounds)
  const id = await initSession(service)
  for (let calls = 0; calls < 150; calls++) t.equal((await call(service, id, 'large')).statusCode, 200)
})

t.test('a process for all that is given up takes no request with it that comes later', async t => {
  const service = await serviceOn(t, { shared: { ...stdio, lifecycle: 'shared' } }, env)
  const id = await initSession(service)
  t.match((await call(service, id, 'calm')).json(), { result: 'calm' })
  const both = await Promise.all([call(service, id, 'noise'), call(service, id, 'noise')])
  for (const response of both) t.equal(response.statusCode, 502, response.body)
  t.match((await call(service, id, 'calm')).json(), { result: 'calm' })
})
