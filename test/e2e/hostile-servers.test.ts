import t, { type Test } from 'tap'
import { startUpstream } from '../support/mcp-servers.ts'
import { fixture } from '../support/paths.ts'
import { isAlive } from '../support/processes.ts'
import { call, initSession } from '../support/requests.ts'
import { type Environment, serviceOn } from '../support/service.ts'
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

async function start (t: Test, over: string, attack: string, more: Environment = {}) {
  const good = await startUpstream(t, 'http-2025', ['--stateless'])
  const hostile = over === 'stdio' || over === 'shared'
    ? {
        command: process.execPath,
        args: [fixture('hostile-server.mjs'), attack],
        lifecycle: over === 'shared' ? 'shared' : 'request'
      }
    : { type: over, url: (await startUpstream(t, 'hostile', [attack, over])).url }
  const service = await serviceOn(t, { hostile, good: { url: good.url } }, { ...env, ...more })
  return { service, id: await initSession(service), other: await initSession(service) }
}

for (const [over, attack, sentence] of [
  ['stdio', 'noise', messages],
  ['stdio', 'json-noise', messages],
  ['stdio', 'line-without-end', line],
  ['stdio', 'progress', messages],
  ['stdio', 'log', messages],
  ['stdio', 'pings', requests],
  ['stdio', 'large-pings', bytes],
  ['stdio', 'batch', values],
  ['stdio', 'values', values],
  ['stdio', 'deep-values', values],
  ['shared', 'noise', messages],
  ['shared', 'pings', requests],
  ['http', 'progress', messages],
  ['http', 'log', messages],
  ['http', 'events', messages],
  ['http', 'comment', messages],
  ['http', 'comment-without-end', message],
  ['http', 'data-without-end', message],
  ['http', 'values', values],
  ['http', 'batch', values],
  ['sse', 'progress', messages],
  ['sse', 'log', messages],
  ['sse', 'pings', requests]
] as const) {
  t.test(`what a server sends without end is ended by a bound: ${attack} over ${over}`, async t => {
    const { service, id, other } = await start(t, over, attack)
    let turns = 0
    const attacked = call(service, id, 'hostile__act')
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
    if (over === 'shared') {
      await until(() => service.processCounts().alive === 0, 'the process is ended')
    }
    t.equal(service.processCounts().alive, 0)
    const again = await call(service, id, 'hostile__act', { calm: true })
    t.match(again.json(), { result: 'calm' }, 'the next call is as good as its server')
  })
}

t.test('answers that a server does not take are bounded in connections', async t => {
  const upstream = await startUpstream(t, 'hostile', ['pings', 'sse'])
  const service = await serviceOn(t, { hostile: { type: 'sse', url: upstream.url } }, env)
  const response = await call(service, await initSession(service), 'act')
  t.equal(response.statusCode, 502)
  const { peak, sockets } = await upstream.stats() as unknown as { peak: number, sockets: number }
  t.ok(peak <= 50 && sockets <= 60, `${peak} answers of 2000 at once over ${sockets} connections`)
})

t.test('a good server may send as much in all as it likes', async t => {
  const upstream = await startUpstream(t, 'http-2025')
  const service = await serviceOn(t, { up: { url: upstream.url } }, { ...env, MCP_MAX_SERVER_MESSAGES: '100' })
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

t.test('a process for all that is given up takes no request with it that comes later', async t => {
  const { service, id, other } = await start(t, 'shared', 'noise')
  t.match((await call(service, other, 'hostile__act', { calm: true })).json(), { result: 'calm' })
  const third = await initSession(service)
  const both = await Promise.all([call(service, id, 'hostile__act'), call(service, third, 'hostile__act')])
  for (const response of both) t.equal(response.statusCode, 502, response.body)
  t.match((await call(service, other, 'hostile__act', { calm: true })).json(), { result: 'calm' })
  t.ok(isAlive(process.pid))
})
