import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startHangingServer } from '../support/hanging-server.ts'
import { fixture, root } from '../support/paths.ts'
import { redisClient } from '../support/redis.ts'
import { callAt, openSession, post } from '../support/requests.ts'
import { credential, type Entries, serversFile } from '../support/servers-file.ts'
import { type Environment, listen, type ServiceInProcess } from '../support/service.ts'
import { makeUpgradedServer, type State } from '../support/upgraded-server.ts'
import { until } from '../support/wait.ts'

interface Listing {
  tools?: Array<{ name: string }>
  resources?: Array<{ name: string }>
  prompts?: Array<{ name: string }>
  workflow_guidance?: { instructions: Record<string, string> }
  pending?: string[]
  errors?: Record<string, string>
}

const namesIn = (items: Array<{ name: string }> = []) => items.map(({ name }) => name).sort()

/** A service that learns what these servers offer. */
async function startOn (t: Test, mcpServers: Entries, env: Environment = {}) {
  const service = await listen(t, { MCP_SERVERS_FILE: await serversFile(t, mcpServers), MCP_LEARN_LISTS: 'on', ...env })
  const session = await openSession(service)
  const list = async (path: string) => (await post(`${service.url}${path}`, { session_id: session })).body as Listing
  return {
    service,
    list,
    tools: async () => namesIn((await list('/tools')).tools),
    call: async (tool: string) => await callAt(service, session, tool),

  }
}

const isLearned = (service: ServiceInProcess, times: number) => () =>
  service.output().split('"learned what an mcp server offers"').length > times

async function makeServers (t: Test, states: Record<string, State>) {
  const entries = await Promise.all(Object.entries(states).map(async ([name, state]) =>
    [name, await makeUpgradedServer(t, state)] as const))
  const servers = Object.fromEntries(entries)
  return {
    servers,
    entries: Object.fromEntries(entries.map(([name, { entry }]) => [name, entry])),
    starts: async () => Object.fromEntries(await Promise.all(entries.map(async ([name, { starts }]) =>
      [name, await starts()] as const)))
  }
}

t.test('what servers offer is learned once, at the start, and no listing starts a server', async t => {
  const { entries, servers, starts } = await makeServers(t, {
    one: { tools: ['act', 'look'], instructions: 'Use it.' },
    two: { resources: ['page'], prompts: ['greet'] },
    three: { announces: true }
  })
  const { service, list, call } = await startOn(t, entries)
  await until(isLearned(service, 3), 'all is learned')
  const once = { one: 1, two: 1, three: 1 }
  t.strictSame(await starts(), once)

  for (let times = 0; times < 2; times++) {
    const { tools, workflow_guidance: guidance, pending, errors } = await list('/tools')
    t.strictSame(namesIn(tools), ['one__act', 'one__look', 'three__act', 'two__act'])
    t.strictSame(guidance?.instructions, { one: 'Use it.' })
    t.strictSame([pending, errors], [undefined, undefined])
    t.strictSame(namesIn((await list('/resources')).resources), ['page'])
    t.strictSame(namesIn((await list('/prompts')).prompts), ['two__greet'])
    await list('/resource-templates')
  }
  t.strictSame(await starts(), once)
  t.equal((await call('three__act')).status, 200)
  t.strictSame(await starts(), { ...once, three: 2 })
  t.strictSame(namesIn((await list('/tools')).tools), ['one__act', 'one__look', 'three__act', 'two__act'])
  t.strictSame(await starts(), { ...once, three: 2 }, 'what a process says as it starts is no change')
  t.equal(await servers.one?.asked('tools/list'), 1)
})

