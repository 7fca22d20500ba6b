import t from 'tap'
import { quotes } from '../../lib/quotation.ts'

const long = 'the quick brown fox jumps over the lazy dog, and again the quick brown fox'

t.test('a text quotes a short value as a word, and a part of a long one', async t => {
  for (const [text, sent] of [
    ['no file called secret', { path: 'secret' }],
    ['value 1234 is too large', { deep: [{ n: 1234 }] }],
    ['"a\\"b and c" is no name', { name: 'a"b and c' }],
    [`cannot read ${long}`, [long]],
    [`cannot read …${long.slice(17, 41)}…`, [long]],
    [`cannot read …${long.slice(30, 60)}`, { a: { b: { c: [long] } } }],
    ['cannot open /home/ann/private.txt: ENOENT', { uri: '/home/ann/private.txt' }]
  ] as const) t.ok(quotes(text, sent), text)
})

t.test('a text that only has words in common quotes nothing', async t => {
  for (const [text, sent] of [
    ['tool read_file answered with an error', { mode: 'read' }],
    ['the connection ended', { a: 'end', b: true, c: null, d: 12 }],
    ['cannot read the slow green fox', [long]],
    ['MCP server files did not answer', { secret: 'a name of a member is no value' }],
    ['', { a: 'b' }]
  ] as const) t.notOk(quotes(text, sent), text)
})

t.test('what is too much to be looked at counts as quoted', async t => {
  t.ok(quotes('anything', Array.from({ length: 30_000 }, (_, index) => index)))
  t.ok(quotes('x'.repeat(200_000), ['y']))
})
