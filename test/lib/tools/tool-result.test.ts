import fc from 'fast-check'
import t from 'tap'
import { readJson } from '../../../lib/json-text.ts'
import { readToolResult, type ToolResultOptions } from '../../../lib/tools/tool-result.ts'

/** What is made of a result, which is given as the text that a server wrote. */
function read (result: string, options: Partial<ToolResultOptions> = {}) {
  const document = readJson(result, 3)
  if (document === null) throw new Error(`${result} is no JSON`)
  const all = { tool: 'act', cacheResults: 'success', sensitiveParams: ['jwtToken'], ...options } as const
  const { body, outcome, outputs } = readToolResult({ document, node: document.root }, all)
  return { body, outcome, outputs: Object.fromEntries(outputs) }
}

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
