import fc from 'fast-check'
import t from 'tap'
import { type JsonDocument, readJson } from '../../../lib/json-text.ts'
import { readToolResult, type ToolResultOptions } from '../../../lib/tools/tool-result.ts'

/** What is made of a result, which is given as the text that a server wrote. */
function read (result: string, options: Partial<ToolResultOptions> = {}) {
  const document = readJson(result, 3)
  if (document === null) throw new Error(`${result} is no JSON`)
  const { body, outcome, outputs } = readAll(document, options)
  return { body, outcome, outputs: Object.fromEntries(outputs) }
}

const readAll = (document: JsonDocument, options: Partial<ToolResultOptions>) =>
  readToolResult({ document, node: document.root }, {
    tool: 'act',
    isChain: true,
    shape: 'default',
    policy: { keepsResults: true },
    wrapsResult: false,
    cacheResults: 'success',
    maxNames: 5_000,
    mask: text => text,
    sensitiveParams: new Set(['jwtToken']),
    ...options
  })

const inText = (text: string) => `{"content":[{"type":"text","text":${JSON.stringify(text)}}]}`
const structured = (text: string) => `{"content":[{"type":"text","text":"plain"}],"structuredContent":${text}}`

t.test('a result becomes its reply, and everything in it stays as it was written', async t => {
  const replies: Record<string, string> = {
    [inText(' {"n": 1e400,\n"s":"\\u00e9"} ')]: ' {"n": 1e400,\n"s":"\\u00e9"} ',
    [inText('[1.0]')]: '[1.0]',
    [inText('null')]: 'null',
    [inText('NaN')]: '{"result":"NaN"}',
    [inText('-Infinity')]: '{"result":"-Infinity"}',
    [inText('[NaN]')]: '[null]',
    [inText('plain "text"')]: '{"result":"plain \\"text\\""}',
    '{"content":[{"type":"text","text":"\\u0041\\/"}]}': '{"result":"\\u0041\\/"}',
    [structured('{ "n": 1.50 }')]: '{ "n": 1.50 }',
    [structured('[]')]: '[]',
    [structured('null')]: '{"result":"plain"}',
    '{}': '{"content":[]}',
    '{"content":null}': '{"content":[]}',
    '{"content":"odd"}': '{"content":"odd"}',
    '{"content":[ {"type":"text","text":7} ]}': '{"content":[ {"type":"text","text":7} ]}',
    '{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}':
      '{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}',
    '{"content":{"type":"text","text":"[1]"}}': '[1]',
    '{"content":[],"isError":null,"_meta":{"x":1}}': '{"content":[]}'
  }
  for (const [result, body] of Object.entries(replies)) {
    t.strictSame(read(result), { body, outcome: 'ok', outputs: {} }, result)
  }
})

t.test('a tool that failed is an error with its texts', async t => {
  const failed = (content: string) =>
    read(`{"content":${content},"isError":true,"structuredContent":{"status":"success"}}`)
  t.strictSame(failed('[{"type":"text","text":"one"},{"type":"image"},{"type":"text","text":"two"}]'), {
    body: '{"status":"error","error":"one\\ntwo"}', outcome: 'tool_error', outputs: {}
  })
  t.equal(failed('null').body, '{"status":"error","error":"Tool act failed"}')
})

t.test('what a result keeps is decided by its status and the setting', async t => {
  const withStatus = (status: string) => structured(`{"status":${status},"a":1.0}`)
  const kept = (status: string, cacheResults: ToolResultOptions['cacheResults']) =>
    Object.keys(read(withStatus(status), { cacheResults }).outputs).length === 1
  t.strictSame(['success', 'any', 'off'].map(setting => kept('"success"', setting as 'any')), [true, true, false])
  t.strictSame(['success', 'any', 'off'].map(setting => kept('"s\\u0075ccess"', setting as 'any')), [true, true, false])
  t.strictSame(['success', 'any', 'off'].map(setting => kept('"done"', setting as 'any')), [false, true, false])
  t.strictSame(['success', 'any', 'off'].map(setting => kept('"error"', setting as 'any')), [false, false, false])
  t.strictSame(read(structured('[1]'), { cacheResults: 'any' }).outputs, {})
})

t.test('intermediate data is kept and never in the reply', async t => {
  for (const form of [inText, structured]) {
    const rows = '{"status": "success", "intermediate": {"rows": [1, 2.0], "jwtToken":"x"}, "n": 1e400 }'
    t.strictSame(read(form(rows)), {
      body: '{"status": "success", "n": 1e400 }', outcome: 'ok', outputs: { n: '1e400', rows: '[1, 2.0]' }
    })
    t.strictSame(read(form('{"status":"success","intermediate":7.0}')), {
      body: '{"status":"success"}', outcome: 'ok', outputs: { intermediate: '7.0' }
    })
    t.equal(read(form('{"intermediate":{"a":1}}')).body, '{}')
    t.strictSame(read(form('{"status":"success","intermediate":1,"a":1,"a":2,"intermediate":{"b":3}}')), {
      body: '{"status":"success","a":1,"a":2}', outcome: 'ok', outputs: { a: '2', b: '3' }
    }, 'the last of equal names counts')
  }
})

