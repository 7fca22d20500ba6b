import t from 'tap'
import { readPreferences } from '../../../lib/http/prefer.ts'

t.test('an answer at once is preferred where the header says so, and not where it is quoted or a parameter', async t => {
  for (const header of [
    'respond-async', 'Respond-Async', ' respond-async ', 'handling=lenient, respond-async', 'respond-async=', 'respond-async=""',
    'respond-async; foo="x;y"', 'foo="a,b"; c, respond-async', ['return=minimal', 'respond-async'], ',, respond-async,', 'wait, respond-async'
  ]) t.strictSame(readPreferences(header), { respondAsync: true, waitSeconds: 0 }, String(header))
  for (const header of [
    undefined, '', 'wait=5', 'foo="a, respond-async"', 'foo; respond-async', 'foo="\\", respond-async"', 'respond-async=true',
    'respond-asynchronously', 'x-respond-async', 'foo=respond-async', 'respond async'
  ]) t.equal(readPreferences(header).respondAsync, false, String(header))
})

t.test('the wait is whole seconds, at most 60, wherever callers write it', async t => {
  for (const [header, waitSeconds] of [
    ['respond-async, wait=5', 5], ['wait=5, respond-async', 5], ['respond-async; wait=5', 5], ['respond-async, WAIT = "5"', 5],
    ['respond-async, wait=7, wait=5', 7], ['respond-async, wait=0', 0], ['respond-async, wait=61', 60], ['respond-async, wait=99999999999', 60],
    ['respond-async, wait=-1', 0], ['respond-async, wait=1e9', 0], ['respond-async, wait=1.5', 0], ['respond-async, wait=', 0],
    ['respond-async, foo="wait=5"', 0], ['respond-async, foo; wait=5', 0], ['respond-async, wait=x, wait=5', 0]
  ] as const) t.strictSame(readPreferences(header), { respondAsync: true, waitSeconds }, header)
})

t.test('a header as long as one can be takes no time to speak of', async t => {
  for (const part of ['respond-async,', '"', ';wait=', '\\"', ' ', '=', ',']) {
    t.type(readPreferences(part.repeat(16_384 / part.length)).waitSeconds, 'number')
  }
})
