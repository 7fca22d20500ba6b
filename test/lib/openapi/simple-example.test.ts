import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import t from 'tap'
import { schemaParts } from '../../../lib/openapi/schema-parts.ts'
import { simpleExample } from '../../../lib/openapi/simple-example.ts'
import { fixture } from '../../support/paths.ts'

const exampleOf = (schema: unknown) => {
  const text = simpleExample(JSON.stringify(schema))
  return text === null ? null : JSON.parse(text) as unknown
}
/** An example of one property. */
const propertyOf = (schema: unknown) => {
  const example = exampleOf({ type: 'object', properties: { a: schema }, required: ['a'] }) as { a: unknown } | null
  return example === null ? null : example.a
}

t.test("an example has what is required, in the author's words where there are some", t => {
  const given: Array<[schema: unknown, value: unknown]> = [
    [{ type: 'string' }, 'text'], [{}, 'text'], [true, 'text'], [{ type: ['string', 'null'] }, 'text'],
    [{ type: 'string', examples: ['a', 'b'], default: 'c' }, 'a'], [{ type: 'string', default: 'c' }, 'c'],
    [{ type: 'string', default: null }, 'text'], [{ type: 'string', default: 5 }, 'text'],
    [{ enum: ['x', 'y'] }, 'x'], [{ type: 'string', const: 'only' }, 'only'],
    [{ type: 'string', format: 'date' }, '2026-01-01'], [{ type: 'string', maxLength: 4 }, 'text'],
    [{ type: 'integer' }, 1], [{ type: 'number', minimum: 2.5 }, 2.5], [{ type: 'integer', exclusiveMinimum: 3 }, 4],
    [{ type: 'number', maximum: -1 }, -1], [{ type: 'integer', default: 7, minimum: 5 }, 7],
    [{ type: 'integer', default: 1, minimum: 5 }, 5], [{ type: 'boolean' }, true], [{ type: 'boolean', default: false }, false],
    [{ type: 'array', items: { type: 'string' } }, []], [{ type: 'array', items: { type: 'integer' }, minItems: 2 }, [1, 1]],
    [{ type: 'object', properties: { b: { type: 'string' }, c: {} }, required: ['b'] }, { b: 'text' }],
    [{ type: 'object' }, {}], [{ type: 'string', 'x-own': 1, title: 'A' }, 'text']
  ]
  for (const [schema, value] of given) t.strictSame(propertyOf(schema), value, JSON.stringify(schema))
  t.strictSame(exampleOf({ type: 'object', properties: { a: {} } }), {}, 'what is not required is left out')
  t.strictSame(exampleOf({}), {})
  t.end()
})

t.test('there is none where a schema asks for more than is understood', t => {
  const beyond: unknown[] = [
    { type: 'string', pattern: '^a' }, { type: 'string', minLength: 5 }, { type: 'string', maxLength: 3 },
    { type: 'string', format: 'ipv4' }, { $ref: '#/$defs/a' }, { anyOf: [{ type: 'string' }] }, { not: {} }, false,
    { type: 'integer', multipleOf: 3 }, { type: 'integer', minimum: 1.5 }, { type: 'number', minimum: 5, maximum: 4 },
    { type: 'integer', minimum: 0, exclusiveMinimum: true }, { type: 'integer', minimum: 1e300 },
    { type: 'array', minItems: 4 }, { type: 'array', minItems: 2, uniqueItems: true }, { type: 'array', contains: {}, minItems: 1 },
    { type: 'object', minProperties: 1 }, { type: 'object', required: ['b'] }, { enum: [{}] }, { const: [1] }, { enum: [] },
    { type: 'thing' }, null, 'text'
  ]
  for (const schema of beyond) t.equal(propertyOf(schema), null, JSON.stringify(schema))
  for (const schema of [{ type: 'array' }, null, [], 'text', { allOf: [] }, { type: 'object', required: 'a' }]) {
    t.equal(exampleOf(schema), null, JSON.stringify(schema))
  }
  t.equal(exampleOf({ properties: { $ref: {} }, required: ['$ref'] }), null, 'a name that readers of the document end at')
  t.equal(exampleOf({ properties: { toString: {} } }), null)
  t.equal(simpleExample(JSON.stringify({ properties: {}, title: 'x'.repeat(70_000) })), null)
  const deep = (levels: number): object =>
    levels === 0 ? {} : { type: 'object', properties: { a: deep(levels - 1) }, required: ['a'] }
  t.equal(exampleOf(deep(50)), null)
  t.end()
})

t.test('every example of an awkward schema is one that its parts in the document allow', t => {
  const folder = fixture('schemas')
  const tools = readdirSync(folder).flatMap(file =>
    JSON.parse(readFileSync(join(folder, file), 'utf8')) as Array<Record<'name' | 'inputSchema' | 'outputSchema', unknown>>)
  const ajv = formats.default(new Ajv2020({ strict: false, ownProperties: true, logger: false }))
  let made = 0
  for (const { name, inputSchema, outputSchema } of tools) {
    for (const schema of [inputSchema, outputSchema]) {
      const example = schema === undefined ? null : exampleOf(schema)
      if (example === null) continue
      made++
      const parts = JSON.parse(schemaParts(JSON.stringify(schema), 'Tool') ?? '{"Tool":{}}') as object
      const check = ajv.compile({ $ref: '#/components/schemas/Tool', components: { schemas: parts } })
      t.ok(check(example), `${String(name)}: ${JSON.stringify(example)}`)
    }
  }
  t.ok(made > 10, `${made} examples`)
  t.end()
})
