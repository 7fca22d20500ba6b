import t from 'tap'
import { createSemaphore } from '../../lib/semaphore.ts'

const never = new AbortController().signal
const options = { limit: 2, maxQueued: 2, queueTimeoutMs: 10_000, what: 'everything is taken' }

t.test('it is given until the limit is reached, and then in the order of arrival', async t => {
  const semaphore = createSemaphore(options)
  const [first, second] = [await semaphore.acquire(never), await semaphore.acquire(never)]
  const order: string[] = []
  const third = semaphore.acquire(never).then(release => {
    order.push('third')
    return release
  })
  const fourth = semaphore.acquire(never).then(release => {
    order.push('fourth')
    return release
  })
  t.match(semaphore, { held: 2, queued: 2 })

  first()
  await third
  t.strictSame(order, ['third'])
  second()
  await fourth
  t.strictSame(order, ['third', 'fourth'])
  for (const release of [await third, await fourth]) release()
  t.match(semaphore, { held: 0, queued: 0 })
})

t.test('a place that is given back twice is given back once', async t => {
  const semaphore = createSemaphore(options)
  const release = await semaphore.acquire(never)
  await semaphore.acquire(never)
  release()
  release()
  t.equal(semaphore.held, 1)
})

t.test('a full queue refuses at once, a slow one after its time', async t => {
  const full = createSemaphore({ ...options, limit: 1, maxQueued: 0 })
  await full.acquire(never)
  await t.rejects(full.acquire(never), {
    code: 'MCPC_ERR_OVERLOADED',
    statusCode: 503,
    retryable: true,
    message: 'The service is busy: everything is taken, and 0 requests wait'
  })

  const slow = createSemaphore({ ...options, limit: 1, queueTimeoutMs: 20 })
  const release = await slow.acquire(never)
  await t.rejects(slow.acquire(never), {
    code: 'MCPC_ERR_OVERLOADED',
    message: 'The service is busy: everything is taken for 0.02 s'
  })
  t.equal(slow.queued, 0)
  release()
  t.equal(slow.held, 0, 'a waiter that gave up holds nothing')
})

t.test('a caller who leaves leaves the queue', async t => {
  const semaphore = createSemaphore({ ...options, limit: 1 })
  const release = await semaphore.acquire(never)
  const controller = new AbortController()
  const waiting = semaphore.acquire(controller.signal)
  controller.abort()
  await t.rejects(waiting, { code: 'MCPC_ERR_CALLER_LEFT' })
  t.equal(semaphore.queued, 0)
  release()
  await t.rejects(semaphore.acquire(controller.signal), { code: 'MCPC_ERR_CALLER_LEFT' })
  t.equal(semaphore.held, 0)
})

t.test('who tries takes a free place and never jumps the queue', async t => {
  const semaphore = createSemaphore({ ...options, limit: 1 })
  const release = semaphore.tryAcquire()
  t.type(release, 'function')
  t.equal(semaphore.tryAcquire(), null)
  const waiting = semaphore.acquire(never)
  release?.()
  t.equal(semaphore.tryAcquire(), null, 'it went to the one that waited')
  ;(await waiting)()
  t.type(semaphore.tryAcquire(), 'function')
})
