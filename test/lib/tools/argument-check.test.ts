import fc from 'fast-check'
import t from 'tap'
import { type ArgumentCheck, createArgumentChecker } from '../../../lib/tools/argument-check.ts'

const string = { type: 'string' }
const number = { type: 'number' }
const draft07 = 'http://json-schema.org/draft-07/schema#'
const draft2020 = 'https://json-schema.org/draft/2020-12/schema'
const textOf = (value: unknown) => typeof value === 'string' ? value : JSON.stringify(value)

/** A checker that says why schemas were unusable. */
function createChecker () {
  const reasons: string[] = []
  const { check } = createArgumentChecker()
  return {
    reasons,
    check: (schema: unknown, args: unknown) => check(textOf(schema), textOf(args), reason => reasons.push(reason))
  }
}

const check = (schema: unknown, args: unknown) => createChecker().check(schema, args)
const fits: ArgumentCheck = { faults: [], formatFaults: [] }
const faults = (schema: unknown, args: unknown) => check(schema, args)?.faults
const pointers = (schema: unknown, args: unknown) => faults(schema, args)?.map(({ pointer }) => pointer)
const objectOf = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more })
const many = (count: number, entry: (index: number) => [string, unknown]) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => entry(index)))

t.test('arguments that fit have no faults', async t => {
  const schema = objectOf({ a: string, b: { type: 'integer', minimum: 1 } }, { required: ['a'] })
  t.strictSame(check(schema, { a: '', b: 1, c: null }), fits)
  t.strictSame(check({}, { a: 1 }), fits)
})

t.test('all faults are listed, each with its argument', async t => {
  const schema = objectOf({ a: string, b: { type: 'integer', minimum: 1 }, c: { enum: ['x', 1] }, d: { const: 'y' } }, {
    required: ['e', 'a'],
    additionalProperties: false
  })
  const fault = (argument: string | null, message: string, pointer = `/${argument}`) =>
    ({ pointer, message, argument, isMissing: argument === null })
  t.strictSame(check(schema, { a: 1, b: 0, c: 2, d: 3, f: 4 }), {
    faults: [
      fault(null, 'must be there', '/e'),
      fault('f', 'must not be there'),
      fault('a', 'must be string'),
      fault('b', 'must be >= 1'),
      fault('c', 'must be one of "x", 1'),
      fault('d', 'must be "y"')
    ],
    formatFaults: []
  })
})

t.test('pointers lead to values within arguments, and escape their names', async t => {
  const schema = objectOf({
    'a/b': objectOf({ 'c~d': { type: 'array', items: number } }, { required: ['e/f'], additionalProperties: false })
  })
  t.strictSame(faults(schema, { 'a/b': { 'c~d': [1, 'x'], '~/': 1 } })?.map(({ message, ...rest }) => rest), [
    { pointer: '/a~1b/e~1f', argument: 'a/b', isMissing: false },
    { pointer: '/a~1b/~0~1', argument: 'a/b', isMissing: false },
    { pointer: '/a~1b/c~0d/1', argument: 'a/b', isMissing: false }
  ])
})

t.test('a list of faults ends', async t => {
  const schema = { additionalProperties: string }
  t.equal(faults(schema, many(400, index => [`a${index}`, 1]))?.length, 20)
  t.equal(faults(schema, many(4_000, index => [`a${index}`, 1]))?.length, 1)
  t.equal(faults(schema, { ...many(40, index => [`a${index}`, 1]), long: 'x'.repeat(70_000) })?.length, 1)
})

