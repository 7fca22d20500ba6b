import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { readJson } from '../../lib/json-text.ts'
import { decodePieces, scratchFor } from '../../lib/scratch.ts'
import { until } from '../support/wait.ts'

const megabyte = 1_048_576

t.test('pieces are decoded as one text, wherever they were cut', async t => {
  const part = fc.string({ unit: fc.constantFrom('a', 'é', '☃', '𝄞', '\u0000', '\n'), maxLength: 30 })
  fc.assert(fc.property(part, fc.array(fc.nat({ max: 7 }), { maxLength: 40 }), (text, lengths) => {
    const bytes = Buffer.from(text)
    const pieces: Buffer[] = []
    let start = 0
    for (const length of lengths) {
      pieces.push(bytes.subarray(start, start + length))
      start = Math.min(start + length, bytes.length)
    }
    pieces.push(bytes.subarray(start))
    if (decodePieces(pieces) !== text) throw new Error(JSON.stringify(text))
  }), { numRuns: 1_000 })
  t.equal(decodePieces([]), '')
  t.equal(decodePieces([Buffer.from([0xe2, 0x98]), Buffer.from('a')]), '\ufffda', 'as each decoder does')
})

t.test('a text is a text of its own when it has left the room', async t => {
  const size = 3 * megabyte
  const half = (letter: string) => Buffer.alloc(size / 2, letter)
  const first = decodePieces([half('a'), half('b')])
  const second = decodePieces([half('c'), half('d')])
  t.ok(first === 'a'.repeat(size / 2) + 'b'.repeat(size / 2))
  t.ok(second === 'c'.repeat(size / 2) + 'd'.repeat(size / 2))
})

t.test('what was in the room before is no part of a text, however long it was', async t => {
  // The room ends at 65,536 bytes; a text has its filling twice.
  const nearEnd = Array.from({ length: 10 }, (_, index) => 32_755 + index)
  const lengths = [0, 1, 2, 3, 4, 119, 120, 121, 122, 123, 256, ...nearEnd, 70_001]
  for (const wide of ['', '\u00e9', '\u2603']) {
    for (const length of lengths) {
      const filling = 'x'.repeat(length) + wide
      const whole = JSON.stringify([filling, filling, { a: 1 }])
      for (const cut of [1, 2, 3, 4, 5, 6, 7, 8]) {
        readJson(whole)
        const part = whole.slice(0, -cut)
        if (readJson(part) !== null) t.fail(`${cut} characters are missing, and ${part.length} were enough`)
      }
      for (const shorter of ['1', '[]', '{"a":', '"a', '[1,', '-', '1.', '1e', 'nul', '"\\', '"\\u00', '']) {
        readJson(whole)
        const expected = shorter === '1' || shorter === '[]'
        if ((readJson(shorter) !== null) !== expected) t.fail(`${shorter} after ${whole.length} characters`)
      }
    }
  }
})

t.test('there is room for all that may come, and a large room is used again, and given back', async t => {
  for (const size of [0, 1, 4, 65_535, 65_536, 65_537, megabyte, 16 * megabyte, 16 * megabyte + 1]) {
    const { bytes, words } = scratchFor(size)
    t.ok(bytes.length >= size)
    t.equal(words.length * 4, bytes.length)
    t.ok(words.buffer === bytes.buffer)
  }
  t.ok(scratchFor(10) === scratchFor(20))
  const large = scratchFor(9 * megabyte)
  t.ok(scratchFor(2 * megabyte) === large)
  t.ok(scratchFor(16 * megabyte) === large)
  const larger = scratchFor(17 * megabyte)
  t.ok(scratchFor(17 * megabyte) !== larger, 'what is larger than anything that is kept')

  // A small use is none that keeps it.
  await until(async () => {
    await delay(2_500)
    return scratchFor(megabyte) !== large
  }, 'it is given back')
})
