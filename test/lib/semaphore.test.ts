import t from 'tap'
import { createPlaces } from '../../lib/semaphore.ts'

const never = new AbortController().signal
const options = { most: 2, mostWaiting: 2, timeoutMs: 10_000, what: 'everything is taken' }

t.test('places are given until none is left, and then in the order of arrival', async t => {
  const places = createPlaces(options)
  const [first, second] = [await places.take(never), await places.take(never)]
  const order: string[] = []
  const third = places.take(never).then(release => { order.push('third'); return release })
  const fourth = places.take(never).then(release => { order.push('fourth'); return release })
  t.match(places, { taken: 2, waiting: 2 })

  first()
  await third
  t.strictSame(order, ['third'])
  second()
  await fourth
  t.strictSame(order, ['third', 'fourth'])
  for (const release of [await third, await fourth]) release()
  t.match(places, { taken: 0, waiting: 0 })
})

t.test('a place that is given back twice is given back once', async t => {
  const places = createPlaces(options)
  const release = await places.take(never)
  await places.take(never)
  release()
  release()
  t.equal(places.taken, 1)
})

t.test('a full queue refuses at once, a slow one after its time', async t => {
  const full = createPlaces({ ...options, most: 1, mostWaiting: 0 })
  await full.take(never)
  await t.rejects(full.take(never), { code: 'MCPC_ERR_OVERLOADED', statusCode: 503, retryable: true, message: 'The service is busy: everything is taken, and 0 requests wait' })

  const slow = createPlaces({ ...options, most: 1, timeoutMs: 20 })
  const release = await slow.take(never)
  await t.rejects(slow.take(never), { code: 'MCPC_ERR_OVERLOADED', message: 'The service is busy: everything is taken for 0.02 s' })
  t.equal(slow.waiting, 0)
  release()
  t.equal(slow.taken, 0, 'nobody holds a place who gave up waiting')
})

t.test('a caller who leaves leaves the queue', async t => {
  const places = createPlaces({ ...options, most: 1 })
  const release = await places.take(never)
  const controller = new AbortController()
  const waiting = places.take(controller.signal)
  controller.abort()
  await t.rejects(waiting, { code: 'MCPC_ERR_CALLER_LEFT' })
  t.equal(places.waiting, 0)
  release()
  await t.rejects(places.take(controller.signal), { code: 'MCPC_ERR_CALLER_LEFT' })
  t.equal(places.taken, 0)
})

t.test('who tries takes a free place and never jumps the queue', async t => {
  const places = createPlaces({ ...options, most: 1 })
  const release = places.tryTake()
  t.type(release, 'function')
  t.equal(places.tryTake(), null)
  const waiting = places.take(never)
  release?.()
  t.equal(places.tryTake(), null, 'the place went to the one who waited')
  ;(await waiting)()
  t.type(places.tryTake(), 'function')
})
