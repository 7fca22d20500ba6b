import { once } from 'node:events'
import { Writable } from 'node:stream'
import t from 'tap'
import { corkWrites } from '../../lib/corked-writes.ts'

/** A stream that notes what reaches it in one write. */
function notingStream () {
  const writes: string[] = []
  const stream = new Writable({
    decodeStrings: false,
    write (text, _, done) {
      writes.push(text)
      done()
    },
    writev (chunks, done) {
      writes.push(chunks.map(({ chunk }) => chunk).join(''))
      done()
    }
  })
  return { stream, writes }
}

const turn = () => new Promise(resolve => setImmediate(resolve))

t.test('what is written in one turn leaves in one write, in its order', async t => {
  const { stream, writes } = notingStream()
  for (const text of ['a', 'b', 'c']) {
    corkWrites(stream)
    stream.write(text)
    await Promise.resolve()
  }
  t.strictSame(writes, [])
  await turn()
  t.strictSame(writes, ['abc'])

  corkWrites(stream)
  stream.write('d')
  await turn()
  t.strictSame(writes, ['abc', 'd'], 'the next turn has a write of its own')
})

t.test('a stream that ends in the same turn loses nothing', async t => {
  const { stream, writes } = notingStream()
  corkWrites(stream)
  stream.write('last words')
  stream.end()
  await once(stream, 'finish')
  await turn()
  t.strictSame(writes, ['last words'])
})

t.test('a stream that is destroyed in the same turn stays so', async t => {
  const { stream, writes } = notingStream()
  corkWrites(stream)
  stream.write('nobody reads this')
  stream.destroy()
  await turn()
  t.strictSame(writes, [])
})