t.test('a result may be nested without end', async t => {
  const deep = '['.repeat(100_000) + ']'.repeat(100_000)
  const result = `{"status":"success","deep":${deep}}`
  t.ok(read(inText(result)).body === result)
  t.ok(read(structured(result)).outputs.deep === deep)
})

t.test('a reply is the text of a JSON value, whatever it is', async t => {
  fc.assert(fc.property(fc.json({ maxDepth: 3 }), fc.constantFrom('', ' ', '\n'), (text, space) => {
    const value: unknown = JSON.parse(text)
    const hasHidden = typeof value === 'object' && value !== null && 'intermediate' in value
    const { body } = read(inText(`${space}${text}${space}`))
    if (!hasHidden && body !== `${space}${text}${space}`) throw new Error(body)
    if (value !== null && !hasHidden && read(structured(text)).body !== text) throw new Error(text)
  }), { numRuns: 500 })
})

/** The reply of an entry that is no chain: its body and its header's parts. */
function reply (result: string, options: Partial<ToolResultOptions> = {}) {
  const document = readJson(result, 3)
  if (document === null) throw new Error(`${result} is no JSON`)
  const entry = { isChain: false, policy: { keepsResults: false } }
  const { body, form, leftOut, outputs } = readAll(document, { ...entry, ...options })
  return [body, [form, ...leftOut].join(' '), ...outputs.keys()]
}

const both = (text: string, value: string, more = '') =>
  `{"content":[{"type":"text","text":${JSON.stringify(text)}}${more}],"structuredContent":${value},"_meta":{"a":1.0}}`

t.test('an entry passes a text on as a text, whatever it holds', async t => {
  const text = '{"status":"success","path":"/b","intermediate":{"a":1},"n":12345678901234567890}'
  t.strictSame(reply(inText(text)), [`{"result":${JSON.stringify(text)}}`, 'text'])
  t.strictSame(reply(inText(text), { policy: { keepsResults: true } }), [`{"result":${JSON.stringify(text)}}`, 'text'])
  t.strictSame(reply(inText(text), { shape: 'json' }), [text, 'json'])
  t.strictSame(reply(inText('no JSON'), { shape: 'json' }), ['{"result":"no JSON"}', 'text'])
  t.strictSame(reply(inText(text), { shape: 'mcp' }), [inText(text), 'mcp'])
})

t.test('structuredContent is the reply, and the header names blocks that it does not repeat', async t => {
  const image = ',{"type":"image","data":"aGVsbG8="},{"type":"an odd one"}'
  t.strictSame(reply(both('{"n": 1}', '{ "n":1 , "intermediate":2 }')), ['{ "n":1 , "intermediate":2 }', 'structured text'])
  t.strictSame(reply(both('{"n": 1.0}', '{ "n":1 }')), ['{ "n":1 }', 'structured'], 'the text repeats it')
  t.strictSame(reply(both('see', '{"n":1}', image)), ['{"n":1}', 'structured text image other'])
  t.strictSame(reply(both('{"n":1}', '{"n":1}', image)), ['{"n":1}', 'structured image other'])
  t.strictSame(reply('{"content":[{"type":"image"},{"type":"text","text":"a"}],"isError":true}'), [
    '{"status":"error","error":"a"}', 'text image'
  ])
  t.strictSame(reply(both('{"t":1}', '{"s":1}'), { shape: 'json' }), ['{"t":1}', 'json'])
  t.strictSame(reply('{"content":[{"type":"image"}]}'), ['{"content":[{"type":"image"}]}', 'content'])
})

t.test("MCP's own result is passed on whole, also of a tool that failed", async t => {
  const result = ' {"content":[{"type":"text","text":"a","x":1e400}],' +
    ' "structuredContent":{"n":1.0},"isError":true,"_meta":{}}'
  t.strictSame(reply(result, { shape: 'mcp' }), [result.trim(), 'mcp'])
})

t.test("a chain's own result has no intermediate data, neither in a text nor beside it", async t => {
  const data = '{"status":"success","intermediate":{"rows":[1]},"n":12345678901234567890}'
  const without = '{"status":"success","n":12345678901234567890}'
  t.strictSame(reply(both(data, data), { shape: 'mcp', isChain: true, policy: { keepsResults: true } }), [
    both(without, without), 'mcp intermediate', 'n', 'rows'
  ])
  t.strictSame(reply(both('a', '{"n":1}'), { shape: 'mcp', isChain: true }), [both('a', '{"n":1}'), 'mcp'])
})

