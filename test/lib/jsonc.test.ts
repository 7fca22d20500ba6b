import t from 'tap'
import { parseJsonc } from '../../lib/jsonc.ts'

t.test('comments and trailing commas are blanks, and all else is where it was', async t => {
  const cases: Array<[source: string, value: unknown]> = [
    ['// first\n{"a": 1 /* one, two */, "b": [1, 2,], } // last', { a: 1, b: [1, 2] }],
    ['{"a": "// no comment", "b": "/* none */ ,}"}', { a: '// no comment', b: '/* none */ ,}' }],
    ['{"a": [[1,],],\r\n/* a\r\nb */"b": {"c": null,},}', { a: [[1]], b: { c: null } }],
    ['[1 /* a */ , /* b */ ]', [1]],
    ['[[],{},]', [[], {}]],
    ['{"a\\u0022b": "\\\\", /*,*/}', { 'a"b': '\\' }],
    ['{"a": {"x": 1}, "b": {"x": 2}}', { a: { x: 1 }, b: { x: 2 } }],
    ['{"__proto__": {"x": 1}, "constructor": 2}', JSON.parse('{"__proto__": {"x": 1}, "constructor": 2}')],
    ['/* 🙂 \u2028 */ "x"', 'x'],
    [' 7 ', 7]
  ]
  for (const [source, value] of cases) {
    const document = parseJsonc(source)
    t.strictSame(document.value, value, encodeURI(source))
    t.equal(document.text.length, source.length)
    t.strictSame(document.text.split(/\r?\n/).map(line => line.length), source.split(/\r?\n/).map(line => line.length))
  }
})

t.test('a fault is named by line and column, and nothing of the text is repeated', async t => {
  const cases: Array<[source: string, sentence: RegExp]> = [
    ['{\n  "a": canary\n}', /^line 2, column 8: /],
    ['{"a": 1 "canary": 2}', /^line 1, column 9: comma expected$/],
    ['{\r\n"a" 1}', /^line 2, column 5: colon expected$/],
    ['{"a": "canary\n"}', /^line 1, column 7: unexpected end of string$/],
    ['{"a": 1', /^line 1, column 8: close brace expected$/],
    ['[1', /^line 1, column 3: close bracket expected$/],
    ['{"a": 1} canary', /^line 1, column 10: /],
    ['{"a": 1} {"b": 2}', /^line 1, column 10: end of file expected$/],
    ['{/* canary', /^line 1, column 2: unexpected end of comment$/],
    ['{,}', /^line 1, column 2: /],
    ['[,]', /^line 1, column 2: /],
    ['[1,,]', /^line 1, column 4: /],
    ['{"a": 01}', /^line 1, column /],
    ['{"a": "\\q"}', /^line 1, column 7: invalid escape character$/],
    ['{"a": "\\ud8"}', /^line 1, column 7: invalid unicode$/],
    ["{'a': 1}", /^line 1, column 2: /],
    ['{a: 1}', /^line 1, column 2: /],
    ['{"a": NaN}', /^line 1, column 7: /],
    ['{"a": "\u0001"}', /^line 1, column 7: invalid character$/],
    ['', /^line 1, column 1: value expected$/],
    ['// canary', /^line 1, column 10: value expected$/],
    ['\ufeff{}', /^line 1, column 1: /],
    ['# canary\n{}', /^line 1, column 1: /],
    ['{"a": 1,\n "canary": 2,\n "\\u0063anary": 3}', /^line 3, column 2: the object has a value of that name already$/],
    ['{"a": [{"b": {}, "b": []}]}', /^line 1, column 18: the object has/],
    ['{"__proto__": 1, "__proto__": 2}', /^line 1, column 18: the object has/],
    ['['.repeat(100_000), /^it is nested too deeply$/]
  ]
  for (const [source, sentence] of cases) {
    const [error] = [() => parseJsonc(source)].map(parse => {
      try {
        return { message: `it was read: ${JSON.stringify(parse())}` }
      } catch (error) {
        return error as Error
      }
    })
    t.match(error?.message, sentence, source.slice(0, 40))
    t.notMatch(error?.message, 'canary')
  }
})
