import fc from 'fast-check'
import t from 'tap'
import {
  applyEdits, memberOf, memberTexts, objectText, presentMember, readJson, removalsOf, stringMember, textOf, valueOf
} from '../../lib/json-text.ts'

/** JSON with any white space, and numbers that a double cannot hold. */
const space = fc.constantFrom('', ' ', '\n', '\t', '\r\n', '  ')
const digits = fc.constantFrom('0', '-0', '1915883588174806058', '12345678901234567890', '1e400', '-1.50', '0.10e-7', '1E+2')
const { text: jsonText } = fc.letrec<{ text: string }>(tie => ({
  text: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('null', 'true', 'false'),
    digits,
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(value => JSON.stringify(value)),
    fc.string({ unit: 'binary' }).map(value => JSON.stringify(value)),
    fc.tuple(space, fc.array(tie('text'), { maxLength: 4 }), space).map(([a, items, b]) => `[${a}${items.join(`${b},${a}`)}${b}]`),
    fc.tuple(space, fc.array(fc.tuple(fc.string({ unit: 'binary', maxLength: 4 }), tie('text')), { maxLength: 4 }), space)
      .map(([a, members, b]) => `{${a}${members.map(([name, text]) => `${JSON.stringify(name)}${b}:${a}${text}`).join(`${b},${a}`)}${b}}`)
  )
}))

t.test('every JSON text is read, and no character of it changes', async t => {
  fc.assert(fc.property(jsonText, space, fc.integer({ min: 0, max: 5 }), (text, around, depth) => {
    const document = readJson(around + text + around, depth)
    t.ok(document, text)
    if (document === null) return
    t.equal(textOf(document, document.root), text.trim())
    t.strictSame(valueOf(document, document.root), JSON.parse(text))
  }), { numRuns: 500 })
})

t.test('what JSON.parse refuses is refused, and what it takes is taken', async t => {
  // Python's words for numbers that are none are the only difference.
  const broken = fc.tuple(jsonText, fc.nat(), fc.constantFrom('', '"', '\\', '{', '}', '[', ']', ',', ':', '\u0001', 'x', '0', '-', '.'))
    .map(([text, at, piece]) => text.slice(0, at % (text.length + 1)) + piece + text.slice(at % (text.length + 1) + 1))
  fc.assert(fc.property(broken, text => {
    let isJson = true
    try { JSON.parse(text) } catch { isJson = false }
    t.equal(readJson(text, 3) !== null, isJson, JSON.stringify(text))
  }), { numRuns: 2000 })
})

t.test('numbers that are none are null, and everything beside them stays', async t => {
  const document = readJson('{"a": NaN, "b":[-Infinity,Infinity , 1915883588174806058], "c":"NaN"}', 2)
  t.equal(document?.text, '{"a": null, "b":[null,null , 1915883588174806058], "c":"NaN"}')
  for (const text of ['NaNa', '-NaN', '+1', 'Infinity1', 'nul', '--1', '01', '1.', '.5', '1e', "'a'"]) t.equal(readJson(text), null, text)
})

t.test('a byte order mark is passed over', async t => {
  t.equal(readJson('\ufeff{"a":1}')?.text, '{"a":1}')
})

t.test('members are found by their unescaped names, the last of equal names first', async t => {
  const document = readJson('{"\\u0061pi":1,"b":null,"api":2.50,"__proto__":"x"}')
  t.ok(document)
  if (document === null) return
  const { root } = document
  const api = memberOf(root, 'api')
  t.equal(api && textOf(document, api), '2.50')
  t.equal(memberOf(root, 'toString'), null)
  t.equal(memberOf(root, 'b')?.type, 'null')
  t.equal(presentMember(root, 'b'), null)
  t.equal(stringMember(document, root, '__proto__'), 'x')
  t.strictSame([...memberTexts(document)], [['api', '2.50'], ['b', 'null'], ['__proto__', '"x"']])
})

t.test('members are taken out, and nothing else changes', async t => {
  const without = (text: string, ...names: string[]) => {
    const document = readJson(text)
    return document && applyEdits(document.text, removalsOf(document.root, ({ name }) => names.includes(name)))
  }
  t.equal(without('{ "a": 1 , "b" : 2,\n"c":1e400 }', 'b'), '{ "a": 1 , "c":1e400 }')
  t.equal(without('{ "a": 1 , "b" : 2,\n"c":3 }', 'a'), '{ "b" : 2,\n"c":3 }')
  t.equal(without('{ "a": 1 , "b" : 2,\n"c":3 }', 'b', 'c'), '{ "a": 1 }')
  t.equal(without('{ "a": 1 , "b" : 2,\n"c":3 }', 'a', 'c'), '{ "b" : 2 }')
  t.equal(without('{ "a": 1, "a": 2, "b": 3, "a": 4 }', 'a'), '{ "b": 3 }')
  t.equal(without('{ "a": 1 }', 'a'), '{}')
  t.equal(without('{ }', 'a'), '{ }')

  fc.assert(fc.property(fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), digits)), fc.subarray(['a', 'b', 'c', 'd']), (members, removed) => {
    const text = `{${members.map(([name, value]) => `${JSON.stringify(name)}: ${value}`).join(' , ')}}`
    const kept = members.filter(([name]) => !removed.includes(name))
    const document = readJson(without(text, ...removed) ?? '')
    t.strictSame(document?.root.members?.map(({ name, value }) => [name, textOf(document, value)]), kept)
  }), { numRuns: 300 })
})

t.test('an object is put together from texts', async t => {
  t.equal(objectText([['a"', '1e400'], ['b', '[ ]']]), '{"a\\"":1e400,"b":[ ]}')
  t.equal(objectText([]), '{}')
})

t.test('nesting without end is refused, and takes no stack', async t => {
  t.ok(readJson('['.repeat(9_000) + ']'.repeat(9_000), 3))
  t.equal(readJson('['.repeat(2_000_000), 3), null)
  t.equal(readJson('{"a":'.repeat(100_000), 3), null)
})
