import { randomInt } from 'node:crypto'
import t from 'tap'
import {
  createRequestBounds, createStreamTurns, createTurns, type RequestBoundsOptions
} from '../../../../lib/mcp/http/request-bounds.ts'

const never = new AbortController().signal
const nextTurn = () => new Promise(resolve => setImmediate(resolve))
const boundsOf = (options: Partial<RequestBoundsOptions>) =>
  createRequestBounds({ maxOfServer: 2, maxTotal: 3, maxQueued: 1_000, queueTimeoutMs: 60_000, ...options })

t.test('a server has its own bound, and all servers have one together', async t => {
  const bounds = boundsOf({})
  const [one, two] = [bounds.forServer('one'), bounds.forServer('two')]
  const releases = [await one.acquire(never), await one.acquire(never)]
  const third = one.acquire(never)
  releases.push(await two.acquire(never))
  const fourth = two.acquire(never)
  await nextTurn()
  t.match(bounds.counts(), { running: 3, waiting: 2 })

  for (const release of releases) {
    release()
    release()
  }
  for (const waited of [third, fourth]) (await waited)()
  t.match(bounds.counts(), { running: 0, waiting: 0 })
})

t.test('requests that wait for a full server hold nothing that others need', async t => {
  const bounds = boundsOf({ maxOfServer: 1, maxTotal: 2 })
  const [full, other] = [bounds.forServer('full'), bounds.forServer('other')]
  const release = await full.acquire(never)
  const waiting = Array.from({ length: 100 }, () => full.acquire(never))
  const releaseOther = await other.acquire(never)
  t.match(bounds.counts(), { running: 2, waiting: 100 })
  releaseOther()
  release()
  for (const waited of waiting) (await waited)()
  t.match(bounds.counts(), { running: 0, waiting: 0 })
})

t.test('the sentence says whose bound is reached', async t => {
  const overloaded = (message: string) => ({ code: 'MCPC_ERR_OVERLOADED', statusCode: 503, retryable: true, message })
  const full = boundsOf({ maxOfServer: 2, maxTotal: 3, maxQueued: 0 })
  const [one, two] = [full.forServer('one'), full.forServer('two')]
  await one.acquire(never)
  await one.acquire(never)
  await t.rejects(one.acquire(never), overloaded(
    'The service is busy: all 2 requests that MCP server one may get at once are running, and 0 requests wait'
  ))
  const release = await two.acquire(never)
  await t.rejects(two.acquire(never), overloaded(
    'The service is busy: all 3 requests that MCP servers with a url may get at once are running, and 0 requests wait'
  ))
  t.match(full.counts(), { running: 3, waiting: 0 })
  release()
  ;(await two.acquire(never))()
  t.equal(full.counts().running, 2, 'who was refused for the total has given back the part of its server')

  const slow = boundsOf({ maxOfServer: 1, queueTimeoutMs: 20 })
  const only = slow.forServer('slow')
  await only.acquire(never)
  await t.rejects(only.acquire(never), overloaded(
    'The service is busy: all 1 requests that MCP server slow may get at once are running for 0.02 s'
  ))
})

t.test('whoever leaves, at whatever moment, leaves nothing behind', async t => {
  const bounds = boundsOf({ maxOfServer: 3, maxTotal: 5 })
  const servers = ['one', 'two', 'three'].map(name => ({ bound: bounds.forServer(name), running: 0 }))
  let [peak, done, left] = [0, 0, 0]
  const callers = Array.from({ length: 600 }, async (_, index) => {
    const server = servers[index % servers.length]
    if (server === undefined) return
    const controller = new AbortController()
    for (let pause = randomInt(5); pause > 0; pause--) await nextTurn()
    if (index % 3 === 0) setImmediate(() => controller.abort())
    if (index % 7 === 0) controller.abort()
    try {
      const release = await server.bound.acquire(controller.signal)
      server.running++
      peak = Math.max(peak, servers.reduce((sum, { running }) => sum + running, 0))
      if (server.running > 3) t.fail('a server has more than its share')
      for (let pause = randomInt(3); pause > 0; pause--) await nextTurn()
      server.running--
      release()
      if (index % 2 === 0) release()
      done++
    } catch (error) {
      t.match(error, { code: 'MCPC_ERR_CALLER_LEFT' })
      left++
    }
  })
  await Promise.all(callers)
  t.equal(done + left, 600)
  t.ok(done > 100 && left > 50, `${done} done, ${left} left`)
  t.equal(peak, 5)
  t.match(bounds.counts(), { running: 0, waiting: 0 })
})

