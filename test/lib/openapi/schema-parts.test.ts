import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import { schemaParts } from '../../../lib/openapi/schema-parts.ts'
import { operationIds } from '../../../lib/openapi/tool-ids.ts'
import { cases } from '../../support/cases.ts'
import { fixture } from '../../support/paths.ts'

interface Tool { name: string, inputSchema: object, outputSchema?: object, args: object, reply?: unknown }

const folder = fixture('schemas')
const tools = readdirSync(folder)
  .flatMap(file => JSON.parse(readFileSync(join(folder, file), 'utf8')) as Tool[])

const partsOf = (schema: unknown) =>
  JSON.parse(schemaParts(JSON.stringify(schema), 'Tool') ?? 'null') as Record<string, Record<string, unknown>>

/** Checks values against parts, as a reader of the document does. */
function checkerOf (parts: Record<string, object>) {
  const ajv = new Ajv2020({ strict: false, validateFormats: false, ownProperties: true })
  return ajv.compile({ $ref: '#/components/schemas/Tool', components: { schemas: parts } })
}

function referencesIn (value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) =>
    name === '$ref' && typeof inner === 'string' ? [inner] : referencesIn(inner))
}

t.test('the parts of every awkward schema are valid, lead nowhere else, and allow what the tool allows', async t => {
  t.ok(tools.length >= 60)
  for (const { name, inputSchema, outputSchema, args, reply } of cases(tools, 8)) {
    for (const [schema, value] of [[inputSchema, args], [outputSchema, reply]] as const) {
      if (schema === undefined) continue
      const parts = partsOf(schema)
      const known = new Set(Object.keys(parts).map(part => `#/components/schemas/${part}`))
      t.ok(referencesIn(parts).every(reference => known.has(reference)), `${name}: references`)
      const used = new Set([...referencesIn(parts), '#/components/schemas/Tool'])
      t.strictSame([...known].filter(part => !used.has(part)), [], `${name}: every part is used`)
      t.ok(new Ajv2020({ strict: false }).validateSchema({ ...parts.Tool }), `${name}: the schema is of 2020-12`)
      const check = checkerOf(parts)
      if (value !== undefined) t.ok(check(value), `${name}: ${JSON.stringify(check.errors)}`)
    }
  }
})

t.test('what a schema refuses its parts refuse, too', async t => {
  const refused: Record<string, unknown> = {
    create_issue: { title: 'x', assignee: {} },
    tree_of_pages: { title: 'x', children: [{}] },
    nest_filters: { filter: { and: [{}] } },
    self_recursive: { next: { name: 1 } },
    refers_into_items: { first: { id: 'x' } },
    alias_chain: { x: 0 },
    escaped_pointer: { x: 1 },
    anchored: { x: {} },
    anchored_by_id: { x: 'huge' },
    has_an_address: { lines: [{}] },
    embedded_resource: { address: { country: 'Germany' } },
    by_urn: { z: 1 },
    dynamic_tree: { children: [1] },
    recursive_2019: { child: { name: 1 } },
    reference_with_siblings: { x: 4 },
    reference_to_boolean: { y: 1 },
    deep_definitions: { x: { z: 'a' } },
    reference_to_no_schema_place: { x: { a: 1 } },
    mutual_all_of: { x: { sub: { extra: 'a' } } },
    tuple_of_draft_07: { range: [1, 2, 3] },
    tuple_of_2020: { range: ['a'] },
    dependencies_of_both_kinds: { card: '1' },
    exclusive_booleans: { x: 0 },
    unevaluated: { c: 1 },
    if_then_else: { kind: 'card' },
    pattern_properties: { y: 1 },
    enum_against_its_type: { x: 3 },
    root_one_of: {},
    required_without_property: { a: 'x' },
    boolean_properties: { no: 1 },
    big_numbers: { x: 'a' },
    discriminated_union: { pet: { kind: 'cow' } },
    prototype_property: { hasOwnProperty: 1 },
    functions_of_every_object: { valueOf: 'x', plain: 1 },
    functions_of_every_object_elsewhere: { 'a valueOf': 1 },
    property_named_ref: { $ref: 1 }
  }
  const byName = new Map(tools.map(tool => [tool.name, tool]))
  for (const [name, value] of cases(Object.entries(refused), 4)) {
    const tool = byName.get(name)
    t.ok(tool !== undefined && !checkerOf(partsOf(tool.inputSchema))(value), name)
  }
})

t.test('what is left out of the document is said there', async t => {
  const loosened = ['remote_reference', 'dangling_reference', 'alias_loop', 'patterns_of_python', 'types_of_others', 'functions_of_every_object']
  for (const name of loosened) {
    const schema = tools.find(tool => tool.name === name)?.inputSchema
    t.match(JSON.stringify(partsOf(schema)), /"\$comment":"Left out here, not in the tool: /, name)
  }
  const large = { type: 'object', properties: { x: { description: 'x'.repeat(300_000) } } }
  t.match(partsOf(large), { Tool: { $comment: /its size/ } })
})

t.test('no name stands where generators take it for a function that every object has', async t => {
  const names = Object.getOwnPropertyNames(Object.prototype).filter(name => !/^(constructor|toString|__proto__)$/.test(name))
  const outside = new Set(['default', 'examples', 'const', 'enum'])
  function namesIn (value: unknown): string[] {
    if (typeof value !== 'object' || value === null) return []
    return Object.entries(value).flatMap(([name, inner]) => outside.has(name) ? [] : [name, ...namesIn(inner)])
  }
  for (const name of ['prototype_property', 'functions_of_every_object', 'functions_of_every_object_elsewhere']) {
    const found = new Set(namesIn(partsOf(tools.find(tool => tool.name === name)?.inputSchema)))
    t.strictSame(names.filter(name => found.has(name)), [], name)
  }
})

t.test('numbers keep every digit', async t => {
  const text = '{"properties":{"x":{"minimum":0.0,"maximum":12345678901234567890,"const":1.50}}}'
  const parts = schemaParts(text, 'Tool') ?? ''
  for (const number of ['"minimum":0.0', '"maximum":12345678901234567890', '"const":1.50']) t.ok(parts.includes(number))
})

t.test('tools whose names generators take for one have other ids, whatever their order', async t => {
  const names = ['get-sum', 'get_sum', 'getSum', 'callTool', '天気', '1st', 'plain', 'x'.repeat(90), 'with.dots', '__proto__']
  const ids = operationIds(names, ['callTool'])
  const likenesses = [...ids.values(), 'callTool'].map(id => id.replace(/[_-]/g, '').toLowerCase())
  t.equal(new Set(likenesses).size, names.length + 1)
  for (const id of ids.values()) t.match(id, /^[A-Za-z][A-Za-z0-9_-]{0,63}$/)
  t.equal(ids.get('plain'), 'plain')
  t.strictSame(new Map([...operationIds([...names].reverse(), ['callTool'])].reverse()), ids)
})
