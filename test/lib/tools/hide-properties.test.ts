import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import t from 'tap'
import { isJsonObject, type JsonObject } from '../../../lib/json.ts'
import { withFilledNames, withoutNames } from '../../../lib/tools/hide-properties.ts'
import { declaredNames, requiredNames } from '../../../lib/tools/json-schema.ts'

const sensitive = ['apiUrl', 'jwtToken']
const string = { type: 'string' }
const freeze = (value: unknown): unknown =>
  typeof value === 'object' && value !== null
    ? Object.freeze(Object.values(value).map(freeze)) && Object.freeze(value)
    : value

/**
 * The input schema as callers see it, of one that was sent as JSON. It must not be modified, which a frozen object
 * would say.
 */
function filtered (schema: object, names = sensitive): JsonObject {
  const inputSchema = freeze(JSON.parse(JSON.stringify(schema))) as JsonObject
  return withoutNames(inputSchema, new Set(names))
}

t.test('hidden names are neither among the properties nor required, and everything else is as it was', async t => {
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    properties: { apiUrl: string, question: { anyOf: [string, { type: 'null' }], default: null }, jwtToken: string },
    required: ['jwtToken', 'question'],
    additionalProperties: false,
    'x-order': ['jwtToken'],
    minProperties: 1
  }
  t.strictSame(filtered(schema), {
    ...schema,
    properties: { question: schema.properties.question },
    required: ['question']
  })
  t.strictSame(declaredNames(schema), ['apiUrl', 'question', 'jwtToken'])
})

t.test('a schema without hidden names is passed on as it is', async t => {
  const schema = {
    type: 'object',
    properties: { a: { $ref: '#/$defs/A' }, b: { $ref: '#' } },
    allOf: [{ $ref: '#/$defs/A' }],
    $defs: { A: { properties: { c: string } } }
  }
  t.strictSame(filtered(schema), schema)
})

t.test('a property of such a name within a property is left alone', async t => {
  const nested = { type: 'object', properties: { jwtToken: string }, required: ['jwtToken'] }
  const schema = {
    properties: { target: nested, list: { items: nested }, jwtToken: string },
    patternProperties: { x: nested },
    additionalProperties: nested
  }
  t.strictSame(filtered(schema), { ...schema, properties: { target: nested, list: { items: nested } } })
  t.strictSame(declaredNames(schema), ['target', 'list', 'jwtToken'])
})

t.test('data that looks like a schema is left alone', async t => {
  const data = { properties: { jwtToken: string }, $ref: '#/properties/jwtToken', required: ['jwtToken'] }
  const schema = {
    properties: { a: { default: data, const: data, enum: [data], examples: [data] }, jwtToken: string }
  }
  t.strictSame(filtered(schema), { properties: { a: schema.properties.a } })
})

t.test('properties that are called like keywords are properties', async t => {
  const schema = {
    properties: {
      $ref: string,
      required: { type: 'array', items: string },
      properties: { properties: { jwtToken: string } },
      allOf: string,
      jwtToken: string
    },
    required: ['required', 'jwtToken']
  }
  const { jwtToken, ...properties } = schema.properties
  t.strictSame(filtered(schema), { properties, required: ['required'] })
})

t.test('the top level may be given through a reference', async t => {
  const Args = { type: 'object', properties: { apiUrl: string, a: string }, required: ['apiUrl'] }
  const shown = { type: 'object', properties: { a: string }, required: [] }
  for (const [place, reference] of [
    ['$defs', '#/$defs/Args'],
    ['definitions', '#/definitions/Args'],
    ['$defs', '#/%24defs/A%72gs']
  ] as const) {
    t.strictSame(filtered({ $ref: reference, [place]: { Args } }), { $ref: reference, [place]: { Args: shown } })
    t.strictSame(declaredNames({ $ref: reference, [place]: { Args } }), ['apiUrl', 'a'])
  }
})

t.test('names in a reference may be escaped', async t => {
  const schema = { $ref: '#/$defs/a~1b~0c%20%25', $defs: { 'a/b~c %': { properties: { jwtToken: string } } } }
  t.strictSame(filtered(schema), { ...schema, $defs: { 'a/b~c %': { properties: {} } } })
  t.strictSame(declaredNames(schema), ['jwtToken'])
})

