import { PassThrough } from 'node:stream'
import t from 'tap'
import { readPaced } from '../../../../lib/mcp/transports/paced-reading.ts'

/** Takes so long for each slice that a turn is over. */
function work (): void {
  const end = performance.now() + 6
  while (performance.now() < end);
}

const fail = (error: Error) => { throw error }

t.test('a stream that costs much lets others have their turn, and is read whole and in order', async t => {
  const stream = new PassThrough()
  const read: Buffer[] = []
  const ended = new Promise<void>(resolve => {
    readPaced(stream, { push: chunk => { read.push(Buffer.from(chunk)); work() }, end: resolve, fail })
  })
  const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, index) => index % 251))
  let turns = 0
  let isOver = false
  const count = () => { if (!isOver) { turns++; setImmediate(count) } }
  setImmediate(count)
  stream.end(bytes)
  await ended
  isOver = true
  t.ok(turns >= 10, `${turns} turns of others`)
  t.ok(Buffer.concat(read).equals(bytes))
})

t.test('a stream that costs little is not held up', async t => {
  const stream = new PassThrough()
  let read = 0
  readPaced(stream, { push: chunk => { read += chunk.length }, end () {}, fail })
  stream.write(Buffer.alloc(60_000))
  // A busy machine may take a turn's time away; more turns than slices are never needed.
  for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
  t.equal(read, 60_000)
})

t.test('nothing is read after a fault, which is told once', async t => {
  const stream = new PassThrough()
  const faults: Error[] = []
  let read = 0
  const push = () => {
    if (++read === 3) throw new Error('enough')
    work()
  }
  const { flush } = readPaced(stream, { push, end: () => t.fail('it ended'), fail: error => faults.push(error) })
  stream.write(Buffer.alloc(200_000))
  stream.end(Buffer.alloc(200_000))
  for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve))
  flush()
  t.equal(read, 3)
  t.strictSame(faults.map(({ message }) => message), ['enough'])
})

t.test('what has come is read at once when it must be', async t => {
  const stream = new PassThrough()
  let read = 0
  const { flush } = readPaced(stream, { push: chunk => { read += chunk.length; work() }, end () {}, fail })
  stream.write(Buffer.alloc(100_000))
  await new Promise(resolve => process.nextTick(resolve))
  t.ok(read < 100_000)
  flush()
  t.equal(read, 100_000)
})

t.test('two streams that cost much leave others half of the time', async t => {
  const streams = [new PassThrough(), new PassThrough()]
  let spent = 0
  const push = () => {
    const begunAt = performance.now()
    work()
    spent += performance.now() - begunAt
  }
  const ended = streams.map(stream => new Promise<void>(resolve => readPaced(stream, { push, end: resolve, fail })))
  const begunAt = performance.now()
  for (const stream of streams) stream.end(Buffer.alloc(320_000))
  await Promise.all(ended)
  const ratio = (performance.now() - begunAt) / spent
  // The last of each needs no rest, and a busy machine only adds to the time.
  t.ok(ratio > 1.5, `${ratio}`)
})

t.test('a stream whose turn has not come does not keep what is left of it from being read at its end', async t => {
  const [busy, other] = [new PassThrough(), new PassThrough()]
  const read: string[] = []
  const ends: Array<Promise<void>> = []
  for (const [name, stream] of Object.entries({ busy, other })) {
    ends.push(new Promise(resolve => {
      readPaced(stream, { push: chunk => { read.push(`${name} ${chunk.length}`); work() }, end: resolve, fail })
    }))
    stream.write(Buffer.alloc(40_000))
    stream.end()
  }
  await Promise.all(ends)
  t.strictSame([...read].sort(), ['busy 16384', 'busy 16384', 'busy 7232', 'other 16384', 'other 16384', 'other 7232'])
})

t.test('many streams that cost little each have no more of a turn together than a slice each beyond its time', async t => {
  const streams = Array.from({ length: 16 }, () => new PassThrough())
  let turn = 0
  let isOver = false
  const count = () => { if (!isOver) { turn++; setImmediate(count) } }
  setImmediate(count)
  /** How many slices were read in each turn. */
  const slices: number[] = []
  const push = () => {
    slices[turn] = (slices[turn] ?? 0) + 1
    const end = performance.now() + 1.5
    while (performance.now() < end);
  }
  const ended = streams.map(stream => new Promise<void>(resolve => readPaced(stream, { push, end: resolve, fail })))
  for (const stream of streams) stream.end(Buffer.alloc(48_000))
  await Promise.all(ended)
  isOver = true
  t.equal(slices.reduce((sum, count) => sum + (count ?? 0), 0), 16 * 3)
  const most = Math.max(...slices.filter(count => count !== undefined))
  t.ok(most <= 16 + 4, `${most} slices in a turn`)
})
