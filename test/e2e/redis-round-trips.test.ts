import t, { type Test } from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { fixture } from '../support/paths.ts'
import { redisClient, startRedis } from '../support/redis.ts'
import { call, initSession } from '../support/requests.ts'
import { build, serviceOn } from '../support/service.ts'

/** A Redis of this file's own: MONITOR shows the commands of everybody. */
const { url: REDIS_URL } = await startRedis(t)

/** What the service sent to Redis while `act` ran: the commands, or else what scripts called inside Redis. */
async function commandsOf (
  t: Test,
  act: () => Promise<unknown>,
  by: 'service' | 'scripts' = 'service'
): Promise<string[]> {
  const monitor = await (await redisClient(t, REDIS_URL)).monitor()
  const commands: string[] = []
  monitor.on('monitor', (_time: string, [command]: string[], source: string) => {
    if ((source === 'lua') === (by === 'scripts') || command === 'echo') commands.push(command ?? '')
  })
  await act()
  // MONITOR tells in order: once it has told of this, it has told of everything before.
  const mark = await redisClient(t, REDIS_URL)
  await mark.echo('mark')
  while (!commands.includes('echo')) await new Promise(resolve => setTimeout(resolve, 5))
  monitor.disconnect()
  const own = new Set(['echo', 'info', 'monitor', 'client', 'select', 'auth', 'hello'])
  return commands.filter(command => !own.has(command.toLowerCase()))
}

t.test('a call of a tool that is known takes one round trip before it and one after it', async t => {
  const app = await build(t, { REDIS_URL })
  const session = await initSession(app)
  await call(app, session, 'echo', { text: 'so that the scripts and the tools are known' })

  const commands = await commandsOf(t, async () => {
    t.equal((await call(app, session, 'echo')).statusCode, 200)
    await app.deferredSettled()
  })

  t.strictSame(
    commands,
    ['evalsha', 'evalsha'],
    'the session with the values that the tool declares, and what is kept'
  )
})

t.test('so does a call that is waited for where others are made later', async t => {
  const app = await build(t, { REDIS_URL, MCP_ASYNC_CALLS: 'on' })
  const session = await initSession(app)
  await call(app, session, 'echo', { text: 'so that the scripts and the tools are known' })
  // The worker looks for jobs and for tasks beside it, once a second: not in each of these calls.
  const runs: string[][] = []
  for (let run = 0; run < 4; run++) {
    const commands = await commandsOf(t, async () => {
      t.equal((await call(app, session, 'echo')).statusCode, 200)
      await app.deferredSettled()
    })
    runs.push(commands.filter(command => !/^x(autoclaim|readgroup)$/i.test(command)))
  }
  t.strictSame(runs.sort((one, other) => one.length - other.length)[0], ['evalsha', 'evalsha'])
})

t.test('so does a call of one server of several, whatever its values come from', async t => {
  const tiny = { command: process.execPath, args: [fixture('tiny-server.mjs')], lifecycle: 'shared' }
  const app = await serviceOn(t, {
    chain: { ...tiny, values: 'chain' },
    other: {
      ...tiny,
      values: { keep: 'both', fill: 'declared', from: ['other', 'chain', 'caller'] },
      credentials: ['jwtToken'],
      tools: { echo: { arguments: { text: { value: 'text', from: 'caller' } } } }
    },
    none: tiny
  }, { REDIS_URL, MCP_VALUES: undefined })
  const session = await initSession(app, { text: 'of /init' })
  await app.inject({ method: 'POST', url: '/tools', payload: { session_id: session } })
  for (const tool of ['chain__echo', 'other__echo', 'none__wait']) {
    await call(app, session, tool, { ms: 0 })
    await app.deferredSettled()
    const commands = await commandsOf(t, async () => {
      t.equal((await call(app, session, tool)).statusCode, 200)
      await app.deferredSettled()
    })
    t.strictSame(commands, ['evalsha', 'evalsha'], tool)
  }
})