t.test('a missing argument is only told when it would help to give it', async t => {
  const args = (schema: object) => faults(schema, { b: 1 })?.map(({ pointer, argument, isMissing }) =>
    [pointer, argument, isMissing])
  t.strictSame(args({ required: ['a'] }), [['/a', null, true]])
  t.strictSame(args({ allOf: [{ $ref: '#/$defs/A' }], $defs: { A: { required: ['a'] } } }), [['/a', null, true]])
  t.strictSame(args({ dependentRequired: { b: ['a'] } }), [['/a', null, false]])
  t.strictSame(args({ dependencies: { b: ['a'] } }), [['/a', null, false]])
  t.strictSame(args({ anyOf: [{ required: ['a'] }, { required: ['c'] }] }), [['', null, false]])
  t.strictSame(args({ if: { required: ['b'] }, then: { required: ['a'] } }), [['/a', null, true]])
  t.strictSame(args({ not: { required: ['b'] } }), [['', null, false]])
  t.strictSame(args({ minProperties: 2 }), [['', null, false]])
})

t.test('of several alternatives, the one that comes close is told', async t => {
  const told = (schema: object, a: unknown) => faults(objectOf({ a: schema }), { a })?.map(({ pointer, message }) =>
    `${pointer} ${message}`)
  const kinds = (keyword: string) => ({
    [keyword]: [
      objectOf({ kind: { const: 'one' }, value: string }, { required: ['kind'] }),
      objectOf({ kind: { const: 'two' }, value: number }, { required: ['kind'] })
    ]
  })
  t.strictSame(told({ anyOf: [string, { type: 'null' }] }, 1), ['/a must be string or must be null'])
  t.strictSame(told({ anyOf: [string, { type: 'array', items: string }] }, [1]), ['/a/0 must be string'])
  t.strictSame(told(kinds('anyOf'), { kind: 'two', value: 'x' }), ['/a/value must be number'])
  t.strictSame(told(kinds('oneOf'), { kind: 'one', value: 1 }), ['/a/value must be string'])
  t.strictSame(told(kinds('oneOf'), { kind: 'three' }), ['/a must match exactly one schema in oneOf'])
  t.strictSame(told({ oneOf: [string, {}] }, 'x'), ['/a must match exactly one schema in oneOf'])
  t.strictSame(told({ anyOf: [false, { type: 'string' }] }, 1), ['/a must be string'])
  t.strictSame(told({ contains: string }, [1, 2]), ['/a must contain at least 1 valid item(s)'])
  t.strictSame(told({ propertyNames: { pattern: '^a' } }, { b: 1 }), ['/a/b name must match pattern "^a"'])
  t.strictSame(told({ propertyNames: false }, { b: 1 }), ['/a/b name must not be there'])
})

t.test('messages are ASCII and short, whatever the schema has', async t => {
  for (const schema of [{ const: '\u00e9' }, { const: 'x'.repeat(1_000) }, { pattern: `^a${'b'.repeat(500)}$` },
    { enum: ['\u{1F600}'] }, { enum: Array.from({ length: 500 }, (_, index) => `v${index}`) }]) {
    t.match(faults(objectOf({ a: schema }), { a: 'value' })?.[0]?.message, /^[ -~]{10,250}$/)
  }
})

t.test('both drafts are read', async t => {
  const tuple = [string, number]
  for (const $schema of [draft07, draft07.replace('07', '06'), draft07.replace('07', '04'), undefined]) {
    const schema = { $schema, properties: { a: { items: tuple, additionalItems: false } } }
    t.strictSame(pointers(schema, { a: ['x', 'y'] }), ['/a/1'])
    t.strictSame(pointers(schema, { a: ['x', 1, 2] }), ['/a'])
  }
  for (const $schema of [draft2020, undefined]) {
    t.strictSame(pointers({ $schema, properties: { a: { prefixItems: tuple, items: false } } }, { a: ['x', 'y'] }), ['/a/1'])
    t.strictSame(pointers({ $schema, dependentRequired: { a: ['b'] } }, { a: 1 }), ['/b'])
    t.strictSame(pointers({ $schema, properties: { a: {} }, unevaluatedProperties: false }, { a: 1, b: 1 }), ['/b'])
    t.strictSame(check({ $schema, allOf: [{ $ref: '#/$defs/A' }], $defs: { A: { properties: { a: {} } } }, unevaluatedProperties: false }, { a: 1 }), fits)
  }
  for (const $schema of [draft07, draft2020, undefined]) {
    for (const place of ['$defs', 'definitions']) {
      const schema = { $schema, $ref: `#/${place}/a~1%25`, [place]: { 'a/%': { properties: { a: { $ref: `#/${place}/s` } } }, s: string } }
      t.strictSame(pointers(schema, { a: 1 }), ['/a'])
    }
  }
  t.equal(check({ $schema: draft2020, items: [string] }, {}), null)
})