t.test('an entry keeps what MCP types, and not what a text holds', async t => {
  const keeps = { policy: { keepsResults: true } }
  const data = '{"status":"success","a":1,"intermediate":{"b":2}}'
  t.strictSame(reply(inText(data), keeps).slice(2), [])
  t.strictSame(reply(both(data, data), keeps).slice(2), ['a', 'intermediate'])
  t.strictSame(reply(both('x', '{"a":1,"jwtToken":"x"}'), keeps).slice(2), ['a'], 'no status is needed')
  t.strictSame(reply(both('x', '{"status":"error","a":1}'), keeps).slice(2), [])
  t.strictSame(reply(both('x', '{"a":1}'), { ...keeps, cacheResults: 'off' }).slice(2), [])
})

t.test('a plain value that FastMCP has wrapped is kept unwrapped, and only a chain replies so', async t => {
  const wraps = { wrapsResult: true, policy: { keepsResults: true } }
  t.strictSame(reply(both('1', '{"result":[1.0]}'), wraps), ['{"result":[1.0]}', 'structured'])
  t.strictSame(reply(both('x', '{"result":{"a":1}}'), wraps), ['{"result":{"a":1}}', 'structured', 'a'])
  const two = ',{"type":"text","text":"2"}'
  t.strictSame(reply(both('1', '{"result":[1.0,2]}', two), { ...wraps, isChain: true }), ['[1.0,2]', 'structured'])
  t.strictSame(reply(both('hello', '{"result":"hello"}'), { ...wraps, isChain: true }), ['{"result":"hello"}', 'structured'])
  t.strictSame(reply(both('x', '{"result":1,"more":2}'), { ...wraps, isChain: true }), [
    '{"result":1,"more":2}', 'structured text'
  ], 'it is no wrap')
})

t.test('a result with more names than may be kept keeps none of them, and passes as it is', async t => {
  const names = (count: number, first = 0) => Array.from({ length: count }, (_, index) => `"n${first + index}":${index}`).join()
  const many = `{"status":"success",${names(11)}}`
  for (const [what, result, options] of [
    ['JSON in a text', inText(many), {}],
    ['structured', structured(many), { isChain: false, cacheResults: 'any' }],
    ['hidden ones', inText(`{"status":"success","intermediate":{${names(11)}}}`), {}],
    ['hidden and visible ones together', inText(`{"status":"success",${names(6)},"intermediate":{${names(5, 6)}}}`), {}],
    ['wrapped', `{"content":[],"structuredContent":{"result":${many}}}`, { wrapsResult: true }],
    ['the whole result of MCP', inText(many), { shape: 'mcp' }],
    ['names with escapes', inText(many.replaceAll('"n', '"\\u006e')), {}],
    ['long names', inText(many.replaceAll('"n', `"${'x'.repeat(10_000)}`)), {}]
  ] as const) {
    const document = readJson(result, 3) as JsonDocument
    const [bounded, free] = [readAll(document, { ...options, maxNames: 10 }), readAll(document, options)]
    t.strictSame([...bounded.outputs], [], what)
    t.strictSame(bounded.tooMany, [...free.outputs.keys()], what)
    t.equal(bounded.tooMany.length, 11, what)
    t.strictSame([bounded.body, bounded.form, bounded.outcome], [free.body, free.form, free.outcome], what)
  }
})

t.test('as many names as may be kept are kept; a name that comes twice is one, and a credential is none', async t => {
  for (const [result, count] of [
    ['{"status":"success","a":1,"b":2}', 2],
    ['{"status":"success","a":1,"b":2,"a":3}', 2],
    ['{"status":"success","a":1,"b":2,"jwtToken":3}', 2],
    ['{"status":"success","a":1,"intermediate":{"a":2,"b":3}}', 2],
    ['{"status":"success","a":1,"intermediate":[1,2,3]}', 2],
    ['{"status":"error","a":1,"b":2,"c":3}', 0]
  ] as const) {
    const { outputs, tooMany } = readAll(readJson(inText(result), 3) as JsonDocument, { maxNames: 2 })
    t.equal(outputs.size, count, result)
    t.strictSame(tooMany, [], result)
  }
})

t.test('the blocks of a result are compared with its value in time that grows as they do', async t => {
  const value = JSON.stringify(Object.fromEntries(Array.from({ length: 2_000 }, (_, index) => [`n${index}`, `text ${index}`])))
  // A look at the value for each of them would take longer than a test may.
  const content = Array.from({ length: 200_000 }, (_, index) => ({ type: 'text', text: `"other ${index}"` }))
  const document = readJson(`{"content":${JSON.stringify(content)},"structuredContent":${value}}`, 3) as JsonDocument
  t.strictSame(readAll(document, { isChain: false }).leftOut, ['text'])
})
