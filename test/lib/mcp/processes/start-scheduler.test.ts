import { mock } from 'node:test'
import t, { type Test } from 'tap'
import type { Turn } from '../../../../lib/mcp/processes/start-bounds.ts'
import type { Rank } from '../../../../lib/mcp/processes/start-queue.ts'
import { createStartScheduler, type ServerStarts } from '../../../../lib/mcp/processes/start-scheduler.ts'

/** Lets all that was decided come to those who wait for it. */
const settled = () => new Promise(resolve => setImmediate(resolve))

interface Start {
  turn: Turn
  succeed: () => Promise<void>
  fail: () => Promise<void>
  /** The process sends more than it may, and is ended for it. */
  exceed: () => void
}

/** A scheduler, and the starts that it lets begin, in their order. */
function setUp (options: Partial<Parameters<typeof createStartScheduler>[0]> = {}) {
  const scheduler = createStartScheduler({ maxAlive: 100, maxStarting: 1, maxQueued: 1000, ...options })
  const servers = new Map<string, ServerStarts>()
  const begun: string[] = []
  const starts: Start[] = []
  const refused: string[] = []

  function server (name: string): ServerStarts {
    const known = servers.get(name) ?? scheduler.forServer(name)
    servers.set(name, known)
    return known
  }

  /** `names` are servers, such as `a b`. Each waits for a start, and begins it when its turn comes. */
  async function want (rank: Rank, names: string, waitMs = Infinity, leaving?: AbortSignal) {
    for (const name of names.split(' ')) {
      const signal = leaving ?? new AbortController().signal
      server(name).wait({ rank, waitMs, signal }).then(turn => {
        let end = (_: 'up' | Error) => {}
        const opening = new Promise<void>((resolve, reject) => {
          end = outcome => outcome === 'up' ? resolve() : reject(outcome)
        })
        let exceeded = false
        const sender = { exceededBound: () => exceeded }
        const during = turn.during(opening, sender)
        during.catch(() => {})
        const ending = (outcome: 'up' | Error) => async () => {
          end(outcome)
          await settled()
        }
        begun.push(name)
        starts.push({
          turn,
          succeed: ending('up'),
          fail: ending(new Error('it failed')),
          exceed: () => { exceeded = true }
        })
      }, ({ code, message }) => refused.push(`${name} ${code} ${message}`))
    }
    await settled()
  }

  /** Ends the starts that have begun, and those that begin then, until none does. */
  async function finishAll (): Promise<string[]> {
    for (let index = 0; index < starts.length; index++) {
      await starts[index]?.succeed()
      starts[index]?.turn.release()
      await settled()
    }
    return begun
  }

  return { scheduler, server, want, begun, starts, refused, finishAll }
}

/** Time passes when the test says so. */
function clock (t: Test) {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  return async (milliseconds: number) => {
    mock.timers.tick(milliseconds)
    await settled()
  }
}

t.test('turns go round over the servers', async t => {
  const { want, finishAll } = setUp()
  await want('call', 'a a a a a b c b')
  t.strictSame(await finishAll(), ['a', 'a', 'b', 'c', 'a', 'b', 'a', 'a'])
})

t.test('calls go before lists, which no number of calls keeps waiting for ever', async t => {
  const { want, finishAll } = setUp()
  await want('call', 'first')
  await want('list', 'list list')
  await want('call', 'a b c d e f g h i j k l')
  const order = await finishAll()
  t.strictSame(order.indexOf('list'), 5, 'after four calls')
  t.strictSame(order.lastIndexOf('list'), 10, 'and after another four')
})

t.test('what nobody waits for begins when no request does, one at a time', async t => {
  const { want, begun, starts, scheduler } = setUp({ maxStarting: 3 })
  await want('call', 'a')
  await want('spare', 'x y')
  await want('background', 'b c')
  await want('list', 'd')
  t.strictSame(begun, ['a', 'b', 'd'])
  t.equal(scheduler.waiting, 0, 'none of them is a request that waits')
  await starts[1]?.succeed()
  t.strictSame(begun, ['a', 'b', 'd', 'c'])
  await starts[3]?.succeed()
  await starts[0]?.succeed()
  t.equal(begun.length, 4, 'a spare takes no processor from a list')
  await starts[2]?.succeed()
  t.strictSame(begun.slice(4), ['x'])
  await want('call', 'e')
  await starts[4]?.succeed()
  t.strictSame(begun.slice(5), ['e'], 'a spare that had to wait')
  await starts[5]?.fail()
  starts[5]?.turn.release()
  t.strictSame(begun.slice(5), ['e', 'y'], 'has its turn when the reason is gone')
})

