import t, { type Test } from 'tap'
import { createListCache, type Fetched } from '../../../lib/tools/list-cache.ts'

/** Lets time pass at once. */
function clockOf (t: Test) {
  let passed = 0
  const { now } = performance
  t.intercept(performance, 'now', { value: () => now.call(performance) + passed })
  return (milliseconds: number) => {
    passed += milliseconds
  }
}

/** A caller who stays, and waits for as long as it takes. */
const patient = {
  signal: new AbortController().signal,
  timeoutMs: 60_000,
  late: () => new Error('late'),
  patience: { priority: 'list', waitMs: 60_000 } as const
}

const fetched = <List>(list: List, ttlMs?: number): Fetched<List> =>
  ({ create: () => list, digest: () => String(list), bytes: 10, ttlMs })

function counting (ttlMs?: number) {
  let count = 0
  return async () => fetched(++count, ttlMs)
}

t.test('a list is fetched again when it is too old, or too old for its server', async t => {
  const pass = clockOf(t)
  const cache = createListCache<number>({ ttlMs: 60_000 })
  const [plain, short, long] = [counting(), counting(1_000), counting(3_600_000)]
  const all = async () => [
    await cache.get('plain', patient, plain),
    await cache.get('short', patient, short),
    await cache.get('long', patient, long)
  ]
  t.strictSame(
    [await all(), await all()],
    [
      [1, 1, 1],
      [1, 1, 1]
    ]
  )
  pass(2_000)
  t.strictSame(await all(), [1, 2, 1])
  pass(61_000)
  t.strictSame(await all(), [2, 3, 1])
  pass(86_400_000)
  t.strictSame(await all(), [3, 4, 2])
})

t.test('a list that may not be kept still tells for a while what a call may go by', async t => {
  const pass = clockOf(t)
  const cache = createListCache<number>({ ttlMs: 60_000 })
  const fetch = counting(0)
  t.strictSame([await cache.get('', patient, fetch), await cache.get('', patient, fetch), cache.peek('')], [1, 2, 2])
  pass(61_000)
  t.equal(cache.peek(''), null)
})

t.test('no server has its list kept for longer than a day, nor for less than nothing', async t => {
  const pass = clockOf(t)
  const cache = createListCache<number>({ ttlMs: 60_000 })
  const [long, negative] = [counting(Number.MAX_SAFE_INTEGER), counting(-5)]
  await cache.get('long', patient, long)
  t.strictSame(
    [await cache.get('negative', patient, negative), await cache.get('negative', patient, negative)],
    [1, 2]
  )
  pass(86_400_001)
  t.equal(await cache.get('long', patient, long), 2)
})

t.test('0 keeps nothing, whatever the server says', async t => {
  const cache = createListCache<number>({ ttlMs: 0 })
  const fetch = counting(60_000)
  t.strictSame(
    [await cache.get('', patient, fetch), await cache.get('', patient, fetch), cache.peek('')],
    [1, 2, null]
  )
})

t.test('lists of different audiences are kept apart, and bounded in number', async t => {
  const cache = createListCache<string>({ ttlMs: 60_000 })
  for (let index = 0; index < 600; index++) {
    await cache.get(`audience ${index}`, patient, async () => fetched(`list ${index}`))
  }
  t.equal(cache.peek('audience 599'), 'list 599')
  t.equal(cache.peek('audience 50'), null)
  t.equal(
    Array.from({ length: 600 }, (_, index) => cache.peek(`audience ${index}`)).filter(list => list !== null).length,
    500
  )
  t.equal(cache.peek(), 'list 599', 'for no audience in particular, the last one')
})

t.test('audiences with equal lists share the memory of one, until it is nobody\'s', async t => {
  const cache = createListCache<object>({ ttlMs: 60_000 })
  const get = (audience: string, digest: string) =>
    cache.get(audience, patient, async () => ({ create: () => ({ digest }), digest: () => digest, bytes: 10 }))
  const first = await get('a', 'same')
  t.equal(await get('b', 'same'), first)
  t.not(await get('c', 'other'), first)
  for (let index = 0; index < 600; index++) await get(`another ${index}`, 'same')
  t.equal(cache.peek('a'), first, 'what is kept once is not in the way of others')
  for (let index = 0; index < 600; index++) await get(`different ${index}`, `list ${index}`)
  t.equal(cache.peek('a'), null)
  t.not(await get('d', 'same'), first)
})