t.test('a fleet is listed whole, also by who asks at once, and each server is started once', async t => {
  const own = Array.from({ length: 20 }, (_, index) => `own${index}`)
  const { entries, starts } = await makeServers(t, Object.fromEntries(own.map(name => [name, { resources: [name] }])))
  const bin = (name: string) => join(root, 'node_modules', '.bin', name)
  const { service, list, call } = await startOn(t, {
    everything: { command: bin('mcp-server-everything'), args: ['stdio'] },
    memory: { command: bin('mcp-server-memory'), args: [] },
    v1: { command: process.execPath, args: [fixture('stdio-2025-server.mjs')] },
    v2: { command: process.execPath, args: [fixture('stdio-2026-server.mjs')] },
    ...entries
  }, { MCP_QUEUE_TIMEOUT: '1' })
  const servers = (names: string[]) => [...new Set(names.map(name => name.split('__')[0]))].sort()
  const all = ['everything', 'memory', 'v1', 'v2', ...own].sort()

  const first = await list('/tools')
  t.strictSame([first.pending, first.errors], [undefined, undefined], 'it has waited, longer than in a queue')
  t.strictSame(servers(namesIn(first.tools)), all)
  const once = Object.fromEntries(own.map(name => [name, 1]))
  t.strictSame(await starts(), once)
  await until(isLearned(service, 24), 'all is learned')

  const running = async () => {
    const health = await (await fetch(`${service.url}/health`)).json() as { processes: { alive: number } }
    return health.processes.alive
  }
  await until(async () => await running() === 0, 'none is left')
  t.strictSame(namesIn((await list('/tools')).tools), namesIn(first.tools))
  t.strictSame(namesIn((await list('/resources')).resources).filter(name => name.startsWith('own')), own.toSorted())
  await list('/prompts')
  t.equal(await running(), 0)
  t.strictSame(await starts(), once)
  t.equal((await call('own7__act')).status, 200)
  t.strictSame(await starts(), { ...once, own7: 2 })
})

t.test('what one worker has learned, another one knows', async t => {
  const prefix = `test-${randomUUID()}`
  const { entries, servers, starts } = await makeServers(t, {
    one: { instructions: 'Use it.', prompts: ['greet'] }, two: { resources: ['page'] }
  })
  const env = { MCP_SESSION_KEY_PREFIX: prefix }
  const first = await startOn(t, entries, env)
  await until(isLearned(first.service, 2), 'all is learned')
  const before = [await first.list('/tools'), await first.list('/resources'), await first.list('/prompts')]
  await first.service.close()

  const second = await startOn(t, entries, env)
  t.strictSame([await second.list('/tools'), await second.list('/resources'), await second.list('/prompts')], before)
  t.strictSame(await starts(), { one: 1, two: 1 })
  await until(isLearned(second.service, 2), 'all is learned')
  t.match(second.service.output(), /"from":"redis"/)

  t.comment('another entry is another server')
  const third = await startOn(t, { ...entries, one: { ...entries.one, env: { A: 'b' } } }, env)
  await until(isLearned(third.service, 2), 'all is learned')
  t.strictSame(await starts(), { one: 2, two: 1 })

  t.comment('what is in Redis and was not written by this service is not used')
  const redis = await redisClient(t)
  const keys = await redis.keys(`mcp_lists:${prefix}:*`)
  t.equal(keys.length, 3)
  for (const [index, key] of keys.entries()) {
    t.ok(await redis.pttl(key) > 0)
    await redis.set(key, ['no json', '{"at":1,"unchanged":0,"lists":{"tools":{"items":[1],"warnings":[]}}}', '[]'][index] ?? '')
  }
  const fourth = await startOn(t, entries, env)
  t.strictSame(await fourth.list('/tools'), before[0])
  // The tools are there before the other lists were asked for.
  await until(isLearned(fourth.service, 2), 'all is learned')
  t.strictSame(await starts(), { one: 3, two: 2 })
  t.equal(await servers.two?.asked('resources/list'), 2)
})

