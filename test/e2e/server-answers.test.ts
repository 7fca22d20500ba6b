import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { cases } from '../support/cases.ts'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { call, initSession, postTo } from '../support/requests.ts'
import {
  resultText, type Script, type Scripted, startScripted, textResult, type Transport, transports
} from '../support/scripted-server.ts'
import { serviceOn } from '../support/service.ts'

/*
 * Answers that real servers give and that strict clients refuse. Each must be used as far as anybody could use it, at
 * once: the deadline of every call here is longer than the test may take.
 */

interface Expected {
  title: string
  script: Script
  /** The reply's body, or how the sentence of the failure begins. */
  reply: string
}

const answered = (title: string, answer: Scripted, reply = wellBody): Expected =>
  ({ title, script: { 'tools/call': answer }, reply })
const wellBody = '{"result":"well"}'
const content = '"content":[{"type":"text","text":"well"}]'
const well = textResult('well')
const withResult = (members: string, result = `{${content}}`) => `{${members}"result":${result}}`
const withMembers = (members: string) => `{"jsonrpc":"2.0","id":$ID${members}}`
const notUsable = 'MCP server up gave an answer to tool echo that cannot be used'
const digitsLine =
  '{"jsonrpc":"2.0","method":"notifications/message","params":{ "level":"info", "data":{"n":1e400} }}'
const infoLine = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}'

const nullFields = [
  answered('isError is null', resultText(`{${content},"isError":null}`)),
  answered('_meta is null', resultText(`{${content},"_meta":null}`)),
  answered('structuredContent is null', resultText(`{${content},"structuredContent":null}`)),
  answered('fields of a block are null', resultText(
    '{"content":[{"type":"text","text":"well","annotations":null,"_meta":null}]}'
  )),
  answered('error is null beside a result', withMembers(`,"result":{${content}},"error":null`)),
  answered('error is an empty object beside a result', withMembers(`,"result":{${content}},"error":{}`)),
  answered(
    'result is null beside an error',
    withMembers(',"result":null,"error":{"code":-32603,"message":"it broke"}'), 'it broke'
  ),
  answered('content is null', resultText('{"content":null}'), '{"content":[]}')
]

const errors = [
  answered(
    'the error\'s code is text',
    withMembers(',"error":{"code":"-32602","message":"no such value"}'),
    'no such value'
  ),
  answered('the error is a text', withMembers(',"error":"it broke"'), 'it broke'),
  answered(
    'the error has no message',
    withMembers(',"error":{"code":-32603,"data":"x"}'), '{"status":"error","error":"{\\"code\\":-32603,\\"data\\":\\"x\\"}"}'
  ),
  answered('a result without a use', withMembers(',"result":"well"'), notUsable),
  answered('a result that is null', withMembers(',"result":null'), notUsable),
  answered('neither result nor error', withMembers(''), notUsable)
]

const hologram = '{"content":[{"type":"hologram","shape":[1,2]}]}'
const linkedImage = '{"content":[{"type":"image","data":"https://example.com/a.png"}]}'
const nameless = '{"content":[{"text":"well"}]}'

const unknownFields = [
  answered('an unknown kind of block', resultText(hologram), hologram),
  answered('an image whose data is a URL', resultText(linkedImage), linkedImage),
  answered('a block without a type', resultText(nameless), nameless),
  answered('structuredContent that is an array', resultText('{"content":[],"structuredContent":[1, 2]}'), '[1, 2]'),
  answered('unknown fields of a result', resultText(`{${content},"cost":{"tokens":7}}`)),
  answered('no content at all', resultText('{}'), '{"content":[]}'),
  answered('content is one block and no list', resultText('{"content":{"type":"text","text":"well"}}'))
]

