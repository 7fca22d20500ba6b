import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { readJson, textOf } from '../../../lib/json-text.ts'
import { escapeToken, textAt } from '../../../lib/json-pointer.ts'
import { select, type Selection } from '../../../lib/results/selection.ts'

const numRuns = process.env.ALL_CASES === '1' ? 1_000 : 25

/** A JSON result in pieces of so many bytes. */
function resultOf (text: string, pieceBytes: number) {
  const bytes = Buffer.from(text)
  return {
    kind: 'json' as const,
    bytes: bytes.length,
    async * read (start = 0, end = bytes.length) {
      for (let at = start; at < end; at += pieceBytes) yield bytes.subarray(at, Math.min(at + pieceBytes, end))
    }
  }
}

async function partOf (text: string, selection: Selection, pieceBytes = 3): Promise<string> {
  const { read } = await select(resultOf(text, pieceBytes), selection)
  const pieces: Buffer[] = []
  for await (const piece of read()) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}

const failureOf = async (text: string, selection: Selection) =>
  await partOf(text, selection).then(part => part, (error: { code: string, message: string }) => error.message)

const word = fc.oneof(
  fc.constantFrom('', 'a', 'b', '~', '/', '*', '0', '1', '"', '\\', '\\"', '}', ']', '🙂', 'é', '__proto__', '\n'),
  fc.string({ unit: 'binary', maxLength: 4 })
)
const spaces = fc.constantFrom('', '', ' ', '\n', '\t ')
/** A string as JSON, now and then with escapes that nobody needs. */
const quoted = fc.tuple(word, fc.boolean()).map(([text, isEscaped]) => isEscaped
  ? `"${Array.from({ length: text.length }, (_, at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')}"`
  : JSON.stringify(text))
const scalar = fc.oneof(quoted, fc.constantFrom('0', '-1.50', '12345678901234567890', '1e999', 'true', 'false', 'null'))
/** JSON texts with spaces, equal names, and digits that no double has. */
const { json } = fc.letrec<{ json: string }>(tie => ({
  json: fc.oneof({ maxDepth: 4, withCrossShrink: true }, scalar,
    fc.array(fc.tuple(spaces, tie('json'), spaces), { maxLength: 4 }).map(items =>
      `[${items.map(item => item.join('')).join(',')}]`),
    fc.array(fc.tuple(spaces, quoted, spaces, tie('json'), spaces), { maxLength: 4 }).map(members =>
      `{${members.map(([a, name, b, value, c]) => `${a}${name}${b}:${value}${c}`).join(',')}}`))
}))

/** All places in a JSON text, the last of equal names only. */
function pointersIn (text: string, at = ''): string[] {
  const document = readJson(text)
  if (document === null) return []
  const { members = [], items = [] } = document.root
  const byName = new Map(members.map(({ name, value }) => [escapeToken(name), value]))
  return [at, ...[...byName, ...items.map((item, index) => [String(index), item] as const)].flatMap(([token, value]) =>
    pointersIn(textOf(document, value), `${at}/${token}`))]
}

t.test('a pointer gives the very text that a scan of the whole finds, in pieces of any size', async t => {
  await fc.assert(fc.asyncProperty(json, spaces, fc.integer({ min: 1, max: 9 }), async (text, space, pieceBytes) => {
    const whole = `${space}${text}${space}`
    for (const pointer of pointersIn(text)) {
      const expected = pointer === '' ? whole : textAt(whole, pointer)
      if (await partOf(whole, { pointer }, pieceBytes) !== expected) throw new Error(`at ${pointer}`)
    }
    for (const pointer of ['/no', '/a/b/c/d/e/f', '/00', '/-', '/999']) {
      if (textAt(whole, pointer) === null && !/nothing/.test(await failureOf(whole, { pointer }))) throw new Error(pointer)
    }
  }), { numRuns })
  t.pass()
})

/** A value with the wanted parts alone, made in another way: by values, and not by text. */
function projection (value: unknown, fields: string[][]): unknown {
  if (fields.some(field => field.length === 0)) return value
  const partsFor = (step: string) => fields.filter(([first]) => first === '*' || first === step).map(field => field.slice(1))
  const isKept = (part: unknown, wanted: string[][]) =>
    wanted.some(field => field.length === 0) || (wanted.length > 0 && typeof part === 'object' && part !== null)
  if (Array.isArray(value)) {
    return value.flatMap((item, index) =>
      isKept(item, partsFor(String(index))) ? [projection(item, partsFor(String(index)))] : [])
  }
  return Object.fromEntries(Object.entries(value as object).flatMap(([name, item]) =>
    isKept(item, partsFor(name)) ? [[name, projection(item, partsFor(name))]] : []))
}

