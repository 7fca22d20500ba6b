import t, { type Test } from 'tap'
import { startAnsweringServer } from '../support/answering-server.ts'
import { cases } from '../support/cases.ts'
import { redisClient, startRedis } from '../support/redis.ts'
import { call, initSession, postTo } from '../support/requests.ts'
import { type Environment, serviceOn } from '../support/service.ts'

const named = (count: number, first = 0) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`name${first + index}`, first + index]))
const properties = (names: object) => Object.fromEntries(Object.keys(names).map(name => [name, {}]))

/** A chain of a server with one tool, which tells what it was called with and gives what the test says. */
async function startChain (t: Test, declared: object, env: Environment = {}) {
  const state = { gives: {} as object, received: {} as Record<string, unknown>, calls: 0 }
  const { url } = await startAnsweringServer(t, {
    answers: {
      'tools/list': () => ({ tools: [{ name: 'act', inputSchema: { type: 'object', properties: properties(declared) } }] }),
      'tools/call': ({ arguments: args }) => {
        state.calls++
        state.received = args
        return { content: [{ type: 'text', text: JSON.stringify(state.gives) }] }
      }
    }
  })
  const app = await serviceOn(t, { up: { url, session: 'request' } }, env)
  return { state, app, session: await initSession(app) }
}

t.test('a result with more names than may be kept passes as it is, and makes what it outdates forgotten', async t => {
  const { state, app, session } = await startChain(t, named(30), { MCP_MAX_RESULT_NAMES: '10' })
  state.gives = { status: 'success', ...named(10) }
  t.notOk('x-mcp-not-cached' in (await call(app, session, 'act', { name20: 'mine' })).headers)

  state.gives = { status: 'success', ...named(11, 5) }
  const second = await call(app, session, 'act', { name15: 'sent' })
  t.strictSame(state.received, { ...named(10), name15: 'sent', name20: 'mine' }, 'what the first call gave')
  t.strictSame(second.json(), state.gives)
  t.equal(second.headers['x-mcp-not-cached'], Object.keys(named(11, 5)).join(', '))

  state.gives = { status: 'success' }
  await call(app, session, 'act')
  t.strictSame(state.received, { ...named(5), name20: 'mine' }, 'what no later call has changed')
})

t.test('a result of hundreds of thousands of names costs Redis no more than one of few', async t => {
  const { url } = await startRedis(t)
  const client = await redisClient(t, url)
  for (const MCP_ENCRYPTION_KEYS of cases([undefined, `k1:${Buffer.alloc(32, 1).toString('base64')}`], 2)) {
    const { state, app, session } = await startChain(t, named(3), { REDIS_URL: url, MCP_ENCRYPTION_KEYS })
    const commandsOf = async (gives: object) => {
      state.gives = gives
      await client.config('RESETSTAT')
      const response = await call(app, session, 'act')
      t.equal(response.statusCode, 200)
      t.equal(response.body, JSON.stringify(gives))
      const calls = [...(await client.info('commandstats')).matchAll(/calls=(\d+)/g)]
      return { header: response.headers['x-mcp-not-cached'], commands: calls.reduce((sum, [, count]) => sum + Number(count), 0) }
    }
    const few = await commandsOf({ status: 'success', ...named(3) })
    for (const many of [
      { status: 'success', ...named(200_000) }, { status: 'success', intermediate: named(200_000), ...named(3) }
    ]) {
      if ('intermediate' in many) {
        state.gives = many
        t.equal((await call(app, session, 'act')).headers['x-mcp-not-cached']?.toString().slice(-3), '...')
        continue
      }
      const { header, commands } = await commandsOf(many)
      t.ok(commands < few.commands + 20, `${commands} commands`)
      t.match(header, /^name0, name1, .*\.\.\.$/)
      t.ok(String(header).length < 2_100)
    }
  }
})

for (const count of cases([9_000, 50_000], 2)) {
  t.test(`a tool that declares ${count} parameters is called, its values are kept, and fill its next call`, async t => {
    const { state, app, session } = await startChain(t, named(count))
    t.equal((await postTo(app, '/tools', { session_id: session })).statusCode, 200)
    for (let times = 0; times < 3; times++) {
      state.gives = { status: 'success', ...named(3_000, 1_000 * times) }
      const response = await call(app, session, 'act', { [`name${count - 1}`]: 'sent' })
      t.equal(response.statusCode, 200, response.body.slice(0, 500))
      t.equal(state.calls, times + 1)
      t.notOk('x-mcp-not-cached' in response.headers)
    }
    state.gives = { status: 'success' }
    const filled = await call(app, session, 'act')
    t.equal(filled.statusCode, 200, filled.body.slice(0, 500))
    t.strictSame(state.received, { ...named(5_000), [`name${count - 1}`]: 'sent' })
    t.match(filled.headers['x-mcp-injected'], /;more=\d+$/)
    const described = await postTo(app, '/call-tool', { session_id: session, tool: 'act', params: {}, dry_run: true })
    t.equal(described.statusCode, 200)
    const chosen = Object.keys(named(count))
    t.equal((await postTo(app, '/call-tool', { session_id: session, tool: 'act', params: {}, inject: chosen })).statusCode, 200)
  })
}

t.test('a tool that requires very many parameters is filled in time that grows as they do', async t => {
  const names = named(50_000)
  const { url } = await startAnsweringServer(t, {
    answers: {
      'tools/list': () => ({
        tools: [{ name: 'act', inputSchema: { type: 'object', properties: properties(names), required: Object.keys(names) } }]
      }),
      'tools/call': ({ arguments: args }) => ({ content: [], structuredContent: { x: Object.keys(args).length } })
    }
  })
  const entry = { url, session: 'request', values: { keep: 'parameters', fill: 'required' } }
  const app = await serviceOn(t, { up: entry, other: { url, prefix: 'other' } })
  const session = await initSession(app)
  t.equal((await call(app, session, 'up__act', named(500))).statusCode, 200)
  const response = await call(app, session, 'up__act')
  t.equal(response.statusCode, 200, response.body.slice(0, 500))
  t.strictSame(response.json(), { x: 500 })
})
