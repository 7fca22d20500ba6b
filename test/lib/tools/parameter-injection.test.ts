import fc from 'fast-check'
import t from 'tap'
import { type JsonNode, type JsonValue, readJson } from '../../../lib/json-text.ts'
import { type Inject, injectParameters, planReads } from '../../../lib/tools/parameter-injection.ts'
import { toolWith } from '../../support/tools.ts'

const sensitiveParams = ['apiUrl', 'jwtToken']
const credentials = new Map([['apiUrl', '"https://api.example.com"'], ['jwtToken', '"a.b.c"']])

function parse (text: string) {
  const document = readJson(text, 1)
  if (document === null) throw new Error(`${text} is no JSON`)
  return { document, node: document.root }
}

interface Given { declared?: string[], credentials?: Map<string, string>, values?: Map<string, string> }

/** A call of a chain, filled from these values. */
function inject (params: string, given: Given = {}) {
  const { declared = [], credentials: secrets = credentials, values = new Map() } = given
  return injectInto(parse(params), declared, secrets, values)
}

function injectInto (
  params: JsonValue, declared: string[], secrets: ReadonlyMap<string, string>, values: ReadonlyMap<string, string>
) {
  const tool = toolWith(declared)
  const plan = planReads(params.node, tool, { inject: true, wantsOrigins: false })
  const { args, given } = injectParameters(params, {
    tool,
    values: plan.map(planned => {
      const text = values.get(planned.read.name)
      return [planned, text === undefined ? null : { text, origin: null }]
    }),
    fixed: new Map([...secrets].filter(([name]) => tool.credentials.includes(name))),
    onMissing: () => { throw new Error('nothing can be missing') }
  })
  return { args, given: Object.fromEntries(given) }
}

t.test('what the caller sends is sent as it is', async t => {
  const params = '{ "n": 1915883588174806058, "n" : 1e400 , "\\u0061": [ ] }'
  t.strictSame(inject(params), { args: params, given: { n: '1e400', a: '[ ]' } })
  t.strictSame(inject('{}'), { args: '{}', given: {} })
})

t.test('params may be a part of a larger text', async t => {
  const document = readJson('{"session_id":"a", "params": {"jwtToken":"no", "a": 1.0 }, "tool":"b"}', 2)
  const node = document?.root.members?.[1]?.value
  if (document === null || node === undefined) throw new Error('no params')
  const { args } = injectInto({ document, node }, ['b'], credentials, new Map([['b', '2.0']]))
  t.equal(args, '{"a": 1.0 ,"b":2.0}')
})

t.test('a cached value fills what is declared and not sent', async t => {
  const sources = { declared: ['a', 'b', 'c'], values: new Map([['a', '1.0'], ['b', '{ "x": 1e400 }'], ['d', '4']]) }
  t.equal(inject('{}', sources).args, '{"a":1.0,"b":{ "x": 1e400 }}')
  t.equal(inject(' { } ', sources).args, '{"a":1.0,"b":{ "x": 1e400 }}')
  t.equal(inject('{"a":null}', sources).args, '{"a":null,"b":{ "x": 1e400 }}')
  t.strictSame(inject('{"d":5}', sources), { args: '{"d":5,"a":1.0,"b":{ "x": 1e400 }}', given: { d: '5' } })
})

t.test('a credential comes from the session, and goes only to a tool that declares it', async t => {
  const sent = '{"jwtToken":"mine", "a": 1 ,"apiUrl":"mine","\\u006awtToken":"mine"}'
  t.strictSame(inject(sent), { args: '{"a": 1}', given: { a: '1' } })
  t.strictSame(inject(sent, { declared: ['jwtToken'] }), { args: '{"a": 1,"jwtToken":"a.b.c"}', given: { a: '1' } })
  t.equal(inject('{"jwtToken":"mine"}', { declared: ['jwtToken'], credentials: new Map() }).args, '{}')
  t.equal(inject('{"jwtToken":"mine"}', { declared: ['jwtToken'] }).args, '{"jwtToken":"a.b.c"}')
  const other = new Map([['jwtToken', '"a.b.c"'], ['unit', '7']])
  t.equal(inject('{}', { declared: ['unit'], credentials: other }).args, '{}', 'only under a sensitive name')
  const cached = { declared: ['jwtToken'], credentials: new Map(), values: new Map([['jwtToken', '"old"']]) }
  t.equal(inject('{}', cached).args, '{}', 'and never from the cached values')
})

t.test('gaps are what a cached value may fill', async t => {
  const tool = toolWith(['a', 'b', 'jwtToken', 'toString'])
  const gaps = (params: JsonNode | null, inject: Inject = true) =>
    planReads(params, tool, { inject, wantsOrigins: false }).map(({ argument }) => argument)
  t.strictSame(gaps(parse('{"a":null,"x":1}').node), ['b', 'toString'])
  t.strictSame(gaps(null), ['a', 'b', 'toString'])
  t.strictSame(gaps(null, false), [])
  t.strictSame(gaps(null, []), [])
  t.strictSame(gaps(null, ['b', 'jwtToken', 'x']), ['b'])
})

t.test('the arguments are what the caller sent and what fills it, whatever that is', async t => {
  const name = fc.constantFrom<string>('a', 'b', 'c', '__proto__', 'apiUrl', 'jwtToken', '')
  const text = fc.constantFrom('1', '1e400', '"x"', '[ 1, 2 ]', '{"a":{}}', 'null')
  const space = fc.constantFrom('', ' ', '\n')
  const entries = fc.array(fc.tuple(name, text), { maxLength: 6 })
  const names = fc.subarray<string>(['a', 'b', 'apiUrl', '__proto__'])
  fc.assert(fc.property(entries, entries, names, space, (sent, kept, declared, a) => {
    const members = sent.map(([name, text]) => `${JSON.stringify(name)}${a}:${text}`)
    const params = `${a}{${a}${members.join(`${a},`)}${a}}${a}`
    const values = new Map(kept)
    const { args, given } = inject(params, { declared, values })
    const own = sent.filter(([name]) => !sensitiveParams.includes(name))
    const sentNames = new Set(sent.map(([name]) => name))
    const filled = declared.flatMap(name => {
      const text = values.get(name)
      return sentNames.has(name) || sensitiveParams.includes(name) || text === undefined ? [] : [[name, text]]
    })
    const secrets = [...credentials].filter(([name]) => declared.includes(name))
    const { document, node } = parse(args)
    const found = node.members?.map(({ name, value }) => [name, document.text.slice(value.start, value.end)])
    const expected = [...own, ...filled, ...secrets]
    if (JSON.stringify(found) !== JSON.stringify(expected)) throw new Error(`${params} became ${args}`)
    if (JSON.stringify(given) !== JSON.stringify(Object.fromEntries(own))) throw new Error(JSON.stringify(given))
  }), { numRuns: 1_000 })
})