t.test('references may be named, dynamic, or lead to any schema', async t => {
  t.strictSame(pointers({ properties: { a: { $ref: '#s' } }, $defs: { s: { $anchor: 's', ...string } } }, { a: 1 }), ['/a'])
  t.strictSame(pointers({ properties: { a: { $ref: '#s' } }, definitions: { s: { $id: '#s', ...string } } }, { a: 1 }), ['/a'])
  t.strictSame(pointers({ properties: { a: { $dynamicRef: '#s' } }, $defs: { s: { $dynamicAnchor: 's', ...string } } }, { a: 1 }), ['/a'])
  t.strictSame(pointers({ properties: { a: string, b: { $ref: '#/properties/a' } } }, { a: 1, b: 1 }), ['/a', '/b'])
  t.strictSame(pointers({ properties: { a: { $ref: '#/$defs/no' }, b: { $ref: '#/$defs/yes' } }, $defs: { no: false, yes: true } }, { a: 1, b: 1 }), ['/a'])
})

t.test('a format is told apart', async t => {
  const schema = objectOf({ a: { type: 'string', format: 'uri' }, b: { format: 'date' }, c: { format: 'own' } }, { required: ['a'] })
  t.strictSame(check(schema, { a: 'http://localhost', b: '2020-01-01', c: 'x' }), fits)
  t.strictSame(check(schema, { a: 'x', b: 'y', c: 'z' }), {
    faults: [],
    formatFaults: ['a', 'b'].map((argument, index) =>
      ({ pointer: `/${argument}`, message: `must match format "${index === 0 ? 'uri' : 'date'}"`, argument, isMissing: false }))
  })
  t.strictSame(check(schema, { b: 'y' })?.formatFaults, [])
  t.equal(check({ additionalProperties: { format: 'date' } }, many(400, index => [`a${index}`, 'x']))?.formatFaults.length, 20)
})

t.test('a schema that cannot be used checks nothing, and that is told once', async t => {
  for (const [title, schema] of Object.entries({
    'reference to the web': { $ref: 'https://example.com/schema.json' },
    'reference to a file': { properties: { a: { $ref: 'other.json#/a' } } },
    'reference to nothing': { $ref: '#/$defs/none' },
    'reference to data': { $ref: '#/const', const: { type: 'string' } },
    'reference to an unknown keyword': { $ref: '#/x', x: { type: 'string' } },
    'reference to what every object has': { $ref: '#/constructor' },
    'reference that is none': { $ref: 7 },
    'two references': { $ref: '#/$defs/a', $dynamicRef: '#/$defs/a', $defs: { a: {} } },
    'ambiguous name': { $ref: '#a', $defs: { a: { $anchor: 'a' }, b: { $anchor: 'a' } } },
    'reference within a schema of its own': { properties: { a: { $id: 'http://a.example/', $ref: '#/$defs/b' } }, $defs: { b: {} } },
    lookahead: { properties: { a: { pattern: '^(?=a)b' } } },
    'backreference in a name': { patternProperties: { '(a)\\1': string } },
    'long pattern': { pattern: 'a'.repeat(6_000) },
    'large pattern': { pattern: '((abc){30}){30}'.repeat(20) },
    'many large patterns': { allOf: Array.from({ length: 60 }, (_, index) => ({ pattern: `(abc${index}){900}` })) },
    'too large': { description: 'x'.repeat(270_000) },
    'far too large': { description: 'x'.repeat(10_000_000) },
    'too many subschemas': { anyOf: Array.from({ length: 2_001 }, () => ({})) },
    'too deep': `${'{"not":'.repeat(600)}{}${'}'.repeat(600)}`,
    'much too deep': `${'{"not":'.repeat(25_000)}{}${'}'.repeat(25_000)}`,
    'many names to track': { allOf: Array.from({ length: 1_000 }, () => ({})), properties: many(2_000, index => [`p${index}`, true]), unevaluatedProperties: false },
    'too many alternatives': { anyOf: Array.from({ length: 1_900 }, () => string) },
    'unknown type': { type: 'any' },
    'keyword of the wrong kind': { required: 'a' },
    'null as a schema': { properties: { a: null } },
    true: true,
    array: [],
    'no JSON': '{'
  })) {
    const checker = createChecker()
    t.equal(checker.check(schema, { a: 'canary' }), null, title)
    t.equal(checker.check(schema, { a: 1 }), null, title)
    t.equal(checker.reasons.length, 1, `${title}: ${checker.reasons}`)
    t.match(checker.reasons[0], /^[ -~]{1,200}$/)
    t.notMatch(checker.reasons[0], /canary/)
  }
})