t.test('lists are bounded in bytes, and one that is too large alone is not kept', async t => {
  const cache = createListCache<string>({ ttlMs: 60_000, maxBytes: 100 })
  const get = (audience: string, bytes: number, digest = audience) =>
    cache.get(audience, patient, async () => ({ create: () => audience, digest: () => digest, bytes }))
  const known = (...audiences: string[]) => audiences.filter(audience => cache.peek(audience) !== null)
  for (const audience of ['a', 'b', 'c']) await get(audience, 40)
  t.strictSame(known('a', 'b', 'c'), ['b', 'c'])
  for (let index = 0; index < 50; index++) await get(`same as b ${index}`, 40, 'b')
  t.strictSame(known('b', 'c', 'same as b 0', 'same as b 49'), ['b', 'c', 'same as b 0', 'same as b 49'])
  t.equal(await get('large', 101), 'large')
  t.strictSame(known('large', 'b', 'c'), ['b', 'c'], 'and drops no other')
  await get('d', 100)
  t.strictSame(known('b', 'c', 'same as b 0', 'd'), ['d'])
})

t.test('a list that changed while it was fetched is fetched once more, and not kept when it changes again', async t => {
  const cache = createListCache<string>({ ttlMs: 60_000 })
  const give: Array<(answer: Fetched<string>) => void> = []
  const fetch = () => new Promise<Fetched<string>>(resolve => give.push(resolve))
  async function answer (list: string) {
    give.at(-1)?.(fetched(list))
    await new Promise(resolve => setImmediate(resolve))
  }
  const listing = cache.get('', patient, fetch)
  cache.forget()
  await answer('old')
  t.equal(give.length, 2)
  cache.forget()
  await answer('newer')
  t.equal(await listing, 'newer')
  t.equal(cache.peek(''), null)

  const another = cache.get('', patient, fetch)
  cache.forget()
  await answer('newer')
  await answer('newest')
  t.equal(await another, 'newest')
  t.equal(give.length, 4)
  t.equal(cache.peek(''), 'newest')
  cache.forget()
  t.equal(cache.peek(), null)
})

t.test('a list that could not be had leaves what is known', async t => {
  const cache = createListCache<string>({ ttlMs: 60_000 })
  await cache.get('', patient, async () => fetched('known'))
  await t.rejects(
    cache.refresh('', patient, async () => {
      throw new Error('away')
    }),
    { message: 'away' }
  )
  t.equal(cache.peek(''), 'known')
})

t.test('callers of one audience share a fetch, callers of different audiences never do', async t => {
  for (const ttlMs of [60_000, 0]) {
    const cache = createListCache<string>({ ttlMs })
    let count = 0
    const list = (audience: string) => cache.get(audience, patient, async () => fetched(`${audience}${++count}`))
    t.strictSame(await Promise.all(['a', 'a', 'b', 'a'].map(list)), ['a1', 'a1', 'b2', 'a1'])
    t.equal(await list('a'), ttlMs === 0 ? 'a3' : 'a1', `${ttlMs} ms: what was fetched is remembered, or not`)
  }
})

t.test('a fetch that is under way when the list changes is not shared any more', async t => {
  const cache = createListCache<string>({ ttlMs: 60_000 })
  let answer = (_: Fetched<string>) => {}
  const before = cache.get(
    '',
    patient,
    () =>
      new Promise(resolve => {
        answer = resolve
      })
  )
  cache.forget()
  t.equal(await cache.get('', patient, async () => fetched('new')), 'new')
  answer(fetched('old'))
  t.equal(await before, 'old')
  t.equal(cache.peek(''), 'new')
})