t.test('lists that workers share are sealed, and what somebody else wrote is not believed', async t => {
  const prefix = `test-${randomUUID()}`
  const { entries, starts } = await makeServers(t, { one: {}, two: { tools: ['look'] } })
  const env = { MCP_SESSION_KEY_PREFIX: prefix, MCP_ENCRYPTION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}` }
  const first = await startOn(t, entries, env)
  await until(isLearned(first.service, 2), 'all is learned')
  const redis = await redisClient(t)
  const [one = '', two = ''] = await redis.keys(`mcp_lists:${prefix}:*`)
  const texts = [await redis.get(one), await redis.get(two)]
  for (const text of texts) t.match(text, /^s1\.k1\./)

  const second = await startOn(t, entries, env)
  t.strictSame(await second.tools(), ['one__act', 'two__look'])
  t.strictSame(await starts(), { one: 1, two: 1 }, 'whoever has the key knows them')

  t.comment('the text of another server, and one that is not sealed')
  await redis.set(one, texts[1] ?? '')
  const forged = { items: ['{"name":"forged","inputSchema":{"type":"object"}}'], warnings: [] }
  await redis.set(two, JSON.stringify({ at: Date.now(), unchanged: 0, lists: { tools: forged } }))
  const third = await startOn(t, entries, env)
  t.strictSame(await third.tools(), ['one__act', 'two__look'])
  t.strictSame(await starts(), { one: 2, two: 2 })
})

t.test('an upgraded server shows itself at its next start, and is learned anew', async t => {
  const { entries, servers, starts } = await makeServers(t, { one: {}, two: {} })
  const { service, tools, list, call } = await startOn(t, entries)
  await until(isLearned(service, 2), 'all is learned')
  t.strictSame(await tools(), ['one__act', 'two__act'])

  await servers.one?.become({ version: '2', tools: ['act', 'more'], resources: ['page'] })
  t.strictSame(await tools(), ['one__act', 'two__act'], 'nobody can know')
  t.match((await call('one__act')).body, { version: '2' })
  await until(isLearned(service, 3), 'it is learned anew')
  t.strictSame(await tools(), ['one__act', 'one__more', 'two__act'])
  t.strictSame(namesIn((await list('/resources')).resources), ['page'])
  t.strictSame(await starts(), { one: 3, two: 1 }, 'a call, and what it found out')

  t.comment('a server that offers more under the same version')
  await servers.two?.become({ prompts: ['greet'] })
  t.equal((await call('two__act')).status, 200)
  t.strictSame(namesIn((await list('/prompts')).prompts), ['two__greet'])
})

t.test('a server whose version differs at each start is remembered all the same', async t => {
  const { entries, servers, starts } = await makeServers(t, { one: {}, two: {} })
  const { service, tools, call } = await startOn(t, entries)
  await until(isLearned(service, 2), 'all is learned')
  for (let version = 2; version < 9; version++) {
    await servers.one?.become({ version: String(version) })
    await call('one__act')
    await tools()
  }
  const { one } = await starts()
  await servers.one?.become({ version: '9' })
  await call('one__act')
  t.strictSame(await tools(), ['one__act', 'two__act'])
  t.equal((await starts()).one, (one ?? 0) + 1)
})

t.test('a list that is old is shown, and learned again in the background', async t => {
  const { entries, servers } = await makeServers(t, { one: {}, two: {} })
  const { service, tools } = await startOn(t, entries, { MCP_TOOLS_CACHE_TTL: '1' })
  await until(isLearned(service, 2), 'all is learned')
  await servers.one?.become({ tools: ['newer'] })
  await until(async () => (await tools()).includes('one__newer'), 'the new list is there')

  t.comment('a server that says 0, as many do, is started for no listing either')
  await servers.two?.become({ ttlMs: 0, tools: ['first'] })
  await until(async () => (await tools()).includes('two__first'), 'it is learned again')
  await servers.two?.become({ ttlMs: 3_600_000, tools: ['second'] })
  await until(async () => (await tools()).includes('two__second'), 'and again')

  t.comment('one that says how long is asked after that')
  await servers.one?.become({ tools: ['newest'] })
  const before = await servers.two?.starts()
  await until(async () => (await tools()).includes('one__newest'), 'another one is learned again')
  t.equal(await servers.two?.starts(), before)
})

t.test('who is not known yet is pending, and a server that hangs or fails holds nobody up', async t => {
  const { entries, servers, starts } = await makeServers(t, {
    good: {}, hangs: { hangs: 'start' }, late: { hangs: 'tools/list' }, broken: { fails: true }
  })
  const { service, list, call } = await startOn(t, entries, {
    MCP_API_DEFAULT_TIMEOUT: '3', MCP_SESSION_START_TIMEOUT: '30', MCP_FAILING_TTL: '3600', MCP_MAX_STARTING: '4'
  })
  const readiness = async () => await (await fetch(`${service.url}/readyz`)).json() as { code?: string, error?: string }
  await until(async () => (await readiness()).error?.endsWith('offer: hangs, late') === true, 'only those are waited for')
  t.equal((await readiness()).code, 'MCPC_ERR_LEARNING')
  t.notMatch(service.output(), /"level":"error"[^\n]*MCPC_ERR_LEARNING/, 'which is no trouble')
  t.equal((await call('good__act')).status, 200, 'calls are served')

  await until(async () => await servers.late?.asked('tools/list') === 1, 'the tools are asked for')
  const { tools, pending, errors } = await list('/tools')
  t.strictSame(namesIn(tools), ['good__act'])
  t.strictSame(pending, ['hangs'])
  t.match(errors, { late: /did not answer/, broken: /something that it needs is missing/ })
  t.equal(await servers.hangs?.starts(), 1, 'the listing has waited for the start that was under way')
  t.equal((await starts()).late, 1)
})

t.test('who asks while a list is learned may wait longer than the learner', async t => {
  const { entries, servers: { late } } = await makeServers(t, { late: { hangs: 'tools/list', resources: ['page'] } })
  const { service, tools, list } = await startOn(t, entries, { MCP_API_DEFAULT_TIMEOUT: '6' })
  await until(async () => await late?.asked('tools/list') === 1, 'the tools are asked for')
  await delay(3_000)
  const waiting = tools()
  await until(() => service.output().includes('could not be learned'), 'the learner has given up')
  await late?.goOn()
  t.strictSame(await waiting, ['act'])
  t.equal(await late?.asked('tools/list'), 1, 'it was asked once for both')
  t.strictSame(namesIn((await list('/resources')).resources), ['page'])
  t.equal(await late?.starts(), 1)
})

t.test('who has joined what the learner waits for reads that it did not come in time', async t => {
  const { entries, servers: { late } } = await makeServers(t, { late: { hangs: 'tools/list' } })
  const { service, list } = await startOn(t, entries, { MCP_API_DEFAULT_TIMEOUT: '2' })
  await until(async () => await late?.asked('tools/list') === 1, 'the tools are asked for')
  const waiting = list('/tools')
  await until(() => service.output().includes('could not be learned'), 'the learner has given up')
  const { code, error } = await waiting as { code?: string, error?: string }
  t.equal(code, 'MCPC_ERR_MCP_TIMEOUT')
  t.match(error, /did not answer the list of tools in time \(2 s\)/)
})

t.test('a service is ready when it has waited long enough', async t => {
  const { entries } = await makeServers(t, { good: {}, hangs: { hangs: 'start' } })
  const { service } = await startOn(t, entries, { MCP_READY_WAIT: '1' })
  await until(async () => (await fetch(`${service.url}/readyz`)).status === 200, 'it is ready')
})

t.test('a server that may differ by session is not asked before a session asks', async t => {
  const { entries, starts } = await makeServers(t, { own: {}, same: {} })
  const personal = { ...entries.own, env: { TOKEN: credential('jwtToken') } }
  const faulty = { command: '/no/such/program' }
  const { service, list, tools } = await startOn(t, { own: personal, same: entries.same ?? {}, faulty })
  await until(async () => (await fetch(`${service.url}/readyz`)).status === 200, 'it is ready')
  t.strictSame(await starts(), { own: 0, same: 1 })
  t.notMatch(service.output(), /could not be learned/, 'nor one whose entry has a fault')
  t.strictSame(await tools(), ['own__act', 'same__act'])
  t.strictSame(await starts(), { own: 1, same: 1 })
  await list('/resources')
  const { own } = await starts()
  for (let times = 0; times < 3; times++) await list('/resources')
  t.strictSame(await starts(), { own, same: 1 }, 'what it does not have it is not asked for again')
})

t.test('a server over HTTP is asked once for all its lists', async t => {
  const { entries } = await makeServers(t, { same: {} })
  const asked: Record<string, number> = {}
  const upstream = await startHangingServer(t, {
    hangs ({ message: { method = '' } }) {
      asked[method] = (asked[method] ?? 0) + 1
      return false
    }
  })
  const { service, list } = await startOn(t, { ...entries, up: { url: upstream.url } })
  await until(isLearned(service, 2), 'all is learned')
  const before = { ...asked }
  t.strictSame([before.initialize, before['tools/list'], before['resources/list']], [1, 1, 1])
  t.strictSame(namesIn((await list('/tools')).tools), ['same__act', 'up__act'])
  t.strictSame(namesIn((await list('/resources')).resources), ['one'])
  t.strictSame(asked, before)
})