t.test('identities and extensions are ignored', async t => {
  for (const extra of [
    { $id: 'https://example.com/a' },
    { $id: ':not a uri' },
    { id: 'a' },
    { $schema: 'https://example.com/unknown' },
    { $async: true },
    { nullable: true },
    { discriminator: { propertyName: 'x' } },
    { default: { $id: 'a' }, examples: [{ $ref: 'x' }], title: 1, 'x-steps': 5 },
    { minimum: { $data: '1/b' } },
    { pattern: { $data: '1/b' }, enum: { $data: '1/b' } },
    { minimum: 0, exclusiveMinimum: true }
  ]) {
    const schema = { ...extra, properties: { a: { ...string, ...extra }, b: { $ref: '#/$defs/b' } }, $defs: { b: number } }
    t.strictSame(pointers(schema, { a: 1, b: 'x' }), ['/a', '/b'], JSON.stringify(extra))
    t.strictSame(check(schema, { a: 'x', b: 1 }), fits)
  }
  t.strictSame(check(objectOf({ a: { const: { $data: '1/b' } } }), { a: { $data: '1/b' } }), fits)
  t.strictSame(check(objectOf({ a: { ...string, nullable: true } }), { a: null }), fits)
})

t.test('arguments that cannot be checked pass without', async t => {
  const checker = createChecker()
  const schema = objectOf({ a: string })
  for (const args of ['', '[]', 'null', '1', '{', { a: 'x'.repeat(270_000) }, `{"a":${'['.repeat(600)}${']'.repeat(600)}}`]) {
    t.equal(checker.check(schema, args), null)
  }
  t.strictSame(checker.reasons, [])
})

t.test('patterns are those of JavaScript, without its backtracking', async t => {
  const takes = (pattern: string, a: string) => faults(objectOf({ a: { pattern } }), { a })?.length === 0
  t.equal(takes('^\\u0041\\/[\\w-]+\\d$', 'A/b-1'), true)
  t.equal(takes('b', 'abc'), true)
  t.equal(takes('^b', 'abc'), false)
  t.equal(takes('^[\\s]\\s$', '\u00a0\ufeff'), true)
  t.equal(takes('^\\S$', '\u00a0'), false)
  t.equal(takes('^\\p{L}{2}$', '\u00e9a'), true)
  t.equal(takes('^.$', '\u{1F600}'), true)
  t.equal(takes('^(?<year>\\d{4})$', '2020'), true)
  t.equal(takes('^((25[0-5]|(2[0-4]|1\\d|[1-9]|)\\d)\\.?\\b){4}$', '127.0.0.1'), true)
  t.equal(takes('(a+)+$', `${'a'.repeat(50_000)}b`), false)
  t.equal(takes('^(([a-z])+.)+[A-Z]([a-z])+$', 'a'.repeat(50_000)), false)
  t.strictSame(pointers({ patternProperties: { '^a': string, '^b': number } }, { a1: 1, b1: 1, c: 1 }), ['/a1'])
})

