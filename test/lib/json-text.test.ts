import fc from 'fast-check'
import t from 'tap'
import {
  applyEdits, arrayText, editedText, memberOf, memberTexts, objectText, presentMember, readJson, removalsOf,
  settingOf, stringMember, textOf, valueOf, withAdded
} from '../../lib/json-text.ts'
import { transformJson } from '../../lib/json-transform.ts'

/** JSON with any white space, and numbers that a double cannot hold. */
const space = fc.constantFrom('', ' ', '\n', '\t', '\r\n', '  ')
const digits = fc.constantFrom(
  '0', '-0', '1915883588174806058', '12345678901234567890', '1e400', '-1.50', '0.10e-7', '1E+2'
)
const name = fc.string({ unit: 'binary', maxLength: 4 })
const { text: jsonText } = fc.letrec<{ text: string }>(tie => ({
  text: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('null', 'true', 'false'),
    digits,
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(value => JSON.stringify(value)),
    fc.string({ unit: 'binary' }).map(value => JSON.stringify(value)),
    fc.tuple(space, fc.array(tie('text'), { maxLength: 4 }), space)
      .map(([a, items, b]) => `[${a}${items.join(`${b},${a}`)}${b}]`),
    fc.tuple(space, fc.array(fc.tuple(name, tie('text')), { maxLength: 4 }), space).map(([a, members, b]) => {
      const texts = members.map(([name, text]) => `${JSON.stringify(name)}${b}:${a}${text}`)
      return `{${a}${texts.join(`${b},${a}`)}${b}}`
    })
  )
}))

t.test('every JSON text is read, and no character of it changes', async t => {
  fc.assert(fc.property(jsonText, space, fc.integer({ min: 0, max: 5 }), (text, around, depth) => {
    const document = readJson(around + text + around, depth)
    if (document === null || textOf(document, document.root) !== text) throw new Error('another text')
    if (JSON.stringify(valueOf(document, document.root)) !== JSON.stringify(JSON.parse(text))) {
      throw new Error('another value')
    }
  }), { numRuns: 500 })
})

t.test('what JSON.parse refuses is refused, and what it takes is taken', async t => {
  // Python's words for numbers that are none are the only difference.
  const pieces = fc.constantFrom('', '"', '\\', '{', '}', '[', ']', ',', ':', '\u0001', 'x', '0', '-', '.')
  const broken = fc.tuple(jsonText, fc.nat(), pieces).map(([text, position, piece]) => {
    const at = position % (text.length + 1)
    return text.slice(0, at) + piece + text.slice(at + 1)
  })
  fc.assert(fc.property(broken, text => {
    if ((readJson(text, 3) !== null) !== isJson(text)) throw new Error(JSON.stringify(text))
  }), { numRuns: 2_000 })
})

t.test('the same holds in a text that is long enough to be looked at in words', async t => {
  const long = fc.tuple(jsonText, fc.integer({ min: 256, max: 260 })).map(([text, length]) =>
    [`["${'x'.repeat(length)}",`, text] as const)
  const piece = fc.constantFrom('', '"', '\\', '\u0000', '\u001f', '\n', 'x')
  fc.assert(fc.property(long, fc.nat(), piece, ([start, text], position, piece) => {
    const at = position % (text.length + 1)
    const whole = `${start}${text.slice(0, at)}${piece}${text.slice(at)}]`
    const document = readJson(whole, 2)
    if ((document !== null) !== isJson(whole)) throw new Error(JSON.stringify(whole))
    const value = document === null ? [] : valueOf(document, document.root)
    if (document !== null && JSON.stringify(value) !== JSON.stringify(JSON.parse(whole))) throw new Error('another value')
  }), { numRuns: 3_000 })
})

t.test('a string ends where it ends, whatever two characters are beside each other, wherever they stand', async t => {
  const wrong: string[] = []
  for (let place = 0; place < 4; place++) {
    const start = `["${'x'.repeat(300 + place)}","a`
    for (let first = 0; first < 256; first++) {
      for (let second = 0; second < 256; second++) {
        const text = `${start}${String.fromCharCode(first, second)}bcdefgh"]`
        if ((readJson(text) !== null) !== isJson(text)) wrong.push(`${place} ${first} ${second}`)
      }
    }
  }
  t.strictSame(wrong, [])
})

