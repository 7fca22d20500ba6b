import { once } from 'node:events'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { startUpstream } from '../support/mcp-servers.ts'
import { fixture } from '../support/paths.ts'
import { isAlive } from '../support/processes.ts'
import { call, callFailure, failure, initSession, postTo } from '../support/requests.ts'
import { type Environment, serviceOn } from '../support/service.ts'
import { credential } from '../support/servers-file.ts'
import { until } from '../support/wait.ts'

interface Options {
  entry?: Record<string, unknown>
  env?: Environment
}

/** A service on a server over stdio that counts its starts, and answers no list before it may. */
async function startGated (t: Test, { entry, env }: Options = {}) {
  const file = join(t.testdir({}), 'lists')
  const args = [fixture('counting-server.mjs'), `${file}.calls`, file]
  const service = await serviceOn(t, { counting: { command: process.execPath, args, ...entry } }, env)
  const lines = async () => (await readFile(file, 'utf8').catch(() => '')).trim().split('\n')
  const pids = async () => (await lines()).flatMap(line => (line.startsWith('start ') ? [Number(line.slice(6))] : []))
  return {
    service,
    pids,
    /** Waits until so many processes are listing. */
    listing: (count = 1) =>
      until(async () => (await lines()).filter(line => line === 'list').length === count, `${count} list`),
    /** Waits until a tool is running. */
    calling: () => until(async () => (await readFile(`${file}.calls`, 'utf8').catch(() => '')) !== '', 'a tool runs'),
    answer: () => writeFile(`${file}.go`, ''),
    hold: () => rm(`${file}.go`),
    fail: () => writeFile(`${file}.fail`, ''),
    answerCalls: () => writeFile(`${file}.calls.go`, ''),
    recover: () => rm(`${file}.fail`)
  }
}

const found = { status: 'success', tools: [{ name: 'act' }] }

const listWithout = (service: FastifyInstance) => service.inject('/tools-schema')

t.test('requests that list the tools at the same time start one server', async t => {
  for (const ttl of ['60', '0']) {
    const { service, pids, listing, answer } = await startGated(t, { env: { MCP_TOOLS_CACHE_TTL: ttl } })
    const responses = Array.from({ length: 4 }, () => listWithout(service))
    await listing()
    await answer()
    for (const response of await Promise.all(responses)) t.match(response.json(), found)
    t.equal((await pids()).length, 1)
    await service.deferredSettled()
    t.equal(service.processCounts().alive, 0, 'which is gone when they are over')
    await listWithout(service)
    t.equal((await pids()).length, ttl === '0' ? 2 : 1, `MCP_TOOLS_CACHE_TTL=${ttl}`)
  }
})

t.test('a list and a call of an unknown tool at the same time start one server', async t => {
  const { service, pids, listing, answer } = await startGated(t)
  const id = await initSession(service)
  const [list, unknown] = [postTo(service, '/tools', { session_id: id }), call(service, id, 'nothing')]
  await listing()
  await answer()
  t.match((await list).json(), {
    tools: [{ name: 'act' }],
    workflow_guidance: { instructions: { counting: 'Count.' } }
  })
  t.strictSame((await unknown).json(), callFailure('UNKNOWN_TOOL', 'There is no tool nothing'))
  t.equal((await pids()).length, 1)
  await call(service, id, 'nothing')
  t.equal((await pids()).length, 2, 'a name that is still unknown is looked for in a fresh list')
})

t.test('sessions whose credentials differ never share a list, sessions with the same do', async t => {
  const { service, pids, listing, answer } = await startGated(t, {
    entry: { env: { TOKEN: credential('jwtToken') } }
  })
  const ids = await Promise.all(['a.n.n', 'b.o.b', 'a.n.n'].map(jwtToken => initSession(service, { jwtToken })))
  const responses = ids.map(id => postTo(service, '/tools', { session_id: id }))
  await listing(2)
  await answer()
  for (const response of await Promise.all(responses)) t.equal(response.statusCode, 200)
  t.equal((await pids()).length, 2)
})

t.test('a process for all whose tools may get credentials has its list asked for by each session', async t => {
  for (const [values, lists] of [['chain', 2], ['none', 1]] as const) {
    const { service, pids, listing, answer } = await startGated(t, { entry: { lifecycle: 'shared', values } })
    await answer()
    const ids = await Promise.all(['a.n.n', 'b.o.b'].map(jwtToken => initSession(service, { jwtToken })))
    for (const id of [...ids, ...ids]) t.equal((await postTo(service, '/tools', { session_id: id })).statusCode, 200)
    await listing(lists)
    t.equal((await pids()).length, 1)
  }
})