t.test('fields leave what is wanted in its place, and nothing else', async t => {
  const plain = fc.jsonValue({ maxDepth: 4 }).filter(value => typeof value === 'object' && value !== null)
  const token = fc.constantFrom('*', '*', 'a', 'b', '0', '1', '')
  const fields = fc.array(fc.array(token, { maxLength: 3, minLength: 1 }), { minLength: 1, maxLength: 3 })
  const named = fc.dictionary(fc.constantFrom('a', 'b', '', '0'), fc.oneof(plain, fc.array(plain, { maxLength: 3 })))
  await fc.assert(fc.asyncProperty(fc.oneof(plain, named), fields, async (value, fields) => {
    const text = JSON.stringify(value, null, 1)
    const got = await partOf(text, { fields: fields.map(field => field.map(token => `/${token}`).join('')) }, 5)
    assert.deepStrictEqual(JSON.parse(got), JSON.parse(JSON.stringify(projection(JSON.parse(text), fields))))
  }), { numRuns })
  t.pass()
})

t.test('what is left is as its author wrote it, and parts go together', async t => {
  const text = '{ "rows" : [ {"id": 1.50, "a b":"\\u0041"} , {"id":12345678901234567890,"x":{}}, 3 ],"n":0 , "n": 1e400 }'
  for (const [selection, expected] of [
    [{}, text],
    [{ pointer: '' }, text],
    [{ pointer: '/n' }, '1e400'],
    [{ fields: ['/n'] }, '{"n":0,"n":1e400}'],
    [{ fields: ['/rows/*/id', '/none'] }, '{"rows":[{"id":1.50},{"id":12345678901234567890}]}'],
    [{ pointer: '/rows', fields: ['/*/a b', '/2'] }, '[{"a b":"\\u0041"},{},3]'],
    [{ pointer: '/rows', fields: ['/0'] }, '[{"id": 1.50, "a b":"\\u0041"}]'],
    [{ pointer: '/rows', offset: 1, limit: 1 }, '[{"id":12345678901234567890,"x":{}}]'],
    [{ pointer: '/rows', limit: 2, fields: ['/*/x'] }, '[{},{"x":{}}]'],
    [{ pointer: '/rows', offset: 2 }, '[3]'],
    [{ pointer: '/rows', offset: 3 }, '[]'],
    [{ pointer: '/rows', limit: 0 }, '[]'],
    [{ pointer: '/rows/0/id/x' }, 'The result has nothing at this pointer'],
    [{ pointer: '/rows/00' }, 'The result has nothing at this pointer'],
    [{ offset: 0 }, 'offset must be absent: the value is no array'],
    [{ pointer: '/n', limit: 1 }, 'limit must be absent: the value is no array'],
    [{ pointer: '/n', fields: ['/a'] }, 'fields must be absent: the value is no object and no array']
  ] as Array<[Selection, string]>) {
    for (const pieceBytes of [1, 7, 1_000]) {
      const got = await partOf(text, selection, pieceBytes).catch((error: Error) => error.message)
      t.equal(got, expected, JSON.stringify(selection))
    }
  }
  const { itemCount } = await select(resultOf(text, 4), { pointer: '/rows', limit: 1 })
  t.equal(itemCount, 3)
  const binary = { ...resultOf(text, 4), kind: 'binary' as const }
  for (const [name, value] of Object.entries({ pointer: '/a', fields: ['/a'], offset: 0, limit: 1 })) {
    await t.rejects(select(binary, { [name]: value }), { message: `${name} must be absent: the result is no JSON` })
  }
})

t.test('texts that are nothing but levels, one long name or one long string take no more memory than a piece', async t => {
  const levels = 200_000
  const deep = `${'['.repeat(levels)}1${']'.repeat(levels)}`
  t.equal(await partOf(`{"a":${deep},"b":2}`, { pointer: '/b' }, 65_536), '2')
  t.equal(await partOf(deep, { fields: ['/0/0/0'] }, 65_536), deep)
  const long = 'x'.repeat(300_000)
  const named = `{"${long}":1,"b":{"${long}":[2]},"c":"${long}\\""}`
  t.equal(await partOf(named, { fields: ['/b/*', '/d'] }, 65_536), '{"b":{}}', 'a name above 64 kB is passed over')
  t.equal(await partOf(named, { pointer: '/c' }, 65_536), `"${long}\\""`)
})