t.test(
  'a call of a tool that is not known, or by an id in the header, takes two before it and one after it',
  async t => {
    const app = await build(t, { REDIS_URL, MCP_TOOLS_CACHE_TTL: '0' })
    const session = await initSession(app)
    await call(app, session, 'echo', { text: 'so that the scripts are known' })
    t.strictSame(await commandsOf(t, () => call(app, session, 'echo')), ['evalsha', 'hmget', 'evalsha'])

    const known = await build(t, { REDIS_URL })
    const other = await initSession(known)
    const callByHeader = () =>
      known.inject({
        method: 'POST',
        url: '/call-tool',
        headers: { 'x-session-id': other },
        payload: { tool: 'echo' }
      })
    await callByHeader()
    t.strictSame(await commandsOf(t, callByHeader), ['evalsha', 'hmget', 'evalsha'])
  }
)

t.test('a result that is kept costs one round trip, one of another megabyte one more, and others none', async t => {
  const app = await serviceOn(t, {
    up: { command: process.execPath, args: [fixture('results-server.mjs')], lifecycle: 'shared' }
  }, { REDIS_URL, MCP_INLINE_RESULT_BYTES: '2000' })
  const session = await initSession(app)
  const make = (bytes: number, options: object = {}) => app.inject({
    method: 'POST', url: '/call-tool', payload: { session_id: session, tool: 'make', params: { bytes }, ...options }
  })
  let ref = ''
  const keep = async (bytes: number) => { ref = (await make(bytes)).json().ref }
  await keep(9_000)
  const read = () => app.inject({ url: `/results/${ref}?pointer=/rows`, headers: { 'x-session-id': session } })
  await read()
  await app.deferredSettled()
  for (const [commands, act] of [
    [['evalsha', 'evalsha'], () => make(1_000)],
    [['evalsha', 'evalsha'], () => make(9_000, { reference: false })],
    [['evalsha', 'evalsha', 'evalsha'], () => make(1_000, { reference: true })],
    [['evalsha', 'evalsha', 'evalsha'], () => keep(9_000)],
    // The session, the head of the result, its only piece for each of two looks.
    [['evalsha', 'evalsha', 'hget', 'hget'], read],
    [['evalsha', 'evalsha', 'evalsha', 'evalsha'], () => make(1_500_000)]
  ] as Array<[string[], () => Promise<unknown>]>) {
    t.strictSame(await commandsOf(t, async () => {
      await act()
      await app.deferredSettled()
    }), commands)
  }
})

t.test('listing tools takes one round trip', async t => {
  const app = await build(t, { REDIS_URL })
  const session = await initSession(app)
  const list = () => app.inject({ method: 'POST', url: '/tools', payload: { session_id: session } })
  await list()

  t.strictSame(await commandsOf(t, list), ['evalsha'])
})

t.test('requests that need no session, or know of none, do not ask Redis', async t => {
  const app = await build(t, { REDIS_URL })
  await app.inject('/tools-schema')
  t.strictSame(
    await commandsOf(t, async () => {
      for (const url of ['/livez', '/tools-schema', '/nothing', '/openapi.json']) await app.inject(url)
      await app.inject({ method: 'POST', url: '/call-tool', payload: { tool: 'echo' } })
    }),
    []
  )
})

t.test(
  'a wrong token costs what an unknown session costs, to the command, however much the session holds',
  async t => {
    const app = await build(t, { REDIS_URL, MCP_SESSION_TOKENS: 'required' })
    const opening = { session_id: 'held', apiUrl, jwtToken, text: 'x'.repeat(1_000_000) }
    const { session_token: token } = (await app.inject({ method: 'POST', url: '/init', payload: opening })).json()
    const callWith = (id: string, bearer: string) =>
      app.inject({
        method: 'POST',
        url: '/call-tool',
        headers: { authorization: `Bearer ${bearer}` },
        payload: { session_id: id, tool: 'echo' }
      })
    t.equal((await callWith('held', token)).statusCode, 200, 'and the tool and the scripts are known')

    const asked: string[][] = []
    for (const [id, bearer] of [
      ['held', 'wrong'],
      ['unknown', 'wrong'],
      ['unknown', token]
    ] as const) {
      for (const by of ['service', 'scripts'] as const) {
        asked.push(await commandsOf(t, async () => t.equal((await callWith(id, bearer)).statusCode, 409), by))
      }
    }
    t.strictSame(asked, [['evalsha'], ['HGET'], ['evalsha'], ['HGET'], ['evalsha'], ['HGET']])
  }
)
