import t from 'tap'
import { readJson, valueOf } from '../../../lib/json-text.ts'
import type { ListedItem } from '../../../lib/mcp/client/list-pages.ts'
import { exposeTool } from '../../../lib/tools/exposed-tool.ts'
import { boundedWarnings } from '../../../lib/tools/server-lists.ts'
import { createToolCatalog } from '../../../lib/tools/tool-catalog.ts'

const sensitiveParams = ['apiUrl', 'jwtToken']

function item (text: string): ListedItem {
  const document = readJson(text)
  if (document === null) throw new Error(`${text} is no JSON`)
  return { text, value: valueOf(document, document.root) as ListedItem['value'] }
}

const expose = (text: string, name = 'act') => exposeTool(item(text), name, sensitiveParams)

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

function catalogOf (texts: string[]) {
  const listed = { items: texts.map(item), warnings: ['tools[0] is odd'] }
  return createToolCatalog(listed, 'Use it.', {
    sensitiveParams,
    exposedName: tool => `up__${tool}`,
    offers: tool => !tool.startsWith('hidden')
  })
}

t.test('a catalog has the tools that are offered, and knows what each declares', async t => {
  const { items, byName, warnings, instructions } = catalogOf([
    '{"name":"a","inputSchema":{"properties":{"x":{},"jwtToken":{}}}}', '{"name":"hidden","inputSchema":{}}'
  ])
  t.strictSame(items, ['{"name":"up__a","inputSchema":{"properties":{"x":{}}}}'])
  t.strictSame([...byName], [['up__a', { name: 'a', declared: ['x', 'jwtToken'] }]])
  t.strictSame([warnings, instructions], [['tools[0] is odd'], 'Use it.'])
})

t.test('a tool that asks for headers keeps its schema, and one that may not is named instead of listed', async t => {
  const asking = (header: string) =>
    `{"type":"object","properties":{"region":{"type":"string","x-mcp-header":${header}}}}`
  const tool = (name: string, header: string) => `{"name":${JSON.stringify(name)},"inputSchema":${asking(header)}}`
  const long = 'n'.repeat(1_000)
  const { items, byName, warnings } = catalogOf([
    tool('good', '"Region"'), tool('bad', '"Re gion"'), tool('hidden', '"Re gion"'), tool(`a"\n${long}`, '7')
  ])
  t.equal(items.length, 1)
  t.strictSame([...byName], [
    ['up__good', { name: 'good', declared: ['region'], inputSchema: JSON.parse(asking('"Region"')) }]
  ])
  t.strictSame(warnings, [
    'tools[0] is odd',
    'tool "bad" has an x-mcp-header that is not allowed',
    `tool "a\\"\\n${'n'.repeat(97)}…" has an x-mcp-header that is not allowed`
  ])
  const deep = `${'{"properties":{"a":'.repeat(10_000)}{"x-mcp-header":7}${'}}'.repeat(10_000)}`
  t.strictSame(catalogOf([`{"name":"deep","inputSchema":${deep}}`]).items, [
    '{"name":"up__deep","inputSchema":{"type":"object"}}'
  ])
})

t.test('a reply has a bounded number of warnings', async t => {
  const many = Array.from({ length: 1_000 }, (_, index) => `tools[${index}] has no name`)
  t.strictSame(boundedWarnings(many.slice(0, 20)), many.slice(0, 20))
  t.strictSame(boundedWarnings(many), [...many.slice(0, 20), 'and 980 more'])
})