t.test('a check ends, also against a schema that is made to last', async t => {
  const doubling = (keyword: string, leaf: object, depth = 40) => ({
    $ref: '#/$defs/d0',
    $defs: many(depth + 1, index => [`d${index}`, index === depth
      ? leaf
      : { [keyword]: [{ $ref: `#/$defs/d${index + 1}` }, { $ref: `#/$defs/d${index + 1}` }] }])
  })
  const never = { required: ['never'] }
  const deep = JSON.parse(`${'{"x":'.repeat(400)}1${'}'.repeat(400)}`)
  const long = { a: Array.from({ length: 60_000 }, () => 1) }
  const names = Array.from({ length: 10_000 }, (_, index) => `n${index}`)
  for (const [title, schema, args] of [
    ['doubling anyOf', doubling('anyOf', never), {}],
    ['doubling oneOf', doubling('oneOf', never), {}],
    ['doubling allOf', doubling('allOf', {}, 40), {}],
    ['doubling allOf of a keyword', doubling('allOf', { minProperties: 0 }), {}],
    ['doubling not', { $ref: '#/$defs/d0', $defs: many(41, index => [`d${index}`, index === 40 ? never : { anyOf: [{ not: { $ref: `#/$defs/d${index + 1}` } }, { not: { $ref: `#/$defs/d${index + 1}` } }], oneOf: [{ $ref: `#/$defs/d${index + 1}` }, {}] }]) }, {}],
    ['doubling over nested values', { $ref: '#/$defs/d', $defs: { d: { anyOf: [{ additionalProperties: { $ref: '#/$defs/d' } }, { additionalProperties: { $ref: '#/$defs/d' } }], minProperties: 2 } } }, deep],
    ['itself', { $ref: '#' }, {}],
    ['itself in a part', { allOf: [{ anyOf: [{ $ref: '#' }] }] }, {}],
    ['itself by two', { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } } }, {}],
    ['itself by its place', { properties: { a: { $ref: '#/properties/a' } } }, { a: 1 }],
    ['contains', { properties: { a: { contains: { $ref: '#/$defs/s' } } }, $defs: { s: string } }, long],
    ['long lists of values', { properties: { a: { items: { anyOf: [{ enum: names }, number] } } } }, long],
    ['many alternatives', { properties: { a: { items: { anyOf: [...Array.from({ length: 300 }, () => string), number] } } } }, long],
    ['many patterns', { patternProperties: many(1_000, index => [`x${index}$`, string]) }, many(10_000, index => [`n${index}`, 1])]
  ] as Array<[string, object, object]>) {
    const checker = createChecker()
    t.equal(checker.check(schema, args), null, title)
    t.strictSame(checker.reasons, ['a check against it took too many steps'], title)
  }
})

t.test('a schema that once took too many steps still checks others', async t => {
  const checker = createChecker()
  const schema = objectOf({ a: { items: { anyOf: [...Array.from({ length: 300 }, () => string), number] } } })
  t.equal(checker.check(schema, { a: Array.from({ length: 10_000 }, () => 1) }), null)
  t.strictSame(checker.check(schema, { a: [1] }), fits)
  t.equal(checker.check(schema, { a: [null] })?.faults.length, 1)
})

