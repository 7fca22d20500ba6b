import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { createRecentReading } from '../../lib/recent-reading.ts'

t.test('many who ask at once, or soon after, get one reading', async t => {
  let reads = 0
  const read = createRecentReading(async () => {
    await delay(20)
    return ++reads
  }, 60_000)
  t.strictSame(new Set(await Promise.all(Array.from({ length: 100 }, read))), new Set([1]))
  t.equal(await read(), 1)
  t.equal(reads, 1)
})

t.test('a reading that takes longer than its age is not begun twice', async t => {
  let reads = 0
  let end = () => {}
  const read = createRecentReading(async () => {
    reads++
    await new Promise<void>(resolve => { end = resolve })
  }, 1)
  const first = read()
  await delay(10)
  const second = read()
  end()
  await Promise.all([first, second])
  t.equal(reads, 1)
  await delay(10)
  const third = read()
  end()
  await third
  t.equal(reads, 2)
})

t.test('a failure is shared and remembered, and then read anew', async t => {
  let reads = 0
  const read = createRecentReading(async () => {
    reads++
    throw new Error(`failure ${reads}`)
  }, 30_000)
  for (const outcome of await Promise.allSettled([read(), read(), read()])) t.match(outcome, { reason: { message: 'failure 1' } })
  await t.rejects(read(), { message: 'failure 1' })
  const briefly = createRecentReading(async () => {
    reads++
    throw new Error('failure')
  }, 0)
  await t.rejects(briefly())
  await t.rejects(briefly())
  t.equal(reads, 3)
})
