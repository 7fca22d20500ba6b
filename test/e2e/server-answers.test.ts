import t, { type Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import { call, initSession, postTo } from '../support/requests.ts'
import { serviceOn } from '../support/service.ts'
import {
  resultText, type Script, type Scripted, startScripted, textResult, type Transport, transports
} from '../support/scripted-server.ts'

/*
 * Answers that real servers give and that strict clients refuse. Each must be used as far as anybody could use it, and
 * at once: the deadline of every call here is longer than the test may take.
 */

interface Called { title: string, script: Script, body: string }

const answered = (title: string, answer: Scripted, body: string): Called => ({ title, script: { 'tools/call': answer }, body })
const well = textResult('well')
const wellBody = '{"result":"well"}'
const envelope = (members: string) => `{"jsonrpc":"2.0","id":$ID${members}}`
const content = '"content":[{"type":"text","text":"well"}]'

const results: Called[] = [
  answered('isError is null', resultText(`{${content},"isError":null}`), wellBody),
  answered('_meta is null', resultText(`{${content},"_meta":null}`), wellBody),
  answered('structuredContent is null', resultText(`{${content},"structuredContent":null}`), wellBody),
  answered('annotations of a block are null', resultText('{"content":[{"type":"text","text":"well","annotations":null,"_meta":null}]}'), wellBody),
  answered('error is null beside a result', envelope(`,"result":{${content}},"error":null`), wellBody),
  answered('error is an empty object beside a result', envelope(`,"result":{${content}},"error":{}`), wellBody),
  answered('result is null beside an error', envelope(',"result":null,"error":{"code":-32603,"message":"it broke"}'),
    'MCP server up answered tool echo with an error: it broke'),
  answered('the error\'s code is text', envelope(',"error":{"code":"-32602","message":"no such value"}'), 'Tool echo refused its arguments: no such value'),
  answered('the error is a text', envelope(',"error":"it broke"'), 'MCP server up answered tool echo with an error: it broke'),
  answered('the error has no message', envelope(',"error":{"code":-32603,"data":"x"}'), 'MCP server up answered tool echo with an error: {"code":-32603,"data":"x"}'),
  answered('an unknown kind of block', resultText('{"content":[{"type":"hologram","shape":[1,2]}]}'), '{"content":[{"type":"hologram","shape":[1,2]}]}'),
  answered('an image whose data is a URL', resultText('{"content":[{"type":"image","data":"https://example.com/a.png"}]}'),
    '{"content":[{"type":"image","data":"https://example.com/a.png"}]}'),
  answered('structuredContent that is an array', resultText('{"content":[],"structuredContent":[1, 2]}'), '[1, 2]'),
  answered('a block without a type', resultText('{"content":[{"text":"well"}]}'), '{"content":[{"text":"well"}]}'),
  answered('unknown fields of a result', resultText(`{${content},"cost":{"tokens":7}}`), wellBody),
  answered('no content at all', resultText('{}'), '{"content":[]}'),
  answered('content is null', resultText('{"content":null}'), '{"content":[]}'),
  answered('content is one block and no list', resultText('{"content":{"type":"text","text":"well"}}'), wellBody),
  answered('the id comes back as text', '{"jsonrpc":"2.0","id":"$ID","result":{"content":[{"type":"text","text":"well"}]}}', wellBody),
  answered('the id comes back as 7.0', '{"jsonrpc":"2.0","id":$ID.0,"result":{"content":[{"type":"text","text":"well"}]}}', wellBody),
  answered('the id comes back as null', '{"jsonrpc":"2.0","id":null,"result":{"content":[{"type":"text","text":"well"}]}}', wellBody),
  answered('no id comes back', '{"jsonrpc":"2.0","result":{"content":[{"type":"text","text":"well"}]}}', wellBody),
  answered('an id that is another one\'s', '{"jsonrpc":"2.0","id":"another","result":{"content":[{"type":"text","text":"well"}]}}', wellBody),
  answered('no jsonrpc', '{"id":$ID,"result":{"content":[{"type":"text","text":"well"}]}}', wellBody),
  answered('jsonrpc is a number', '{"jsonrpc":2.0,"id":$ID,"result":{"content":[{"type":"text","text":"well"}]}}', wellBody),
  answered('a byte order mark', `\ufeff${well}`, wellBody),
  answered('a batch of one', `[${well}]`, wellBody),
  answered('a batch with a notification', `[{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}},${well}]`, wellBody),
  answered('an answer in two pieces, split in a character', [well.slice(0, 30), well.slice(30)], wellBody),
  answered('numbers that are none', textResult('{"status":"success","mean":NaN,"max":-Infinity,"n":12345678901234567890}'),
    '{"status":"success","mean":null,"max":null,"n":12345678901234567890}'),
  answered('numbers that are none, structured', resultText('{"content":[],"structuredContent":{"mean":NaN,"n":1e400}}'), '{"mean":null,"n":1e400}'),
  answered('a result without a use', envelope(',"result":"well"'), 'MCP server up gave an answer to tool echo that cannot be used'),
  answered('a result that is null', envelope(',"result":null'), 'MCP server up gave an answer to tool echo that cannot be used'),
  answered('neither result nor error', envelope(''), 'MCP server up gave an answer to tool echo that cannot be used'),
  { title: 'a handshake without version, serverInfo and capabilities', script: { initialize: resultText('{}') }, body: wellBody },
  { title: 'a handshake of nothing but nulls', script: { initialize: resultText('{"protocolVersion":null,"serverInfo":null,"capabilities":null,"instructions":null}') }, body: wellBody },
  { title: 'a handshake with a version that nobody knows', script: { initialize: resultText('{"protocolVersion":"1.0","capabilities":{"tools":null}}') }, body: wellBody },
  { title: 'a tool without a schema', script: { 'tools/list': resultText('{"tools":[{"name":"echo"}]}') }, body: wellBody }
]

/** The digits, spaces and orders that no parser may touch. */
const untouched = [
  '{"status": "success", "n": 1915883588174806058, "x": 1e400, "y": 1.50, "z": -0.0}',
  '[1.0,  2e0, 12345678901234567890123]',
  '{"b":1,"a":2,"1":3,"0":4}',
  '{"a":1,"a":2}',
  '"\\u00e9\\/ \\ud83d\\ude00"',
  '1915883588174806058',
  ' {"deep":[[[[{"n":9007199254740993}]]]]} '
]

for (const transport of transports) {
  t.test(`over ${transport}`, async t => {
    const { service, session, server } = await start(t, transport)

    for (const { title, script, body } of results) {
      await t.test(title, async t => {
        await server.play(script)
        const response = await call(service, session, 'echo')
        if (body.startsWith('{') || body.startsWith('[')) t.equal(response.body, body)
        else t.equal(response.json<{ error: string }>().error.slice(0, body.length), body)
      })
    }

    await t.test('what a tool answers is what its caller gets, to the character', async t => {
      for (const text of [...untouched, '\n{\r\n"a" : 1e400\t}\n']) {
        await server.play({ 'tools/call': textResult(text) })
        t.equal((await call(service, session, 'echo')).body, text)
      }
      for (const text of untouched) {
        await server.play({ 'tools/call': resultText(`{"content":[],"structuredContent":${text}}`) })
        t.equal((await call(service, session, 'echo')).body, text.trim())
      }
    })

    await t.test('what a caller sends is what the tool gets, to the character', async t => {
      await server.play({ 'tools/call': resultText('{"content":[],"structuredContent":$PARAMS}') })
      for (const text of untouched) {
        const response = await service.inject({
          method: 'POST', url: '/call-tool', payload: `{"session_id":"${session}","tool":"echo","params":{ "value" : ${text} }}`
        })
        t.equal(response.body, `{"name":"echo","arguments":{ "value" : ${text} }}`)
      }
    })

    await t.test('what a tool gave fills a later call, to the character', async t => {
      for (const text of untouched) {
        await server.play({ 'tools/call': textResult(`{"status":"success","value":${text}}`) })
        await call(service, session, 'echo')
        await server.play({ 'tools/call': resultText('{"content":[],"structuredContent":$PARAMS}') })
        t.equal((await call(service, session, 'echo')).body, `{"name":"echo","arguments":{"value":${text.trim()}}}`)
      }
    })

    await t.test('where intermediate data is left out, the rest stays', async t => {
      await server.play({ 'tools/call': textResult('{"status": "success", "intermediate": {"rows": [1, 2]}, "n": 12345678901234567890 }') })
      t.equal((await call(service, session, 'echo')).body, '{"status": "success", "n": 12345678901234567890 }')
    })

    await t.test('one odd tool costs that tool at most, and none is listed twice', async t => {
      const withDigits = '"inputSchema":{"type":"object","required":null,"properties":{"n":{"maximum":1915883588174806058}}}'
      const tools = [
        'null', '7', '{"title":"x"}', '{"name":"a"}', '{"name":"b","inputSchema":null,"annotations":null}',
        '{"name":"c","inputSchema":{}}', `{"name":"d",${withDigits},"note":"ours"}`, '{"name":"a"}'
      ]
      await server.play({ 'tools/list': resultText(`{"tools":[${tools.join(',')}],"nextCursor":""}`) })
      const list = await listNow(service, session)
      t.strictSame(list.tools, [
        '{"name":"a","inputSchema":{"type":"object"}}',
        '{"name":"b","inputSchema":{"type":"object"}}',
        '{"name":"c","inputSchema":{}}',
        '{"name":"d","inputSchema":{"type":"object","properties":{"n":{"maximum":1915883588174806058}}},"note":"ours"}'
      ])
      t.strictSame(list.warnings, {
        up: ['tools[0] is no object but null', 'tools[1] is no object but a number', 'tools[2] has no name']
      })
    })

    await t.test('pages end at a cursor that is null, empty, or came before', async t => {
      const page = (name: string, rest: string) => resultText(`{"tools":[{"name":"${name}"}]${rest}}`)
      await server.play({
        'tools/list': page('a', ',"nextCursor":"one"'),
        'tools/list#one': page('b', ',"nextCursor":"two"'),
        'tools/list#two': page('c', ',"nextCursor":"one"')
      })
      const named = async () => (await listNow(service, session)).tools.map(tool => /"name":"(\w)"/.exec(tool)?.[1])
      t.strictSame(await named(), ['a', 'b', 'c'])
      for (const end of ['null', '""']) {
        await server.play({ 'tools/list': page('a', `,"nextCursor":${end}`) })
        t.strictSame(await named(), ['a'])
      }
    })

    await t.test('lists that a server did not declare are asked for', async t => {
      for (const capabilities of ['{}', 'null', '{"prompts":null}']) {
        await server.play({
          initialize: resultText(`{"protocolVersion":"2025-11-25","capabilities":${capabilities}}`),
          'prompts/list': resultText('{"prompts":[{"name":"p"}]}'),
          'resources/templates/list': '{"jsonrpc":"2.0","id":$ID,"error":{"code":-32000,"message":"never heard of it"}}'
        })
        t.equal((await postTo(service, '/prompts', { session_id: session })).body, '{"prompts":[{"name":"p"}]}')
        t.equal((await postTo(service, '/resources', { session_id: session })).body, '{"resources":[]}')
        t.equal(
          (await postTo(service, '/resource-templates', { session_id: session })).body, '{"resourceTemplates":[]}'
        )
      }
    })
  })
}

async function start (t: Test, transport: Transport) {
  const server = await startScripted(t, transport)
  const service = await serviceOn(t, { up: server.entry }, { MCP_TOOLS_CACHE_TTL: '0' })
  const session = await initSession(service)
  return { server, service, session }
}

/** The tools as they are listed now, each as the text that came. */
async function listNow (service: FastifyInstance, session: string) {
  const { body } = await postTo(service, '/tools', { session_id: session })
  const { warnings } = JSON.parse(body) as { warnings?: unknown }
  const list = /^\{"tools":\[(.*?)\],"workflow_guidance"/s.exec(body)?.[1] ?? ''
  return { tools: list === '' ? [] : list.split(/(?<=\}),(?=\{"name")/), warnings }
}