t.test('a list that fails does so for all who waited, and the next request tries again', async t => {
  const { service, pids, listing, answer, fail, recover } = await startGated(t)
  const responses = Array.from({ length: 3 }, () => listWithout(service))
  await listing()
  await fail()
  await answer()
  for (const response of await Promise.all(responses)) {
    t.strictSame(
      [response.statusCode, response.json()],
      [502, failure('MCP_CALL', 'MCP server counting answered the list of tools with an error: the list is broken')]
    )
  }
  t.equal((await pids()).length, 1)
  await recover()
  t.equal((await listWithout(service)).statusCode, 200)
  t.equal((await pids()).length, 2)
})

/** Callers who come over a socket, so that they can leave. */
async function startCallers (service: FastifyInstance) {
  await service.listen({ port: 0, host: '127.0.0.1' })
  const url = `http://127.0.0.1:${(service.server.address() as AddressInfo).port}/tools-schema`
  return async () => {
    const arrived = once(service.server, 'request') as Promise<[IncomingMessage, ServerResponse]>
    const request = get(url, { agent: false })
    const body = new Promise<IncomingMessage>((resolve, reject) => {
      request.on('response', resolve).on('error', reject)
    }).then(json)
    body.catch(() => {}) // of one who leaves
    const [, answer] = await arrived
    return {
      body,
      async leave () {
        request.destroy()
        await until(() => answer.closed, 'the service sees it')
      }
    }
  }
}

t.test('the request that started the server may leave: the others get the list', async t => {
  const { service, pids, listing, answer } = await startGated(t)
  const comes = await startCallers(service)
  const starter = await comes()
  await listing()
  const other = await comes()
  await starter.leave()
  const another = await comes()
  await answer()
  for (const { body } of [other, another]) t.match(await body, found)
  const [pid = 0, ...more] = await pids()
  t.strictSame(more, [])
  await service.deferredSettled()
  t.notOk(isAlive(pid), 'the server is gone when they are over')
})

t.test('a server whose list nobody waits for any more is ended, and the next request starts another', async t => {
  const { service, pids, listing, answer } = await startGated(t)
  const comes = await startCallers(service)
  const starter = await comes()
  await listing()
  const other = await comes()
  const [pid = 0] = await pids()
  await starter.leave()
  t.ok(isAlive(pid))
  await other.leave()
  await until(() => !isAlive(pid), 'the server is ended')
  await service.deferredSettled()
  t.equal(service.processCounts().alive, 0)
  await answer()
  t.equal((await listWithout(service)).statusCode, 200)
  t.equal((await pids()).length, 2)
})

t.test('a request that waits for its turn to start a server may leave: the others get the list', async t => {
  const env = { MCP_MAX_PROCESSES: '1', MCP_TOOLS_CACHE_TTL: '0' }
  const { service, pids, listing, calling, answer, hold, answerCalls } = await startGated(t, { env })
  const comes = await startCallers(service)
  const id = await initSession(service)
  await answer()
  const running = call(service, id, 'act', { name: 'running' })
  await calling()
  const starter = await comes()
  await until(() => service.processCounts().waiting === 1, 'the list waits for it')
  const other = await comes()
  await starter.leave()
  t.equal(service.processCounts().waiting, 1)
  await hold()
  await answerCalls()
  t.equal((await running).statusCode, 200)
  await listing(2)
  await answer()
  t.match(await other.body, found)
  t.equal((await pids()).length, 2, 'one that listed and called, and one that listed for both')
})

for (const name of ['http-2025', 'http-2026']) {
  t.test(`lists of ${name} are shared, each kind by itself`, async t => {
    const upstream = await startUpstream(t, name)
    const service = await serviceOn(t, { up: { url: upstream.url } })
    const id = await initSession(service)
    for (const [path, method] of [
      ['/tools', 'tools/list'],
      ['/resources', 'resources/list'],
      ['/resource-templates', 'resources/templates/list'],
      ['/prompts', 'prompts/list']
    ] as const) {
      const responses = await Promise.all(Array.from({ length: 4 }, () => postTo(service, path, { session_id: id })))
      t.strictSame(
        responses.map(({ statusCode }) => statusCode),
        [200, 200, 200, 200]
      )
      t.equal(new Set(responses.map(({ body }) => body)).size, 1)
      t.equal((await upstream.stats()).methods[method], 1, path)
    }
  })
}
