import t from 'tap'
import { exposeTool } from '../../../lib/tools/exposed-tool.ts'
import type { ServerPolicy } from '../../../lib/mcp/servers-file/value-policy.ts'
import { boundedWarnings } from '../../../lib/tools/server-lists.ts'
import { catalogOf, chain, listedItem } from '../../support/tools.ts'

const sensitiveParams = ['apiUrl', 'jwtToken']

const expose = (text: string, name = 'act') =>
  exposeTool(listedItem(text), { name, hidden: new Set(sensitiveParams), filled: new Set() })

t.test('a tool without anything to hide is listed as its server wrote it', async t => {
  const text = '{ "title" : "\\u00e9", "name":"act","inputSchema": { "type":"object", ' +
    '"properties":{"n":{"maximum":1915883588174806058,"default":null}}}, "cost":1e400, "2":0, "1":0 }'
  t.equal(expose(text), text)
})

t.test('a tool is listed under the name that callers know', async t => {
  t.equal(expose('{"name":"act","inputSchema":{}}', 'up__act'), '{"name":"up__act","inputSchema":{}}')
  t.equal(expose('{"inputSchema":{} , "name" : "act" }', '"'), '{"inputSchema":{} , "name" : "\\"" }')
  t.equal(
    JSON.parse(expose('{"name":"first","name":"act","inputSchema":{}}', 'up__act')).name, 'up__act',
    'the last of equal names counts'
  )
})

t.test('fields that are null are left out, and a schema that is none takes any arguments', async t => {
  const any = '"inputSchema":{"type":"object"}'
  const lists: Record<string, string> = {
    '{"name":"act"}': `{"name":"act",${any}}`,
    '{"name":"act","inputSchema":null}': `{"name":"act",${any}}`,
    '{"inputSchema": null ,"name":"act"}': '{"inputSchema": {"type":"object"} ,"name":"act"}',
    '{"name":"act","inputSchema":"odd"}': `{"name":"act",${any}}`,
    '{"name":"act","inputSchema":[]}': `{"name":"act",${any}}`,
    '{"name":"act","inputSchema":{}}': '{"name":"act","inputSchema":{}}',
    '{"title":null,"name":"act","inputSchema":{},"annotations":null}': '{"name":"act","inputSchema":{}}',
    '{"name":"act","annotations":null }': `{"name":"act" ,${any}}`,
    '{"name":"act","inputSchema":{"required":null,"default":null}}': '{"name":"act","inputSchema":{"default":null}}',
    '{"name":"act","inputSchema":{"a":1},"inputSchema":null}':
      '{"name":"act","inputSchema":{"a":1},"inputSchema":{"type":"object"}}'
  }
  for (const [given, listed] of Object.entries(lists)) t.equal(expose(given), listed, given)
})

t.test('sensitive names are hidden, and every number stays as it was', async t => {
  t.equal(
    expose('{"name":"act","inputSchema":{"properties":{"jwtToken":{},"n":{"maximum":1e400,"minimum":1.0,"x":-0}},' +
      '"required":["jwtToken","n"]} ,"x":1.0}'),
    '{"name":"act","inputSchema":{"properties":{"n":{"maximum":1e400,"minimum":1.0,"x":-0}},"required":["n"]} ,"x":1.0}'
  )
})

t.test('a schema that is nested too deep costs that schema only, and other fields may be as deep', async t => {
  const deep = (levels: number) => `${'{"properties":{"a":'.repeat(levels)}{}${'}}'.repeat(levels)}`
  t.equal(
    expose(`{"name":"act","inputSchema":${deep(100_000)}}`), '{"name":"act","inputSchema":{"type":"object"}}'
  )
  const text = `{"name":"act","inputSchema":${deep(200)},"outputSchema":${deep(100_000)}}`
  t.ok(expose(text) === text)
})

const naming = {
  sensitiveParams, exposedName: (tool: string) => `up__${tool}`, offers: (tool: string) => !tool.startsWith('hidden')
}

t.test('a catalog has the tools that are offered, and knows what each declares', async t => {
  const { items, byName } = catalogOf([
    '{"name":"a","inputSchema":{"properties":{"x":{},"jwtToken":{}},"required":["x"]}}',
    '{"name":"hidden","inputSchema":{}}'
  ], naming)
  t.strictSame(items, ['{"name":"up__a","inputSchema":{"properties":{"x":{}},"required":["x"]}}'])
  t.strictSame([...byName.keys()], ['up__a'])
  t.match(byName.get('up__a'), { name: 'a', declared: ['x', 'jwtToken'], credentials: ['jwtToken'] })
})