t.test('a start that hangs leaves the processor to others', async t => {
  const pass = clock(t)
  const { want, begun, starts, scheduler } = setUp({ maxStarting: 2 })
  await want('call', 'hang hang hang hang')
  await want('call', 'good')
  t.strictSame(begun, ['hang', 'hang'])
  await pass(1_000)
  t.strictSame(begun, ['hang', 'hang', 'good'], 'it has no more starts under way than may compute')
  await want('call', 'good')
  t.equal(begun.length, 4)
  t.match(scheduler, { alive: 4, starting: 4, waiting: 2 })

  await starts[0]?.fail()
  starts[0]?.turn.release()
  await starts[2]?.succeed()
  await settled()
  t.strictSame(begun.slice(4), ['hang'])
  await starts[1]?.fail()
  starts[1]?.turn.release()
  await settled()
  t.equal(begun.length, 5, 'a server that is known to be slow leaves a place free')
  await want('call', 'other')
  t.equal(begun.at(-1), 'hang', 'both are taken')
  await starts[3]?.succeed()
  t.equal(begun.at(-1), 'other')
})

t.test('servers that are known to be slow go behind the others, and are known no more once they are quick', async t => {
  const pass = clock(t)
  const { want, begun, starts } = setUp()
  await want('call', 'slow')
  await pass(1_000)
  await starts[0]?.succeed()
  await want('call', 'busy slow good')
  await starts[1]?.succeed()
  t.equal(begun.at(-1), 'good')
  await starts[2]?.succeed()
  t.equal(begun.at(-1), 'slow')
  await want('call', 'slow good')
  await starts[3]?.succeed()
  t.equal(begun.at(-1), 'slow', 'it was quick, and came first')
})

t.test('servers that sent more than they may go behind the others for a minute, and leave a place free', async t => {
  let now = Math.ceil(performance.now()) // sums of whole numbers are exact
  const clock = mock.method(performance, 'now', () => now)
  t.teardown(() => clock.mock.restore())
  const { want, begun, starts } = setUp({ maxStarting: 2 })
  await want('call', 'flood noise')
  starts[0]?.exceed()
  await starts[0]?.fail() // in its start
  await starts[1]?.succeed()
  starts[1]?.exceed()
  starts[1]?.turn.release() // in its life
  await want('call', 'flood noise good good')
  t.strictSame(begun.slice(2), ['flood', 'good'])
  await starts[3]?.succeed()
  t.strictSame(begun.slice(4), ['good'])
  await starts[4]?.succeed()
  t.equal(begun.length, 5, 'one place is left free')
  await want('call', 'good')
  t.strictSame(begun.slice(5), ['good'])
  now += 60_000
  await starts[5]?.succeed()
  t.strictSame(begun.slice(6), ['noise'], 'as before that, beside the other')
})

t.test('where all starts take long, none of them is taken for one that hangs', async t => {
  const pass = clock(t)
  let passed = 0
  t.intercept(performance, 'now', { value: () => passed })
  const { want, begun, starts } = setUp()
  await want('call', 'a')
  passed = 900
  await starts[0]?.succeed()
  await want('call', 'b c')
  await pass(2_699)
  t.strictSame(begun, ['a', 'b'])
  await pass(1)
  t.strictSame(begun, ['a', 'b', 'c'], 'three times what is usual is too long')
})

t.test('a server leaves a part of the processes to the others, if there are any', async t => {
  const { want, begun, starts, server, refused } = setUp({ maxAlive: 10 })
  server('other')
  const all = Array(12).fill('a').join(' ')
  await want('call', all)
  for (const start of starts) await start.succeed()
  t.equal(begun.length, 8)
  await want('call', 'other other third')
  for (const start of starts) await start.succeed()
  t.strictSame(begun.slice(8), ['other', 'third'], 'the last one is for a server that has none')
  starts[9]?.turn.release()
  await want('call', 'a', 1)
  await new Promise(resolve => setTimeout(resolve, 20))
  t.strictSame(refused, ['a MCPC_ERR_OVERLOADED The service is busy: MCP server a runs as often as it may beside the ' +
    'others for 0.001 s'])

  const alone = setUp({ maxAlive: 10 })
  await alone.want('call', all)
  for (const start of alone.starts) await start.succeed()
  t.equal(alone.begun.length, 10)
})

t.test('idle processes end when a request lacks room, no more of them than it takes', async t => {
  const { want, begun, starts, server, scheduler } = setUp({ maxAlive: 4, maxStarting: 2 })
  const ended: string[] = []
  const turns = new Map<string, Turn[]>()
  for (const name of ['one', 'two']) {
    server(name).onRoomNeeded(() => {
      const turn = turns.get(name)?.shift()
      turn?.leave()
      if (turn) ended.push(name)
      return turn !== undefined
    })
  }
  await want('spare', 'one two two two two')
  for (const start of starts) await start.succeed()
  turns.set('one', [starts[0]?.turn as Turn])
  turns.set('two', starts.slice(1, 4).map(({ turn }) => turn))
  t.match([begun.length, scheduler.alive], [4, 4], 'a spare ends no other one')

  await want('call', 'a')
  t.strictSame(ended, ['two'], 'the server with the most gives one')
  await want('background', 'b')
  t.equal(scheduler.alive, 4, 'its room is free once it has ended')
  starts.find((_, index) => begun[index] === 'two')?.turn.release()
  await settled()
  t.equal(begun.at(-1), 'a')
})