t.test('large schemas and arguments that are honest are checked', async t => {
  const tree = { type: 'object', properties: { name: string, children: { type: 'array', items: { $ref: '#' } } }, required: ['name'], additionalProperties: false }
  const grow = (depth: number): object => ({ name: 'x', children: depth === 0 ? [] : Array.from({ length: 3 }, () => grow(depth - 1)) })
  t.strictSame(check(tree, grow(7)), fits)
  t.strictSame(pointers(tree, { name: 'x', children: [grow(2), { name: 'y', children: [{ name: 1 }] }] }), ['/children/1/children/0/name'])

  const item = objectOf({ id: { type: 'string', pattern: '^[0-9a-f]{8}-[0-9a-f]{4}$' }, kind: { enum: ['a', 'b'] }, value: { anyOf: [string, number, { type: 'null' }] } }, { required: ['id', 'kind'] })
  const items = Array.from({ length: 4_000 }, () => ({ id: '01234567-89ab', kind: 'a', value: null }))
  t.strictSame(check(objectOf({ items: { type: 'array', items: item } }), { items }), fits)
  t.strictSame(pointers(objectOf({ items: { items: item } }), { items: [...items, { id: '', kind: 'a' }] }), ['/items/4000/id'])
  t.strictSame(check(objectOf({ a: { type: 'string', minLength: 1, pattern: '^[^]*$' } }), { a: 'x'.repeat(250_000) }), fits)
  t.strictSame(check(objectOf(many(1_000, index => [`p${index}`, { type: 'string', maxLength: 5 }])), many(1_000, index => [`p${index}`, 'x'])), fits)
  t.strictSame(check(`${'{"allOf":['.repeat(240)}{}${']}'.repeat(240)}`, {}), fits)
})

t.test('items that must differ are compared as values', async t => {
  const schema = objectOf({ a: { uniqueItems: true } })
  const takes = (a: unknown) => faults(schema, { a })?.length === 0
  const numbers = Array.from({ length: 40_000 }, (_, index) => index)
  t.equal(takes(numbers), true)
  t.equal(takes([...numbers, 7]), false)
  t.equal(takes([{ a: 1, b: [{ c: 1, d: 2 }] }, { b: [{ d: 2, c: 1 }], a: 1 }]), false)
  t.equal(takes([1, '1', true, 'true', null, 'null', [1], '[1]', {}, '{}', []]), true)
  t.equal(faults(schema, '{"a":[1,1.0]}')?.length, 1)
  t.equal(faults(schema, '{"a":[{"__proto__":1},{"__proto__":2}]}')?.length, 0)
  t.equal(faults(objectOf({ a: { uniqueItems: false } }), { a: [1, 1] })?.length, 0)
  t.strictSame(faults(schema, { a: [1, 1] }), [{ pointer: '/a', message: 'must not have the same item twice', argument: 'a', isMissing: false }])
  // A hundred thousand are more than arguments may hold, unless they are short.
  t.equal(faults(objectOf({ a: { uniqueItems: true } }), `{"a":[${'1,'.repeat(100_000)}1]}`)?.length, 1)
})

t.test('names that every object has are names', async t => {
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    const schema = `{"properties":{"${name}":{"type":"string"}},"additionalProperties":false}`
    t.strictSame(check(schema, {}), fits)
    t.strictSame(check(schema, `{"${name}":"x"}`), fits, name)
    t.strictSame(faults(schema, `{"${name}":1}`), [{ pointer: `/${name}`, message: 'must be string', argument: name, isMissing: false }])
    t.strictSame(faults('{"additionalProperties":false}', `{"${name}":1}`)?.map(({ argument }) => argument), [name])
    t.strictSame(pointers({ required: [name] }, {}), [`/${name}`])
    t.strictSame(check({ required: [name] }, `{"${name}":1}`), fits)
    t.strictSame(pointers({ dependentRequired: { a: [name] } }, { a: 1 }), [`/${name}`])
    t.strictSame(pointers({ dependentRequired: { [name]: ['a'] } }, {}), [])
  }
  t.doesNotThrow(() => check(objectOf({ a: { const: { toString: 1, b: {} } } }), '{"a":{"toString":2,"b":{"valueOf":1}}}'))
  t.doesNotThrow(() => check(objectOf({ a: { enum: [{}] } }), '{"a":{"__proto__":{"toString":1},"valueOf":1}}'))
})

t.test('booleans are schemas of properties', async t => {
  t.strictSame(check(objectOf({ a: true, b: false }), { a: 1 }), fits)
  t.strictSame(faults(objectOf({ a: true, b: false }), { b: 1 }), [{ pointer: '/b', message: 'must not be there', argument: 'b', isMissing: false }])
})