function isJson (text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

t.test('numbers that are none are null, and everything beside them stays', async t => {
  const document = readJson('{"a": NaN, "b":[-Infinity,Infinity , 1915883588174806058], "c":"NaN"}', 2)
  t.equal(document?.text, '{"a": null, "b":[null,null , 1915883588174806058], "c":"NaN"}')
  for (const text of ['NaNa', '-NaN', '+1', 'Infinity1', 'nul', '--1', '01', '1.', '.5', '1e', "'a'"]) {
    t.equal(readJson(text), null, text)
  }
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

  const members = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), digits))
  fc.assert(fc.property(members, fc.subarray(['a', 'b', 'c', 'd']), (members, removed) => {
    const text = `{${members.map(([name, value]) => `${JSON.stringify(name)}: ${value}`).join(' , ')}}`
    const kept = members.filter(([name]) => !removed.includes(name))
    const document = readJson(without(text, ...removed) ?? '')
    const left = document?.root.members?.map(({ name, value }) => [name, textOf(document, value)])
    if (JSON.stringify(left) !== JSON.stringify(kept)) throw new Error(text)
  }), { numRuns: 300 })
})

t.test('a value is edited where it is, and the rest of its document is not in it', async t => {
  const document = readJson('[0, { "a": 1.0 , "b": 2 }, 3]', 2)
  const node = document?.root.items?.[1]
  if (document === null || node === undefined) throw new Error('not read')
  t.equal(editedText({ document, node }, removalsOf(node, ({ name }) => name === 'b')), '{ "a": 1.0 }')
  t.equal(editedText({ document, node }, []), '{ "a": 1.0 , "b": 2 }')
})

t.test('a member gets another value, or is added', async t => {
  const setTo = (text: string, name: string) => {
    const document = readJson(text)
    return document && applyEdits(document.text, [settingOf(document.root, name, '1e400')])
  }
  t.equal(setTo('{ "a" : 1 , "b":2 }', 'a'), '{ "a" : 1e400 , "b":2 }')
  t.equal(setTo('{"a":1,"a":2}', 'a'), '{"a":1,"a":1e400}', 'the last of equal names counts')
  t.equal(setTo('{"b":2}', 'a"'), '{"b":2,"a\\"":1e400}')
  t.equal(setTo('{ }', 'a'), '{ "a":1e400}')
})

t.test('a value that is transformed to an equal one has the same numbers, and the same of everything else', async t => {
  fc.assert(fc.property(jsonText, text => {
    const copy = transformJson(`[${text}]`, value => [...value as unknown[]])
    const numbers = (json: string) => json.replace(/"(?:[^"\\]|\\.)*"/g, '').match(/-?\d[\d.eE+-]*/g)?.sort().join()
    const [before, after] = [JSON.parse(`[${text}]`), JSON.parse(copy)] as unknown[]
    if (JSON.stringify(before) !== JSON.stringify(after)) throw new Error(`${text} became ${copy}`)
    if (!text.includes('{') && numbers(text) !== numbers(copy)) throw new Error(`${text} became ${copy}`)
  }), { numRuns: 1_000 })
})

t.test('members are added at the end of an object', async t => {
  t.equal(withAdded('{"a":1}', []), '{"a":1}')
  t.equal(withAdded(' {"a": 1 }\n', [['b', '1e400'], ['c', '[ ]']]), ' {"a": 1 ,"b":1e400,"c":[ ]}')
  t.equal(withAdded(' { }\n', [['b', '1']]), '{"b":1}')
})

t.test('a value is transformed, and numbers that are not touched stay as they were', async t => {
  const withoutA = (value: unknown) => {
    const { a, ...others } = value as Record<string, unknown>
    return others
  }
  t.equal(transformJson('{ "a":1, "b":1e400, "c":[1.0, 7], "d":"1e400" }', withoutA), '{"b":1e400,"c":[1.0,7],"d":"1e400"}')
  t.equal(transformJson('{ "b": 1.0 }', value => value), '{ "b": 1.0 }', 'and so does a text that does not change')
  t.equal(transformJson('{"a":1,"b":"number-0","c":1.0}', withoutA), '{"b":"number-0","c":1.0}')
  t.equal(transformJson('{"a":1,"\\"":"\\\\","c":-0}', withoutA), '{"\\"":"\\\\","c":-0}')
  const long = '\\n'.repeat(5_000_000)
  t.ok(transformJson(`{"a":1,"b":"${long}","c":1.0}`, withoutA) === `{"b":"${long}","c":1.0}`)
})

