import t, { type Test } from 'tap'
import { build, call, initSession, redisClient } from '../helper.ts'

/** What the service sent to Redis while `act` ran: the commands, without what scripts call inside Redis. */
async function commandsOf (t: Test, act: () => Promise<unknown>): Promise<string[]> {
  const monitor = await (await redisClient(t)).monitor()
  const commands: string[] = []
  monitor.on('monitor', (_time: string, [command]: string[], source: string) => {
    if (source !== 'lua') commands.push(command ?? '')
  })
  await act()
  // MONITOR tells in order: once it has told of this, it has told of everything before.
  const mark = await redisClient(t)
  await mark.echo('mark')
  while (!commands.includes('echo')) await new Promise(resolve => setTimeout(resolve, 5))
  monitor.disconnect()
  const own = new Set(['echo', 'info', 'monitor', 'client', 'select', 'auth', 'hello'])
  return commands.filter(command => !own.has(command.toLowerCase()))
}

t.test('a tool call takes two round trips before the tool and one after it', async t => {
  const app = await build(t)
  const session = await initSession(app)
  await call(app, session, 'echo', { text: 'so that the scripts and the tools are known' })

  const commands = await commandsOf(t, async () => {
    t.equal((await call(app, session, 'echo')).statusCode, 200)
    await app.deferredSettled()
  })

  t.strictSame(commands, ['evalsha', 'hmget', 'evalsha'], 'load, the values that the tool declares, what is kept')
})

t.test('a call that leaves no gap to fill reads no values', async t => {
  const app = await build(t)
  const session = await initSession(app)
  await call(app, session, 'wait', { ms: 1 })

  t.strictSame(await commandsOf(t, () => call(app, session, 'wait', { ms: 1 })), ['evalsha', 'evalsha'])
})

t.test('listing tools takes one round trip', async t => {
  const app = await build(t)
  const session = await initSession(app)
  const list = () => app.inject({ method: 'POST', url: '/tools', payload: { session_id: session } })
  await list()

  t.strictSame(await commandsOf(t, list), ['evalsha'])
})

t.test('requests that need no session, or know of none, do not ask Redis', async t => {
  const app = await build(t)
  await app.inject('/tools-schema')
  t.strictSame(await commandsOf(t, async () => {
    for (const url of ['/livez', '/tools-schema', '/nothing', '/openapi.json']) await app.inject(url)
    await app.inject({ method: 'POST', url: '/call-tool', payload: { tool: 'echo' } })
  }), [])
})