t.test('many schemas are checked, and the oldest are forgotten', async t => {
  const checker = createChecker()
  for (const index of [...Array(210).keys(), 0, 1, 209]) {
    t.equal(checker.check(objectOf({ [`p${index}`]: string }), { [`p${index}`]: 1 })?.faults.length, 1)
  }
  t.strictSame(checker.reasons, [])
  const unusable = (index: number) => ({ $ref: `other#${index}` })
  for (let index = 0; index < 1_000; index++) checker.check(unusable(index), {})
  t.equal(checker.reasons.length, 1_000)
  for (let index = 999; index >= 800; index--) checker.check(unusable(index), {})
  t.equal(checker.reasons.length, 1_000, 'two hundred are remembered')
  checker.check(unusable(799), {})
  t.equal(checker.reasons.length, 1_001)
  checker.check(unusable(999), {})
  t.equal(checker.reasons.length, 1_002, 'the one that was not used for longest was forgotten')
  const large = (index: number) => ({ $ref: `other#${index}`, description: 'x'.repeat(250_000) })
  for (let index = 0; index < 60; index++) checker.check(large(index), {})
  checker.reasons.length = 0
  for (let index = 59; index >= 30; index--) checker.check(large(index), {})
  t.strictSame(checker.reasons, [])
  checker.check(large(5), {})
  t.equal(checker.reasons.length, 1, 'as many as there is room for')
})

t.test('a fault never quotes a value', async t => {
  const { check } = createChecker()
  const leaf = fc.constantFrom<object>(
    { type: 'number' }, { const: 'x' }, { enum: ['x', { y: 1 }] }, { pattern: '^x$' }, { maxLength: 2 }, { format: 'uri' }, { format: 'date' },
    { not: { type: 'string' } }, { anyOf: [number, { type: 'null' }] }, { oneOf: [{}, {}] }, { items: number, uniqueItems: true },
    { contains: number }, { additionalProperties: false }, { required: ['z'] }, { properties: { b: number } }, { multipleOf: 0.1 }, { minProperties: 9 },
    { if: string, then: { maxLength: 1 }, else: number }, { propertyNames: { maxLength: 0 } }
  )
  const schemas = fc.dictionary(fc.constantFrom('a', 'b', 'c'), leaf, { minKeys: 1 })
  const canary = fc.constantFrom('canary', 'canary canary', 'http://canary')
  const { value } = fc.letrec(tie => ({
    value: fc.oneof({ maxDepth: 3 }, canary, canary, fc.integer(), fc.array(tie('value'), { maxLength: 3 }), fc.dictionary(fc.constantFrom('a', 'b', 'z'), tie('value'), { maxKeys: 3 }))
  }))
  const args = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), value)
  fc.assert(fc.property(schemas, args, (properties, args) => {
    const found = check({ properties }, args)
    return found !== null && !JSON.stringify(found).includes('canary')
  }), { numRuns: 300 })
})

t.test('a fault is told exactly when there is one, by a reading of the schema that is simple', async t => {
  const { check } = createChecker()
  const names = ['a', 'b', 'c']
  fc.assert(fc.property(
    fc.dictionary(fc.constantFrom(...names), fc.constantFrom('string', 'number', 'null', 'boolean', 'array')),
    fc.subarray(names), fc.boolean(),
    fc.dictionary(fc.constantFrom(...names), fc.constantFrom<unknown>('x', 1.5, null, true, [])),
    (types, required, isOpen, args) => {
      const kindOf = (value: unknown) => value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value
      const properties = Object.fromEntries(Object.entries(types).map(([name, type]) => [name, { type }]))
      const schema = { properties, required, additionalProperties: isOpen }
      const expected = [
        ...required.filter(name => !Object.hasOwn(args, name)),
        ...Object.keys(args).filter(name => Object.hasOwn(types, name) ? types[name] !== kindOf(args[name]) : !isOpen)
      ].map(name => `/${name}`).sort()
      const found = check(schema, args)?.faults.map(({ pointer }) => pointer).sort()
      return JSON.stringify(found) === JSON.stringify(expected)
    }
  ), { numRuns: 300 })
})
