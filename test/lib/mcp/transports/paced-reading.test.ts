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