const envelopes = [
  answered('the id comes back as text', withResult('"jsonrpc":"2.0","id":"$ID",')),
  answered('the id comes back as 7.0', withResult('"jsonrpc":"2.0","id":$ID.0,')),
  answered('the id comes back as null', withResult('"jsonrpc":"2.0","id":null,')),
  answered('no id comes back', withResult('"jsonrpc":"2.0",')),
  answered('an id that is another one\'s', withResult('"jsonrpc":"2.0","id":"another",')),
  answered('no jsonrpc', withResult('"id":$ID,')),
  answered('jsonrpc is a number', withResult('"jsonrpc":2.0,"id":$ID,')),
  answered('a byte order mark', `\ufeff${well}`),
  answered('a batch of one', `[${well}]`),
  answered('a batch with a notification', `[${infoLine},${well}]`),
  answered('an answer in two pieces', [well.slice(0, 30), well.slice(30)])
]

const numbers = [
  answered(
    'numbers that are none',
    textResult('{"status":"success","mean":NaN,"max":-Infinity,"n":12345678901234567890}'),
    '{"status":"success","mean":null,"max":null,"n":12345678901234567890}'
  ),
  answered(
    'numbers that are none, structured',
    resultText('{"content":[],"structuredContent":{"mean":NaN,"n":1e400}}'), '{"mean":null,"n":1e400}'
  ),
  answered('a text that only looks like one', textResult('NaN'), '{"result":"NaN"}')
]

const nulls = '{"protocolVersion":null,"serverInfo":null,"capabilities":null,"instructions":null}'
const handshakes: Expected[] = [
  { title: 'a handshake of nothing', script: { initialize: resultText('{}') }, reply: wellBody },
  { title: 'a handshake of nothing but nulls', script: { initialize: resultText(nulls) }, reply: wellBody },
  {
    title: 'a handshake with a version that nobody knows',
    script: { initialize: resultText('{"protocolVersion":"1.0","capabilities":{"tools":null}}') },
    reply: wellBody
  },
  {
    title: 'a tool without a schema',
    script: { 'tools/list': resultText('{"tools":[{"name":"echo"}]}') },
    reply: wellBody
  }
]

/** Digits, orders and white space that no parser may touch. */
const untouched = [
  '{"status": "success", "n": 1915883588174806058, "x": 1e400, "y": 1.50, "z": -0.0}',
  '[1.0,  2e0, 12345678901234567890123]',
  '{"b":1,"a":2,"1":3,"0":4}',
  '{"a":1,"a":2}',
  '"\\u00e9\\/ \\ud83d\\ude00"',
  '1915883588174806058',
  ' {"deep":[[[[{"n":9007199254740993}]]]]}\t'
]

/** A server's answer that shows what it got. */
const echoed = resultText('{"content":[],"structuredContent":$PARAMS}')