t.test('the top level may be combined from several schemas', async t => {
  const one = { properties: { jwtToken: string, a: string }, required: ['a', 'jwtToken'] }
  const shown = { properties: { a: string }, required: ['a'] }
  for (const keyword of ['allOf', 'anyOf', 'oneOf']) {
    t.strictSame(
      filtered({ [keyword]: [one, { allOf: [{ $ref: '#/$defs/A' }] }, true], $defs: { A: one } }),
      { [keyword]: [shown, { allOf: [{ $ref: '#/$defs/A' }] }, true], $defs: { A: shown } },
      keyword
    )
    t.strictSame(
      declaredNames({
        [keyword]: [one, { allOf: [{ $ref: '#/$defs/A' }] }],
        $defs: { A: { properties: { b: string } } }
      }).sort(),
      ['a', 'b', 'jwtToken'],
      keyword
    )
  }
  for (const keyword of ['if', 'then', 'else']) {
    t.strictSame(filtered({ [keyword]: one }), { [keyword]: shown }, keyword)
    t.strictSame(declaredNames({ [keyword]: one }), ['jwtToken', 'a'], keyword)
  }
})

t.test('what depends on a hidden name, and what a name makes depend on it, is not shown', async t => {
  const schema = {
    properties: { jwtToken: string, a: string },
    dependentRequired: { jwtToken: ['a'], a: ['jwtToken', 'b'] },
    dependentSchemas: { jwtToken: { properties: { c: string } }, a: { properties: { d: string, apiUrl: string } } },
    dependencies: { jwtToken: ['a'], a: ['apiUrl'], b: { required: ['jwtToken'] } }
  }
  t.strictSame(filtered(schema), {
    properties: { a: string },
    dependentRequired: { a: ['b'] },
    dependentSchemas: { a: { properties: { d: string } } },
    dependencies: { a: [], b: { required: [] } }
  })
  t.strictSame(declaredNames(schema).sort(), ['a', 'apiUrl', 'c', 'd', 'jwtToken'])
})

t.test('a definition that is also used within the input is hidden at the top and kept below', async t => {
  const Target = {
    type: 'object',
    properties: { jwtToken: string, inner: { $ref: '#/$defs/Target' } },
    required: ['jwtToken']
  }
  const schema = {
    allOf: [{ $ref: '#/$defs/Target' }],
    properties: { other: { $ref: '#/$defs/Target' } },
    $defs: { Target }
  }
  t.strictSame(filtered(schema), {
    allOf: [{ $ref: '#/$defs/Target' }],
    properties: { other: { $ref: '#/$defs/copy_1' } },
    $defs: {
      Target: { type: 'object', properties: { inner: { $ref: '#/$defs/copy_1' } }, required: [] },
      copy_1: {
        type: 'object',
        properties: { jwtToken: string, inner: { $ref: '#/$defs/copy_1' } },
        required: ['jwtToken']
      }
    }
  })
})

t.test('an input that contains itself is kept where it is contained', async t => {
  const schema = {
    $id: 'https://example.com/tree',
    properties: { jwtToken: string, children: { type: 'array', items: { $ref: '#' } } },
    $defs: { copy_1: true }
  }
  t.strictSame(filtered(schema), {
    $id: 'https://example.com/tree',
    properties: { children: { type: 'array', items: { $ref: '#/$defs/copy_2' } } },
    $defs: {
      copy_1: true,
      copy_2: { properties: { jwtToken: string, children: { type: 'array', items: { $ref: '#/$defs/copy_2' } } } }
    }
  })
})

t.test('a reference to what is hidden still leads to it', async t => {
  const schema = {
    properties: {
      apiUrl: { type: 'string', format: 'uri' },
      callback: { $ref: '#/properties/apiUrl' },
      own: { $ref: '#/properties/callback' }
    }
  }
  t.strictSame(filtered(schema), {
    properties: { callback: { $ref: '#/$defs/copy_1' }, own: { $ref: '#/properties/callback' } },
    $defs: { copy_1: { type: 'string', format: 'uri' } }
  })
})

t.test("a property's own schema that is also part of the top level is hidden only there", async t => {
  const target = { properties: { jwtToken: string } }
  t.strictSame(filtered({ properties: { target }, allOf: [{ $ref: '#/properties/target' }] }), {
    properties: { target },
    allOf: [{ $ref: '#/$defs/copy_1' }],
    $defs: { copy_1: { properties: {} } }
  })
})

t.test('references in a circle end', async t => {
  for (const schema of [
    { $ref: '#', properties: { jwtToken: string } },
    { allOf: [{ $ref: '#' }, { anyOf: [{ $ref: '#/allOf/1' }] }], properties: { jwtToken: string } },
    {
      $ref: '#/$defs/A',
      $defs: { A: { $ref: '#/$defs/B' }, B: { $ref: '#/$defs/A', properties: { jwtToken: string } } }
    }
  ]) {
    t.notMatch(JSON.stringify(filtered(schema)), /jwtToken/)
    t.strictSame(declaredNames(schema), ['jwtToken'])
  }
})

