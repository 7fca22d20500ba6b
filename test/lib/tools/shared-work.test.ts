import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { createSharedWork, type WorkControl } from '../../../lib/tools/shared-work.ts'

/** Keeps the loop going while only deadlines are awaited, which keep no process alive. */
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

/** Work that ends when the test says so, and what was started of it. */
function controlled () {
  const started: Array<WorkControl & { resolve: (value: string) => void; reject: (error: Error) => void }> = []
  const start = (control: WorkControl) =>
    new Promise<string>((resolve, reject) => {
      started.push({ ...control, resolve, reject })
    })
  return { started, start }
}

function waiter (timeoutMs = 60_000) {
  const leaving = new AbortController()
  return {
    leave: () => leaving.abort(),
    signal: leaving.signal,
    timeoutMs,
    late: () => new Error(`late by ${timeoutMs} ms`),
    patience: { priority: 'call', waitMs: 60_000 } as const
  }
}

const left = { code: 'MCPC_ERR_CALLER_LEFT' }

t.test('the work is told who joins it, and how they wait', async t => {
  const work = createSharedWork<string>()
  const { started, start } = controlled()
  const first = work.join('a', waiter(), start)
  const told: unknown[] = []
  const [joining, other] = [waiter(), waiter()]
  const before = work.join('a', other, start)
  started[0]?.onJoined(({ patience, signal }) => told.push({ patience, signal }))
  const after = work.join('a', joining, start)
  started[0]?.resolve('done')
  t.strictSame(await Promise.all([first, before, after]), ['done', 'done', 'done'])
  t.equal(told.length, 1, 'those who joined before it listened are not told of')
  t.match(told, [{ patience: joining.patience, signal: joining.signal }])
})

t.test('work of one key is done once for all who wait, work of another key is not shared', async t => {
  const work = createSharedWork<string>()
  const { started, start } = controlled()
  const waiting = ['a', 'b', 'a', 'a'].map(key => work.join(key, waiter(), start))
  t.equal(started.length, 2)
  started[1]?.resolve('of b')
  started[0]?.resolve('of a')
  t.strictSame(await Promise.all(waiting), ['of a', 'of b', 'of a', 'of a'])
  t.strictSame(
    started.map(({ signal }) => signal.aborted),
    [false, false]
  )
})

t.test('the outcome is not remembered, neither a good one nor a failure', async t => {
  const work = createSharedWork<string>()
  const { started, start } = controlled()
  const failing = [work.join('a', waiter(), start), work.join('a', waiter(), start)]
  started[0]?.reject(new Error('broken'))
  for (const promise of failing) await t.rejects(promise, { message: 'broken' })
  const good = work.join('a', waiter(), start)
  started[1]?.resolve('good')
  t.equal(await good, 'good')
  const later = work.join('a', waiter(), start)
  started[2]?.resolve('later')
  t.equal(await later, 'later')
})

t.test('a caller who leaves, also the one who started the work, leaves it to the others', async t => {
  const work = createSharedWork<string>()
  const { started, start } = controlled()
  const [starter, other] = [waiter(), waiter()]
  const [first, second] = [work.join('a', starter, start), work.join('a', other, start)]
  starter.leave()
  await t.rejects(first, left)
  t.equal(started[0]?.signal.aborted, false)
  started[0]?.resolve('done')
  t.equal(await second, 'done')
})

t.test('work that all have left is aborted, and the next caller starts anew', async t => {
  const work = createSharedWork<string>()
  const { started, start } = controlled()
  for (const { leave, joined } of [waiter(), waiter()].map(one => ({ ...one, joined: work.join('a', one, start) }))) {
    t.equal(started[0]?.signal.aborted, false)
    leave()
    await t.rejects(joined, left)
  }
  t.equal(started[0]?.signal.aborted, true)
  const next = work.join('a', waiter(), start)
  started[0]?.reject(new Error('aborted')) // which nobody waits for, and which must not end the next
  started[1]?.resolve('anew')
  t.equal(await next, 'anew')
  t.equal(started.length, 2)
})

t.test('a caller who has left already starts nothing', async t => {
  const work = createSharedWork<string>()
  const { started, start } = controlled()
  const gone = waiter()
  gone.leave()
  await t.rejects(work.join('a', gone, start), left)
  t.equal(started.length, 0)
})

t.test('each caller has a deadline of its own, which runs once the request is sent', async t => {
  const work = createSharedWork<string>()
  const { started, start } = controlled()
  const [hasty, patient] = [work.join('a', waiter(50), start), work.join('a', waiter(1_000), start)]
  let isHastyLate = false
  const late = t.rejects(hasty, { message: 'late by 50 ms' }).then(() => { isHastyLate = true })
  await delay(150) // while the server starts
  t.equal(isHastyLate, false)
  started[0]?.onSent()
  await late

  await delay(500)
  const later = work.join('a', waiter(1_000), start)
  await t.rejects(patient, { message: 'late by 1000 ms' })
  t.equal(started[0]?.signal.aborted, false)
  started[0]?.resolve('done')
  t.equal(await later, 'done', 'the time of one who joins later begins later')
  t.equal(started.length, 1)
})

t.test('nobody joins work that takes longer than they would wait', async t => {
  const work = createSharedWork<string>()
  const { started, start } = controlled()
  const first = work.join('a', waiter(60_000), start)
  const early = t.rejects(work.join('a', waiter(1), start), { message: 'late by 1 ms' })
  started[0]?.onSent()
  await delay(60)
  const impatient = work.join('a', waiter(50), start).catch(() => 'late')
  t.equal(started.length, 2, 'it has begun anew')
  const patient = work.join('a', waiter(60_000), start)
  t.equal(started.length, 2, 'and is what later callers join')
  started[0]?.resolve('slow')
  started[1]?.resolve('quick')
  await early
  t.strictSame(await Promise.all([first, patient]), ['slow', 'quick'])
  await impatient
})

t.test('work that all have given up is aborted', async t => {
  const work = createSharedWork<string>()
  const { started, start } = controlled()
  const hasty = work.join('a', waiter(20), start)
  started[0]?.onSent()
  await t.rejects(hasty, { message: 'late by 20 ms' })
  t.equal(started[0]?.signal.aborted, true)
})

t.test('once detached, work is kept by those who wait and is not joined by later callers', async t => {
  const work = createSharedWork<string>()
  const { started, start } = controlled()
  const before = work.join('a', waiter(), start)
  work.detach()
  const after = work.join('a', waiter(), start)
  t.equal(started.length, 2)
  started[0]?.resolve('old')
  t.equal(await before, 'old')
  const joining = work.join('a', waiter(), start)
  started[1]?.resolve('new')
  t.strictSame(
    await Promise.all([after, joining]),
    ['new', 'new'],
    'the end of the old work leaves the new one shared'
  )
})