for (const transport of cases(transports, 2)) {
  t.test(`over ${transport}`, async t => {
    const { service, session, server } = await start(t, transport)

    for (const { title, script, reply } of [
      ...nullFields, ...errors, ...unknownFields, ...envelopes, ...numbers, ...handshakes
    ]) {
      await t.test(title, async t => {
        await server.play(script)
        const response = await call(service, session, 'echo')
        if (/^[[{]/.test(reply)) t.equal(response.body, reply)
        else t.equal(response.json<{ error: string }>().error.slice(0, reply.length), reply)
      })
    }

    await t.test('a caller gets what a tool answers, to the character', async t => {
      for (const text of [...untouched, '\n{\r\n"a" : 1e400\t}\n']) {
        await server.play({ 'tools/call': textResult(text) })
        t.equal((await call(service, session, 'echo')).body, text)
      }
      for (const text of untouched) {
        await server.play({ 'tools/call': resultText(`{"content":[],"structuredContent":${text}}`) })
        t.equal((await call(service, session, 'echo')).body, text.trim())
      }
    })

    await t.test('a list of more values than a message may have is no matter where nobody needs them', async t => {
      const list = `[${Array.from({ length: 600_000 }, (_, index) => index % 10).join(',')}]`
      for (const text of [list, `{"list":${list}}`]) {
        await server.play({ 'tools/call': textResult(text) })
        t.ok((await call(service, session, 'echo')).body === text, 'in a text')
        await server.play({ 'tools/call': resultText(`{"content":[],"structuredContent":${text}}`) })
        t.ok((await call(service, session, 'echo')).body === text, 'in structured content')
      }
    })

    await t.test('a tool gets what a caller sends, to the character', async t => {
      await server.play({ 'tools/call': echoed })
      for (const text of untouched) {
        const sent = `{ "value" : ${text} }`
        const { body } = await callWithText(service, session, sent)
        t.equal(body, `{"name":"echo","arguments":${sent}}`)
      }
      const lines = '{\n  "value": 1e400\n}'
      // A message over stdio is one line.
      const written = transport === 'stdio' ? lines.replaceAll('\n', ' ') : lines
      t.equal((await callWithText(service, session, lines)).body, `{"name":"echo","arguments":${written}}`)
    })

    await t.test('a value that a tool gave fills a later call, to the character', async t => {
      for (const text of untouched) {
        await server.play({ 'tools/call': textResult(`{"status":"success","value":${text}}`) })
        await call(service, session, 'echo')
        await server.play({ 'tools/call': echoed })
        t.equal((await call(service, session, 'echo')).body, `{"name":"echo","arguments":{"value":${text.trim()}}}`)
      }
    })

    await t.test('what /init brings fills a call, to the character, and so does a credential', async t => {
      const declared = '{"properties":{"value":{},"unit":{}}}'
      const server = await startScripted(t, transport, {
        'tools/list': resultText(`{"tools":[{"name":"echo","inputSchema":${declared}}]}`), 'tools/call': echoed
      })
      const service = await serviceOn(t, { up: server.entry }, { MCP_SENSITIVE_PARAMS: 'apiUrl,jwtToken,unit' })
      const fields = `"apiUrl":"${apiUrl}","jwtToken":"${jwtToken}","unit":1915883588174806058,"value":[ 1e400 ]`
      const opened = await service.inject({ method: 'POST', url: '/init', payload: `{"session_id":"s",${fields}}` })
      t.equal(opened.statusCode, 200)
      const { body } = await call(service, 's', 'echo')
      t.equal(body, '{"name":"echo","arguments":{"value":[ 1e400 ],"unit":1915883588174806058}}')
    })

    await t.test('a log message passes as it was written', async t => {
      await server.play({ 'tools/call': `[${digitsLine},${well}]` })
      const { body } = await service.inject({
        method: 'POST',
        url: '/call-tool',
        headers: { accept: 'text/event-stream' },
        payload: { session_id: session, tool: 'echo' }
      })
      t.match(body, 'event: log\ndata: { "level":"info", "data":{"n":1e400} }\n\n')
    })

    await t.test('a call whose server could not list its tools has not acted', async t => {
      await server.play({ 'tools/list': withMembers(',"error":{"code":-32603,"message":"it broke"}') })
      const response = await call(service, session, 'other')
      t.match([response.statusCode, response.json()], [502, { code: 'MCPC_ERR_MCP_CALL', acted: 'no' }])
    })

    await t.test('the text around intermediate data stays', async t => {
      const result = '{"status": "success", "intermediate": {"rows": [1, 2]}, "n": 12345678901234567890 }'
      for (const answer of [textResult(result), resultText(`{"content":[],"structuredContent":${result}}`)]) {
        await server.play({ 'tools/call': answer })
        t.equal((await call(service, session, 'echo')).body, '{"status": "success", "n": 12345678901234567890 }')
      }
    })

    await t.test('one odd tool costs that tool at most, and none is listed twice', async t => {
      const described = '"required":null,"properties":{"n":{"maximum":1915883588174806058}}'
      await server.play({
        'tools/list': resultText(`{"tools":[null,7,{"title":"x"},{"name":"a"},
          {"name":"b","inputSchema":null,"annotations":null},{"name":"c","inputSchema":{}},
          {"name":"d","inputSchema":{"type":"object",${described}},"note":"ours"},{"name":"a"}],"nextCursor":""}`
          .replaceAll('\n', ' '))
      })
      const { tools, warnings } = await listTools(service, session)
      t.strictSame(tools, [
        '{"name":"a","inputSchema":{"type":"object"}}',
        '{"name":"b","inputSchema":{"type":"object"}}',
        '{"name":"c","inputSchema":{}}',
        '{"name":"d","inputSchema":{"type":"object","properties":{"n":{"maximum":1915883588174806058}}},"note":"ours"}'
      ])
      t.strictSame(warnings, {
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
      const { tools } = await listTools(service, session)
      t.strictSame(tools.map(tool => (JSON.parse(tool) as { name: string }).name), ['a', 'b', 'c'])
      for (const cursor of ['null', '""']) {
        await server.play({ 'tools/list': page('a', `,"nextCursor":${cursor}`) })
        t.equal((await listTools(service, session)).tools.length, 1, cursor)
      }
    })

    await t.test('a server is asked for lists that it did not declare', async t => {
      for (const capabilities of ['{}', 'null', '{"prompts":null}']) {
        await server.play({
          initialize: resultText(`{"protocolVersion":"2025-11-25","capabilities":${capabilities}}`),
          'prompts/list': resultText('{"prompts":[{"name":"p"}]}'),
          'resources/templates/list': withMembers(',"error":{"code":-32000,"message":"never heard of it"}')
        })
        const list = async (path: string) => (await postTo(service, path, { session_id: session })).body
        t.equal(await list('/prompts'), '{"prompts":[{"name":"p"}]}')
        t.equal(await list('/resources'), '{"resources":[]}')
        t.equal(await list('/resource-templates'), '{"resourceTemplates":[]}')
      }
    })

    await t.test('resources, prompts and completions pass as their server wrote them', async t => {
      const contents = '[ {"uri":"x:1","text":"1","size":1e400} ]'
      await server.play({
        'resources/read': resultText(`{"contents":${contents},"_meta":null}`),
        'prompts/get': resultText('{"description":null,"messages":[{"role":"user","content":{"n":1.50}}]}'),
        'completion/complete': resultText('{"completion":{"values":["a"],"total":12345678901234567890}}')
      })
      const read = async () => (await postTo(service, '/read-resource', { session_id: session, uri: 'x:1' })).body
      const get = async () => (await postTo(service, '/get-prompt', { session_id: session, name: 'p' })).body
      t.equal(await read(), `{"contents":${contents}}`)
      t.equal(await get(), '{"messages":[{"role":"user","content":{"n":1.50}}]}')
      const { body } = await postTo(service, '/complete', {
        session_id: session, ref: { type: 'ref/prompt', name: 'p' }, argument: { name: 'a', value: '' }
      })
      t.equal(body, '{"completion":{"values":["a"],"total":12345678901234567890}}')

      await server.play({
        'resources/read': resultText('{"contents":null}'),
        'prompts/get': resultText('{"description":"d","messages":{"role":"user"}}')
      })
      t.equal(await read(), '{"contents":[]}')
      t.equal(await get(), '{"description":"d","messages":[{"role":"user"}]}')
    })
  })
}

async function start (t: Test, transport: Transport) {
  const server = await startScripted(t, transport)
  const service = await serviceOn(t, { up: server.entry }, { MCP_TOOLS_CACHE_TTL: '0' })
  return { server, service, session: await initSession(service) }
}

/** Calls the tool with arguments that are sent as they are. */
const callWithText = (service: FastifyInstance, session: string, params: string) => service.inject({
  method: 'POST', url: '/call-tool', payload: `{"session_id":"${session}","tool":"echo","params":${params}}`
})

/** The tools as they are listed now, each as the text that came. */
async function listTools (service: FastifyInstance, session: string) {
  const { body } = await postTo(service, '/tools', { session_id: session })
  const { warnings } = JSON.parse(body) as { warnings?: unknown }
  const list = /^\{"tools":\[(.*?)\],"workflow_guidance"/s.exec(body)?.[1] ?? ''
  return { tools: list === '' ? [] : list.split(/(?<=\}),(?=\{"name")/), warnings }
}