t.test('beyond MCP_MAX_QUEUED the server with the longest line loses its last one', async t => {
  const { want, refused, scheduler, begun, finishAll } = setUp({ maxQueued: 3 })
  await want('call', 'hog hog hog hog')
  t.equal(scheduler.waiting, 3)
  await want('call', 'good')
  t.strictSame(refused, [
    'hog MCPC_ERR_OVERLOADED The service is busy: other MCP servers are starting, and 3 requests wait'
  ])
  await want('call', 'hog')
  t.equal(refused.length, 2)
  await want('list', 'a b c')
  await want('spare', 'a b c d e f')
  t.equal(refused.length, 2, 'lists are counted for themselves, and spares are not counted')
  await want('list', 'd')
  t.match(refused[2], /^d MCPC_ERR_OVERLOADED/, 'where no line is longer, it is the newest')
  await finishAll()
  t.equal(begun.filter(name => name === 'good').length, 1)

  const none = setUp({ maxQueued: 0 })
  await none.want('call', 'a b')
  t.strictSame([none.begun, none.refused.length], [['a'], 1])
})

t.test('a ticket is joined by others, who may be more urgent and more patient', async t => {
  const pass = clock(t)
  const { want, begun, server, starts, scheduler } = setUp()
  const never = new AbortController().signal
  await want('call', 'busy')
  await want('list', 'a')
  const ticket = server('b').ticket()
  ticket.turn.then(() => begun.push('b'), () => {})
  const outcomes: string[] = []
  const join = (rank: Rank, waitMs: number, signal: AbortSignal) => ticket.join({ rank, waitMs, signal }).then(
    () => outcomes.push(`${rank} begins`), ({ code }) => outcomes.push(`${rank} ${code}`)
  )
  const leaving = new AbortController()
  join('background', Infinity, leaving.signal)
  t.equal(scheduler.waiting, 1, 'nobody waits for it yet')
  join('list', 100, never)
  join('call', 1_000_000_000_000, never)
  join('background', 200, never)
  t.equal(scheduler.waiting, 2)
  leaving.abort()
  await pass(100)
  t.strictSame(outcomes, ['background MCPC_ERR_CALLER_LEFT', 'list MCPC_ERR_OVERLOADED'])
  t.equal(ticket.state(), 'waiting')
  await starts[0]?.succeed()
  t.strictSame(begun, ['busy', 'b'], 'before the list of a')
  t.strictSame(outcomes.slice(2), ['call begins', 'background begins'])
  t.equal(await join('list', 1, never), 5, 'who comes later need not wait')
})

t.test('whoever leaves or has waited for long enough holds nothing, and the last one abandons the ticket', async t => {
  const { want, server, refused, scheduler, begun, finishAll } = setUp()
  const controller = new AbortController()
  await want('call', 'a')
  await want('call', 'b', Infinity, controller.signal)
  await want('list', 'c', 10)
  controller.abort()
  await want('call', 'd', 10, controller.signal)
  await new Promise(resolve => setTimeout(resolve, 30))
  t.match(refused.map(line => line.split(' ', 2).join(' ')), [
    'b MCPC_ERR_CALLER_LEFT', 'd MCPC_ERR_CALLER_LEFT', 'c MCPC_ERR_OVERLOADED'
  ])
  const ticket = server('e').ticket()
  await t.rejects(ticket.join({ rank: 'call', waitMs: 1, signal: controller.signal }), { code: 'MCPC_ERR_CALLER_LEFT' })
  t.equal(ticket.state(), 'abandoned')
  await t.rejects(ticket.join({ rank: 'call', waitMs: 1, signal: new AbortController().signal }))
  await finishAll()
  t.strictSame(begun, ['a'])
  t.match(scheduler, { alive: 0, starting: 0, waiting: 0 })
})

t.test('a turn that is given back twice is given back once, whatever became of its start', async t => {
  const { want, starts, scheduler } = setUp({ maxStarting: 4 })
  await want('call', 'a b c d')
  await starts[0]?.succeed()
  await starts[1]?.fail()
  for (const { turn } of starts) {
    turn.leave()
    turn.leave()
    turn.release()
    turn.release()
    turn.leave()
    turn.setIdle(true)
  }
  await starts[2]?.succeed()
  t.match(scheduler, { alive: 0, starting: 0 })
})