t.test('a turn is over with its work, whether that fails or not', async t => {
  const bounds = boundsOf({ maxOfServer: 1 })
  let hasStream = false
  const turns = createTurns(bounds.forServer('one'), () => hasStream)
  t.equal(await turns.take(never, async () => bounds.counts().running), 1)
  await t.rejects(turns.take(never, async () => { throw new Error('it failed') }), { message: 'it failed' })
  await t.rejects(turns.take(AbortSignal.abort(), async () => t.fail('it is not done')), { code: 'MCPC_ERR_CALLER_LEFT' })
  t.match(bounds.counts(), { running: 0, waiting: 0 })

  hasStream = true
  for (let times = 0; times < 3; times++) t.equal(await turns.take(never, async () => bounds.counts().running), 1)
  t.equal(bounds.counts().running, 1, 'a stream that was opened holds it')
  await turns.end()
  t.equal(await turns.take(never, async () => bounds.counts().running), 1)
  t.equal(bounds.counts().running, 0, 'and no longer than to its end')
})

t.test('the turn of a stream lasts from its first request to its end', async t => {
  const bounds = boundsOf({ maxOfServer: 1 })
  const bound = bounds.forServer('one')
  const turns = createStreamTurns(bound)
  for (let times = 0; times < 3; times++) t.equal(await turns.take(never, async () => bounds.counts().running), 1)
  t.equal(bounds.counts().running, 1)

  const next = createStreamTurns(bound)
  const leaving = new AbortController()
  const first = next.take(leaving.signal, async () => t.fail('it is not done'))
  const second = next.take(never, async () => 'done')
  leaving.abort()
  await t.rejects(first, { code: 'MCPC_ERR_CALLER_LEFT' })
  t.match(bounds.counts(), { running: 1, waiting: 1 }, 'the other one still waits')
  await turns.end()
  await turns.end()
  t.equal(await second, 'done')
  await next.end()
  t.match(bounds.counts(), { running: 0, waiting: 0 })
  await t.rejects(next.take(never, async () => t.fail('it is not done')), 'nothing is held after the end')
})

t.test('a stream that ends while it waits for its turn, or as it gets it, holds none', async t => {
  const bounds = boundsOf({ maxOfServer: 1, queueTimeoutMs: 60_000 })
  const bound = bounds.forServer('one')
  const release = await bound.acquire(never)
  const waiting = createStreamTurns(bound)
  const refused = t.rejects(waiting.take(never, async () => {}), { code: 'MCPC_ERR_CALLER_LEFT' })
  await waiting.end()
  await refused
  t.match(bounds.counts(), { running: 1, waiting: 0 })

  const lucky = createStreamTurns(bound)
  const taken = lucky.take(never, async () => {})
  release()
  await lucky.end()
  await taken.catch(() => {})
  t.match(bounds.counts(), { running: 0, waiting: 0 })
})

t.test('a stream that got no turn may ask for one again', async t => {
  const bounds = boundsOf({ maxOfServer: 1, maxQueued: 0 })
  const bound = bounds.forServer('one')
  const release = await bound.acquire(never)
  const turns = createStreamTurns(bound)
  await t.rejects(turns.take(never, async () => {}), { code: 'MCPC_ERR_OVERLOADED' })
  release()
  t.equal(await turns.take(never, async () => 'done'), 'done')
  await turns.end()
})
