import t from 'tap'
import { textAt } from '../../lib/json-pointer.ts'

t.test('a pointer leads to a part of a text, as it was written', async t => {
  const text = '{"a": {"b/c": [1.0, {"~d": 1e400}], "": 7}, "a~1": null, "0": "x"}'
  const parts: Record<string, string | null> = {
    '': text,
    '/a/b~1c/0': '1.0',
    '/a/b~1c/1/~0d': '1e400',
    '/a/': '7',
    '/a~01': 'null',
    '/0': '"x"',
    '/a/b~1c/2': null,
    '/a/b~1c/01': null,
    '/a/b~1c/-': null,
    '/a/b~1c/length': null,
    '/0/0': null,
    '/toString': null,
    '/a/b': null
  }
  for (const [pointer, part] of Object.entries(parts)) t.equal(textAt(text, pointer), part, pointer)
  t.equal(textAt('[1,{"a":1,"a":2}]', '/1/a'), '2', 'the last of equal names counts')
  t.equal(textAt('no JSON', ''), null)
})
