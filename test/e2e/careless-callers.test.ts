import type { ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { Refused, startAnsweringServer } from '../support/answering-server.ts'
import { cases } from '../support/cases.ts'
import { createGatedServer, startUpstream } from '../support/mcp-servers.ts'
import { redisClient } from '../support/redis.ts'
import { call, initSession, postTo } from '../support/requests.ts'
import { fixture } from '../support/paths.ts'
import { type Environment, serviceOn } from '../support/service.ts'
import { until } from '../support/wait.ts'

/** More than the socket buffers of both sides hold. */
const length = 24_000_000

/** Sends requests over a socket of its own, and reads nothing of the answers. */
async function sendUnread (t: Test, service: FastifyInstance, bodies: object[], headers = ''): Promise<Socket> {
  const { port } = service.server.address() as AddressInfo
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.pause()
  socket.on('error', () => {})
  for (const body of bodies) {
    const text = JSON.stringify(body)
    const path = 'tool' in body ? '/call-tool' : '/read-resource'
    socket.write(`POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${headers}content-length: ${text.length}\r\n\r\n${text}`)
  }
  return socket
}

const large = { command: process.execPath, args: [fixture('large-server.mjs'), String(length)] }

/** A service with room for four processes, and for four calls of a session. */
async function start (t: Test, env: Environment = {}) {
  const service = await serviceOn(t, { up: large }, {
    MCP_MAX_PROCESSES: '4', MCP_WARM_SPARES: '0', MCP_SESSION_MAX_CONCURRENCY: '4', MCP_QUEUE_TIMEOUT: '60', ...env
  })
  await service.listen({ port: 0, host: '127.0.0.1' })
  const id = await initSession(service)
  const redis = await redisClient(t)
  const running = () => redis.hget(`${service.config.session.keyPrefix}:${id}`, 'running')
  const responses: ServerResponse[] = []
  service.server.on('request', (_, response) => responses.push(response))
  return { service, id, running, responses }
}

for (const [what, headers, pipelined] of cases([
  ['four answers over one connection', '', true],
  ['their answers', '', false],
  ['their events', 'accept: text/event-stream\r\n', false]
] as const, 2)) {
  t.test(`four callers who do not read ${what} hold no process, no slot and no turn that others need`, async t => {
    const { service, id, running, responses } = await start(t)
    const calls = Array.from({ length: 4 }, () => ({ session_id: id, tool: 'large' }))
    const sockets = pipelined
      ? [await sendUnread(t, service, calls, headers)]
      : await Promise.all(calls.map(body => sendUnread(t, service, [body], headers)))
    const areWaiting = () =>
      responses.length === 4 && responses.every(({ writableLength }) => writableLength > 1_000_000)
    await until(areWaiting, 'all results are here')
    await until(async () => service.processCounts().alive === 0 && await running() === null, 'nothing is held')
    t.match(service.processCounts(), { alive: 0, starting: 0, waiting: 0 })
    t.ok(areWaiting(), 'while no answer was read')

    const read = await call(service, id, 'large')
    t.equal(read.statusCode, 200)
    t.equal(read.json().result.length, length)
    t.ok(sockets.every(({ closed }) => !closed))
  })
}

t.test('an answer that nobody reads is ended', async t => {
  const { service, id, responses } = await start(t, { MCP_WRITE_TIMEOUT: '1' })
  const socket = await sendUnread(t, service, [{ session_id: id, tool: 'large' }])
  await until(() => responses.length === 1 && responses.every(({ closed }) => closed), 'its connection is ended')
  const ended = new Promise(resolve => socket.once('close', resolve))
  socket.resume() // what is left in between comes, and then the end
  await ended
  t.ok(socket.bytesRead < length, `${socket.bytesRead} bytes came`)
})

t.test('a call that says nothing for longer than that goes on', async t => {
  const upstream = await startUpstream(t, 'http-2025')
  const service = await serviceOn(t, { up: { url: upstream.url } }, { MCP_WRITE_TIMEOUT: '0.1' })
  const url = await service.listen({ port: 0, host: '127.0.0.1' })
  const id = await initSession(service)
  for (const accept of ['application/json', 'text/event-stream']) {
    const response = await fetch(`${url}/call-tool`, {
      method: 'POST', headers: { accept }, body: JSON.stringify({ session_id: id, tool: 'slow', params: { delay: 600 } })
    })
    t.equal(response.status, 200)
    t.match(await response.text(), /success|result/)
  }
})

t.test('every request that asks a server takes one of its session\'s slots', async t => {
  const up = await startAnsweringServer(t, {
    answers: {
      'tools/list': () => ({ tools: [{ name: 'act', inputSchema: { type: 'object' } }] }),
      'resources/list': () => ({ resources: [{ uri: 'a://b', name: 'b' }] }),
      'resources/templates/list': () => ({ resourceTemplates: [] }),
      'prompts/list': () => ({ prompts: [{ name: 'hello' }] }),
      'completion/complete' () { throw new Refused(-32_602, 'no') }
    }
  })
  const gated = await createGatedServer(t)
  const service = await serviceOn(t, { gated: gated.entry, up: { url: up.url } }, {
    MCP_SESSION_MAX_CONCURRENCY: '1', MCP_TOOLS_CACHE_TTL: '3600'
  })
  const [id, other] = [await initSession(service), await initSession(service)]
  const redis = await redisClient(t)
  const running = () => redis.hget(`${service.config.session.keyPrefix}:${id}`, 'running')
  const requests = [
    ['/tools', {}], ['/resources', {}], ['/resource-templates', {}], ['/prompts', {}],
    ['/read-resource', { uri: 'a://b', server: 'up' }], ['/get-prompt', { name: 'up__hello' }],
    ['/complete', { ref: { type: 'ref/prompt', name: 'up__hello' }, argument: { name: 'a', value: '' } }],
    ['/call-tool', { tool: 'up__act' }]
  ] as const
  // Its list is known: a call of the gated server, which holds the only slot from now on, asks for nothing else.
  t.equal((await postTo(service, '/tools', { session_id: other })).statusCode, 200)
  await service.deferredSettled()
  const holding = call(service, id, 'gated__act', { name: 'a' })
  await until(async () => await gated.calls() !== '', 'it runs')
  for (const [path, fields] of requests) {
    const response = await postTo(service, path, { session_id: id, ...fields })
    if (path === '/tools') {
      t.equal(response.statusCode, 200, 'a list that is remembered asks nobody')
      continue
    }
    t.strictSame(
      [response.statusCode, response.json().code], [429, 'MCPC_ERR_TOO_MANY_CALLS'], `${path} ${response.body}`
    )
    t.not((await postTo(service, path, { session_id: other, ...fields })).statusCode, 429, 'another session has its own')
  }
  await gated.open()
  t.equal((await holding).statusCode, 200)
  await service.deferredSettled()
  for (const [path, fields] of requests) {
    t.not((await postTo(service, path, { session_id: id, ...fields })).statusCode, 429, path)
    await service.deferredSettled()
    t.equal(await running(), null, `${path} gives its slot back`)
  }
})
