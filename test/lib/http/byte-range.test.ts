import t from 'tap'
import { readRange } from '../../../lib/http/byte-range.ts'

t.test('one range of bytes is a part, one that is outside cannot be given, and anything else is all', async t => {
  const all = null
  const none = 'unsatisfiable'
  for (const [header, expected] of [
    ['bytes=0-0', { start: 0, end: 1 }], ['bytes=2-4', { start: 2, end: 5 }], ['bytes=2-', { start: 2, end: 10 }],
    ['bytes=9-99', { start: 9, end: 10 }], ['bytes=-3', { start: 7, end: 10 }], ['bytes=-99', { start: 0, end: 10 }],
    ['Bytes=0-1', { start: 0, end: 2 }], ['bytes= 0-1 ', { start: 0, end: 2 }],
    [`bytes=0-${'9'.repeat(400)}`, { start: 0, end: 10 }],
    ['bytes=10-', none], ['bytes=10-12', none], ['bytes=-0', none], [`bytes=${'9'.repeat(400)}-`, none],
    ['bytes=4-2', all], ['bytes=-', all], ['bytes=', all], ['bytes=a-b', all], ['bytes=0-1,3-4', all], ['bytes=0 - 1', all],
    ['items=0-1', all], ['bytes 0-1', all], ['bytes=0x0-0x1', all], ['bytes=--1', all], ['', all], [undefined, all]
  ] as const) t.strictSame(readRange(header, 10), expected, String(header).slice(0, 30))
  t.equal(readRange('bytes=0-0', 0), none)
  t.equal(readRange('bytes=-1', 0), none)
})