t.test('an object is put together from texts', async t => {
  t.equal(objectText([['a"', '1e400'], ['b', '[ ]']]), '{"a\\"":1e400,"b":[ ]}')
  t.equal(objectText([]), '{}')
  t.equal(arrayText(['1e400', '{ }']), '[1e400,{ }]')
  t.equal(arrayText([]), '[]')
})

t.test('nesting without end is refused, and takes no stack', async t => {
  t.ok(readJson('['.repeat(9_000) + ']'.repeat(9_000), 3))
  t.equal(readJson('['.repeat(2_000_000), 3), null)
  t.equal(readJson('{"a":'.repeat(100_000), 3), null)
})

t.test('a long string is found to its end, wherever it stands and whatever is in it', async t => {
  const long = ['x'.repeat(70_000), 'a\\"b'.repeat(20_000), '\\\\'.repeat(40_000), '\\u00e9 é '.repeat(10_000)]
  const behind = ['', ',"b":1', ',"b":"c","d":"\\"e\\\\"', `,"b":"${'y'.repeat(70_000)}"`, `,"b":[${'1,'.repeat(2_000)}"z"]`]
  for (const [index, text] of long.entries()) {
    for (const more of behind) {
      const json = `{"a":"${text}"${more}}`
      const document = readJson(json)
      const name = `string ${index}, ${more.length} characters behind it`
      if (document === null) {
        t.fail(name)
        continue
      }
      const parsed = JSON.parse(json) as { a: string }
      t.ok(stringMember(document, document.root, 'a') === parsed.a, name)
      t.ok(document.text === json, name)
      t.strictSame(document.root.members?.map(({ name }) => name), Object.keys(parsed), name)
    }
    for (const broken of [`{"a":"${text}`, `{"a":"${text}\\"}`, `{"a":"${text}\n"}`, `{"a":"${text}""}`, `{"a":"${text}\\x"}`]) {
      t.equal(readJson(broken), null, `string ${index}, broken`)
    }
  }
})

t.test('what ends a string, or may not stand in it, is found at any place of a long text', async t => {
  const plain = [' ', '!', '#', '[', ']', '\u007f', '\u0080', '\u00a2', '\u00dc', 'ÿ', 'Ģ', '尢', '屜', '\u2028', '☃', '\ud800']
  const special = ['"', '\\', '\u0000', '\u0001', '\n', '\u001f', '\\"', '\\u00e4', '\\u12', '\\x']
  const around = [['', ''], ['☃', ''], ['', 'é'], ['ä', '☃']] as const
  for (const [index, piece] of [...plain, ...special].entries()) {
    for (const [before, after] of around) {
      for (let shift = 0; shift < 9; shift++) {
        const text = `{"${'k'.repeat(shift)}":"${before}${'x'.repeat(300)}${piece}${'y'.repeat(9)}${after}","z":[1]}`
        const document = readJson(text, 1)
        const what = `piece ${index}, shift ${shift}`
        if ((document !== null) !== isJson(text)) t.fail(what)
        if (document !== null) t.strictSame(valueOf(document, document.root), JSON.parse(text), what)
      }
    }
  }
})

t.test('of a text of which the members are wanted, the items of a list are checked and not listed', async t => {
  const lists = ['[]', '[1,"1"]', ' \t\n\r[[1,"1"],[2,"2"]]', '\ufeff[{"a":1}]', '\ufeff [NaN]']
  for (const text of lists) {
    const document = readJson(text, 'members')
    t.match(document, { root: { type: 'array' } }, text)
    t.equal(document?.root.items, undefined, text)
    t.equal(document?.text, readJson(text)?.text, text)
  }
  for (const text of ['{"a":[1,2],"b":{}}', '\ufeff {"a":[[1]]}', '"["', '1', ' null ']) {
    t.strictSame(readJson(text, 'members'), readJson(text), text)
  }
  for (const text of ['[1,]', '[1', '[1] 2', '[01]', '\u00a0[1]', '[[1,"1"],[2,"2]]']) {
    t.equal(readJson(text, 'members'), null, text)
  }
})