t.test('a reference that leads nowhere, or elsewhere, is left as it is', async t => {
  for (const reference of [
    '#/$defs/Nothing',
    '#/$defs/%ZZ',
    '#anchor',
    'https://example.com/schema.json',
    '',
    'other',
    '#/properties/constructor',
    '#/__proto__',
    '#/required/length',
    '#/required/0',
    7,
    null
  ]) {
    const schema = { $ref: reference, properties: { jwtToken: string, a: { $ref: reference } }, required: ['a'] }
    t.strictSame(
      filtered(schema),
      { $ref: reference, properties: { a: { $ref: reference } }, required: ['a'] },
      String(reference)
    )
    t.strictSame(declaredNames(schema), ['jwtToken', 'a'])
  }
})

t.test('what is no schema is passed over', async t => {
  for (const value of [null, true, 5, 'text', [], [[]], ['jwtToken'], [null], { a: null }]) {
    for (const keyword of [
      '$ref',
      'properties',
      'required',
      'allOf',
      'if',
      '$defs',
      'definitions',
      'dependentSchemas',
      'dependentRequired',
      'items'
    ]) {
      const schema = {
        allOf: [{ properties: { jwtToken: string } }, { [keyword]: value }],
        properties: { a: { $ref: '#/allOf/0' } },
        [keyword]: value
      }
      t.doesNotThrow(() => [filtered(schema), declaredNames(schema)])
    }
  }
  for (const value of [undefined, null, true, 'text', []]) t.strictSame(declaredNames(value), [])
})

t.test('names that every object has are names', async t => {
  const schema = JSON.parse(
    '{"properties":{"__proto__":{"type":"string"},"constructor":{"type":"string"},"jwtToken":{}},"required":["__proto__","toString"],"$defs":{"__proto__":{"a":1}}}'
  )
  t.equal(
    JSON.stringify(filtered(schema)),
    '{"properties":{"__proto__":{"type":"string"},"constructor":{"type":"string"}},"required":["__proto__","toString"],"$defs":{"__proto__":{"a":1}}}'
  )
  t.equal(
    JSON.stringify(filtered(schema, ['__proto__', 'toString'])),
    '{"properties":{"constructor":{"type":"string"},"jwtToken":{}},"required":[],"$defs":{"__proto__":{"a":1}}}'
  )
  t.strictSame(declaredNames(schema), ['__proto__', 'constructor', 'jwtToken'])
  t.strictSame(filtered({ properties: { a: string } }, ['constructor']), { properties: { a: string } })
})

t.test('names are found in a schema that is nested without end', async t => {
  const nested = (levels: number) => JSON.parse(`${'{"properties":{"a":'.repeat(levels)}{}${'}}'.repeat(levels)}`)
  t.strictSame(declaredNames(nested(100_000)), ['a'])
  t.strictSame(
    declaredNames(JSON.parse(`${'{"allOf":['.repeat(100_000)}{"properties":{"a":{}}}${']}'.repeat(100_000)}`)),
    ['a']
  )
})

t.test('as deep as may be is filtered', async t => {
  const deep = JSON.parse(`${'{"allOf":['.repeat(248)}{"properties":{"jwtToken":{}}}${']}'.repeat(248)}`)
  t.match(JSON.stringify(deep), 'jwtToken')
  t.notMatch(JSON.stringify(filtered(deep)), 'jwtToken')
  t.match(JSON.stringify(filtered(deep)), '"properties":{}')
})

t.test('large schemas, and those that are made to explode, are filtered in no time', async t => {
  const many = (count: number, entry: (index: number) => [string, unknown]) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => entry(index)))
  const chain = (levels: number): object =>
    levels === 0 ? { properties: { jwtToken: string }, enum: ['x'.repeat(100_000)] } : { allOf: [chain(levels - 1)] }
  const schemas = {
    'a thousand properties': {
      properties: { ...many(1_000, index => [`p${index}`, { $ref: '#/$defs/P' }]), jwtToken: string },
      $defs: { P: { properties: { jwtToken: string } } }
    },
    'doubling definitions': {
      $ref: '#/$defs/d0',
      properties: { a: { $ref: '#/$defs/d0' } },
      $defs: many(200, index => [
        `d${index}`,
        {
          allOf: [{ $ref: `#/$defs/d${index + 1}` }, { $ref: `#/$defs/d${index + 1}` }],
          properties: { jwtToken: string, x: { $ref: `#/$defs/d${(index * 7) % 200}` } }
        }
      ])
    },
    'references into each level of a deep schema': {
      ...chain(200),
      properties: many(200, index => [`p${index}`, { $ref: `#${'/allOf/0'.repeat(index)}` }])
    },
    'a schema that everybody uses': {
      allOf: Array.from({ length: 10_000 }, () => ({ $ref: '#/$defs/A' })),
      $defs: { A: { properties: { jwtToken: string } } }
    }
  }
  for (const [title, schema] of Object.entries(schemas)) {
    const start = process.cpuUsage()
    const text = JSON.stringify(filtered(schema))
    t.ok(declaredNames(schema).includes('jwtToken'))
    const seconds = process.cpuUsage(start).user / 1_000_000
    t.ok(seconds < 20, `${title}: ${seconds} s of work`)
    t.ok(text.length < 2 * JSON.stringify(schema).length + 1_100_000, `${title}: ${text.length} characters`)
  }
})