t.test('a tool that asks for headers keeps its schema, and one that may not is named instead of listed', async t => {
  const asking = (header: string) =>
    `{"type":"object","properties":{"region":{"type":"string","x-mcp-header":${header}}}}`
  const tool = (name: string, header: string) => `{"name":${JSON.stringify(name)},"inputSchema":${asking(header)}}`
  const long = 'n'.repeat(1_000)
  const { items, byName, warnings } = catalogOf([
    tool('good', '"Region"'), tool('bad', '"Re gion"'), tool('hidden', '"Re gion"'), tool(`a"\n${long}`, '7')
  ], naming)
  t.equal(items.length, 1)
  t.strictSame([...byName.keys()], ['up__good'])
  t.match(byName.get('up__good'), { declared: ['region'], inputSchema: JSON.parse(asking('"Region"')) })
  t.strictSame(warnings, [
    'tool "bad" has an x-mcp-header that is not allowed',
    `tool "a\\"\\n${'n'.repeat(97)}…" has an x-mcp-header that is not allowed`
  ])
  const deep = `${'{"properties":{"a":'.repeat(10_000)}{"x-mcp-header":7}${'}}'.repeat(10_000)}`
  t.strictSame(catalogOf([`{"name":"deep","inputSchema":${deep}}`], naming).items, [
    '{"name":"up__deep","inputSchema":{"type":"object"}}'
  ])
})

t.test('a reply has a bounded number of warnings', async t => {
  const many = Array.from({ length: 1_000 }, (_, index) => `tools[${index}] has no name`)
  t.strictSame(boundedWarnings(many.slice(0, 20)), many.slice(0, 20))
  t.strictSame(boundedWarnings(many), [...many.slice(0, 20), 'and 980 more'])
})

const wants = (name: string, ...declared: string[]) => JSON.stringify({
  name, inputSchema: { properties: Object.fromEntries(declared.map(name => [name, {}])), required: declared }
})
const gives = (name: string, outputSchema: object) => JSON.stringify({ name, inputSchema: {}, outputSchema })
const requiredIn = (texts: string[], options = {}) => catalogOf(texts, { marksFilled: true, ...options }).items
  .map(text => (JSON.parse(text) as { inputSchema: { required?: string[] } }).inputSchema.required)

t.test('a parameter that another tool gives is filled, and not one that only its own tool gives', async t => {
  const output = { properties: { rows: {}, status: {}, intermediate: { properties: { chartData: {} } } } }
  const texts = [wants('use', 'rows', 'title', 'status', 'chartData', 'intermediate'), gives('make', output)]
  t.strictSame(requiredIn(texts)[0], ['title', 'status', 'intermediate'])
  t.strictSame(requiredIn(texts, { marksFilled: false })[0], ['rows', 'title', 'status', 'chartData', 'intermediate'])
  const own = JSON.stringify({ name: 'both', inputSchema: { required: ['rows'], properties: { rows: {} } }, outputSchema: output })
  t.strictSame(requiredIn([own]), [['rows']])
  t.strictSame(requiredIn([own, own.replace('both', 'other')]), [[], []])
})

t.test('what fills is decided by the policy', async t => {
  const texts = [wants('use', 'rows', 'title'), gives('make', { properties: { rows: {} } })]
  const required = (policy: Partial<ServerPolicy>) => requiredIn(texts, { policy: { ...chain, ...policy } })[0]
  t.strictSame(required({ fill: 'none' }), ['rows', 'title'])
  t.strictSame(required({ fill: 'required' }), ['title'])
  t.strictSame(required({ keepsResults: false }), ['rows', 'title'])
  t.strictSame(required({ from: ['caller'] }), ['rows', 'title'])
  const tool = { ...chain, filled: ['title'] }
  t.strictSame(required({ tools: new Map([['use', tool]]) }), [])
})

t.test('a tool that declares a credential that its server may not have is no tool for callers', async t => {
  const refused: string[] = []
  const { items, byName, warnings } = catalogOf([wants('needs', 'jwtToken'), wants('may', 'apiUrl')], {
    policy: { ...chain, kind: 'none', credentials: ['apiUrl'] },
    onRefusedCredential: (...names) => { refused.push(...names) }
  })
  t.equal(items.length, 1)
  t.strictSame(refused, ['needs', 'jwtToken'])
  t.strictSame(warnings, ['tool "needs" needs the credential jwtToken, which its server may not have'])
  t.equal(byName.get('needs')?.refusedCredential, 'jwtToken')
  t.strictSame(byName.get('may')?.credentials, ['apiUrl'])
})

t.test('wrapped results are told by the mark and by the schema of Python', async t => {
  const tool = (outputSchema: object) => catalogOf([gives('a', outputSchema)]).byName.get('a')?.wrapsResult
  const result = { properties: { result: {} } }
  t.equal(tool({ ...result, 'x-fastmcp-wrap-result': true }), true)
  t.equal(tool({ ...result, title: 'aOutput' }), true)
  t.equal(tool(result), false)
  t.equal(tool({ properties: { result: {}, more: {} }, title: 'aOutput' }), false)
})

t.test('a tool that the policy names and the server does not list is told of', async t => {
  const unknown: string[] = []
  const tools = new Map([['use', chain], ['us', chain], ['hidden', chain]])
  catalogOf([wants('use'), wants('hidden')], {
    ...naming, policy: { ...chain, tools }, onUnknownTool: tool => { unknown.push(tool) }
  })
  t.strictSame(unknown, ['us'])
})
