import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { createUses } from '../../lib/uses.ts'

t.test('a use has its outcome, and uses are settled when each has one, good or bad', async t => {
  const uses = createUses()
  await uses.settled()
  const finishing: Array<() => void> = []
  const good = uses.add(new Promise<string>(resolve => finishing.push(() => resolve('good'))))
  const bad = t.rejects(uses.add(new Promise((_resolve, reject) => finishing.push(() => reject(new Error('bad'))))), /bad/)
  let areSettled = false
  const settled = uses.settled().then(() => { areSettled = true })
  await delay(20)
  finishing[0]?.()
  t.equal(await good, 'good')
  await delay(20)
  t.equal(areSettled, false)
  finishing[1]?.()
  await Promise.all([bad, settled])
})

t.test('a use that follows on another one is waited for, too', async t => {
  const uses = createUses()
  const order: string[] = []
  const wait = async (name: string) => {
    await delay(20)
    order.push(name)
  }
  // As a list that has changed while it was read is read again, some turns of promises later.
  const work = (async () => {
    await uses.add(wait('first'))
    for (let turn = 0; turn < 50; turn++) await null
    await uses.add(wait('second'))
  })()
  await uses.settled()
  t.strictSame(order, ['first', 'second'])
  await work
})