/** The same numbers on every run. */
function createRandom (seed: number) {
  let state = seed
  const next = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return (state >> 8) % below
  }
  return {
    next,
    pick: <Value>(values: readonly Value[]): Value => values[next(values.length)] as Value,
    chance: (percent: number) => next(100) < percent
  }
}

t.test('a filtered schema takes exactly what the original takes with the credential added', async t => {
  let [takes, refuses] = [0, 0]
  for (let seed = 1; seed <= 60; seed++) {
    const { next, pick, chance } = createRandom(seed)
    const definitions = 4

    const propertySchema = (depth: number): JsonObject =>
      pick<() => JsonObject>([
        () => ({ type: 'string' }),
        () => ({ type: 'number' }),
        () => ({ $ref: `#/$defs/d${next(definitions)}` }),
        () => ({ $ref: '#' }),
        () => ({
          $ref: pick([
            '#/properties/a',
            '#/properties/jwtToken',
            '#/$defs/d0/properties/jwtToken',
            '#/$defs/d1/allOf/0'
          ])
        }),
        () => objectSchema(depth + 1, definitions)
      ])()
    /** References of the same value only lead to later definitions: a circle of those has no meaning. */
    function objectSchema (depth: number, level: number): JsonObject {
      const part = () =>
        level < definitions && chance(60)
          ? { $ref: `#/$defs/d${level + next(definitions - level)}` }
          : depth > 2
            ? {}
            : objectSchema(depth + 1, level)
      const hasToken = chance(60)
      return {
        ...(chance(20) && { type: 'object' }),
        properties: {
          ...(chance(60) && { a: depth > 2 ? string : propertySchema(depth) }),
          ...(chance(40) && { b: depth > 2 ? string : propertySchema(depth) }),
          ...(hasToken && { jwtToken: string })
        },
        ...(chance(40) && { required: ['a', 'jwtToken', 'b'].filter(() => chance(40)) }),
        ...(chance(25) && { allOf: [part(), part()] }),
        ...(chance(15) && { anyOf: [part(), part()] }),
        ...(chance(10) && { oneOf: [part(), { required: [pick(['a', 'jwtToken'])] }] }),
        ...(chance(10) && { if: { required: [pick(['a', 'jwtToken'])] }, then: part(), else: part() }),
        ...(chance(10) && { dependentRequired: { a: ['jwtToken', 'b'] } }),
        ...(chance(10) && { dependentSchemas: { b: part() } }),
        ...(hasToken && chance(10) && level === definitions && { additionalProperties: { type: 'string' } })
      }
    }
    const root: JsonObject = {
      ...objectSchema(0, 0),
      $defs: Object.fromEntries(
        Array.from({ length: definitions }, (_, level) => [
          `d${level}`,
          {
            ...objectSchema(1, level + 1),
            ...(level === 1 && { allOf: [{ properties: { jwtToken: string, a: string } }] })
          }
        ])
      )
    }
    const properties = root.properties as JsonObject
    // What the references above lead to. `a` must not lead to itself.
    const token = { jwtToken: string }
    root.properties = {
      ...properties,
      ...token,
      a: JSON.stringify(properties.a ?? {}).includes('#/properties/a') ? string : (properties.a ?? string),
      b: properties.b ?? string
    }
    const first = (root.$defs as Record<string, JsonObject>).d0 ?? {}
    first.properties = { ...(first.properties as JsonObject), ...token }

    const ajv = () => new Ajv2020({ strict: false })
    const original = ajv().compile(root)
    const shown = filtered(root, ['jwtToken'])
    const seen = ajv().compile(shown)

    const value = (depth: number): unknown =>
      depth > 3 || chance(30)
        ? pick<unknown>(['text', 1])
        : Object.fromEntries(['a', 'b', 'jwtToken'].filter(() => chance(55)).map(name => [name, value(depth + 1)]))
    for (let index = 0; index < 40; index++) {
      const given = value(0)
      if (!isJsonObject(given)) continue
      const { jwtToken, ...input } = given
      const expected = original({ ...input, jwtToken: 'token' })
      if (expected) takes++
      else refuses++
      if (seen(input) !== expected) { t.fail(`${seed}: ${JSON.stringify(input)} of ${JSON.stringify(root)} shown as ${JSON.stringify(shown)}`) }
    }
  }
  t.ok(takes > 100 && refuses > 100, `${takes} were taken, ${refuses} refused`)
})

