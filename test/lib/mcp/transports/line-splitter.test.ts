import fc from 'fast-check'
import t from 'tap'
import { createLineSplitter } from '../../../../lib/mcp/transports/line-splitter.ts'

t.test('lines come whole and in order, wherever chunks end, and none that may be a message is taken for noise', async t => {
  const line = fc.string({ unit: fc.constantFrom('a', ' ', '{', '}', 'é', '☃', '\r'), maxLength: 6 })
  const cuts = fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 8 })
  fc.assert(fc.property(fc.array(line, { maxLength: 20 }), cuts, (lines, cuts) => {
    const bytes = Buffer.from(lines.map(line => `${line}\n`).join(''))
    const read: string[] = []
    const splitter = createLineSplitter(1_000, line => read.push(line), noise => {
      if (noise.some(line => line.includes('{'))) throw new Error('a message was taken for noise')
      read.push(...noise)
    })
    let start = 0
    for (let turn = 0; start < bytes.length; turn++) {
      const end = start + 1 + (cuts[turn % cuts.length] as number)
      splitter.push(bytes.subarray(start, end))
      start = end
    }
    splitter.end()
    if (JSON.stringify(read) !== JSON.stringify(lines)) throw new Error(JSON.stringify(read))
  }), { numRuns: 1_000 })
})

t.test('lines that cannot be messages come together', async t => {
  let [single, together] = [0, 0]
  const { push } = createLineSplitter(100_000, () => { single++ }, lines => { together += lines.length })
  push(Buffer.from(`${'x\n'.repeat(5_000)}{}\n${'y\n'.repeat(5_000)}`))
  t.equal(single + together, 10_001)
  t.ok(single < 5, `${single} lines were looked at on their own`)
})

t.test('a line that is too long is one, also among lines that cannot be messages', async t => {
  for (const text of [`${'x'.repeat(5_000)}\n`, `a\n${'x'.repeat(5_000)}\n`, `{}\na\n${'x'.repeat(5_000)}\nb\n`]) {
    const { push } = createLineSplitter(1_024, () => {}, () => {})
    t.throws(() => push(Buffer.from(text)), { message: /longer than 1024 bytes/ })
  }
})