const filled = (schema: object, ...names: string[]) =>
  withFilledNames(freeze(JSON.parse(JSON.stringify(schema))) as JsonObject, new Set(names))

t.test('a filled parameter is marked and need not be sent, and everything else is as it was', async t => {
  t.strictSame(filled({
    type: 'object',
    properties: { rows: { type: 'array', description: 'Rows.' }, any: true, never: false, title: string },
    required: ['rows', 'title', 'never'],
    additionalProperties: false
  }, 'rows', 'any', 'never', 'absent'), {
    type: 'object',
    properties: {
      rows: { type: 'array', description: 'Rows.', 'x-mcp-filled': true },
      any: { 'x-mcp-filled': true },
      never: false,
      title: string
    },
    required: ['title'],
    additionalProperties: false
  })
  const untouched = { properties: { title: string }, required: ['title'] }
  t.strictSame(filled(untouched, 'rows'), untouched)
})

t.test('a filled parameter is marked where a referenced schema declares it, and a value within is left alone', async t => {
  const base = { properties: { rows: {}, n: {} }, required: ['rows', 'n'] }
  const { $defs, ...marked } = filled({
    allOf: [{ $ref: '#/$defs/base' }],
    properties: { inner: { $ref: '#/$defs/base' }, list: { items: { required: ['rows'], properties: { rows: {} } } } },
    $defs: { base }
  }, 'rows') as { $defs: Record<string, object> } & JsonObject
  t.strictSame(marked, {
    allOf: [{ $ref: '#/$defs/base' }],
    properties: { inner: { $ref: '#/$defs/copy_1' }, list: { items: { required: ['rows'], properties: { rows: {} } } } }
  })
  t.strictSame($defs, {
    base: { properties: { rows: { 'x-mcp-filled': true }, n: {} }, required: ['n'] },
    copy_1: base
  })
})

t.test('required names are those of the schema in any case', async t => {
  t.strictSame(requiredNames({
    required: ['a', 7],
    allOf: [{ required: ['b'] }, { $ref: '#/$defs/c' }, true],
    anyOf: [{ required: ['d'] }],
    properties: { e: { required: ['f'] } },
    $defs: { c: { required: ['c'], $ref: '#' } }
  }), ['a', 'b', 'c'])
  for (const odd of [null, true, [], { required: 'a' }, { allOf: {} }]) t.strictSame(requiredNames(odd), [])
})

t.test('a reference that leads nowhere of use changes nothing of what is hidden or marked', async t => {
  const name = fc.constantFrom('apiUrl', 'jwtToken', 'a', 'b')
  const { schema } = fc.letrec<{ schema: JsonObject }>(tie => ({
    schema: fc.oneof({ maxDepth: 3 }, fc.constant({ type: 'string' }), fc.record({
      properties: fc.dictionary(name, tie('schema'), { maxKeys: 3 }),
      required: fc.array(name, { maxLength: 3 }),
      dependentRequired: fc.dictionary(name, fc.array(name, { maxLength: 2 }), { maxKeys: 2 }),
      allOf: fc.array(tie('schema'), { maxLength: 2 }),
      items: tie('schema'),
      default: fc.constant({ properties: { apiUrl: {} } })
    }, { requiredKeys: [] }))
  }))
  for (const change of [withoutNames, withFilledNames]) {
    fc.assert(fc.property(schema, root => {
      const without = change(freeze(structuredClone(root)) as JsonObject, new Set(sensitive))
      const reference = { 'x-note': { $ref: '#/x-nowhere' } } // data to us, and still a reason to look closely
      const { 'x-note': _, ...withIt } = change(freeze({ ...structuredClone(root), ...reference }) as JsonObject, new Set(sensitive))
      if (JSON.stringify(without) !== JSON.stringify(withIt)) throw new Error(JSON.stringify([without, withIt]))
    }), { numRuns: 300 })
  }
})
