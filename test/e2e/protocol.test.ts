import t, { type Test } from 'tap'
import { call, initSession, postTo } from '../support/requests.ts'
import { resultText, type Script, startScripted, textResult, type Transport, transports } from '../support/scripted-server.ts'
import { serviceOn } from '../support/service.ts'

/*
 * What the service sends, as its servers see it. docs/protocol.md says which demand of the specification each test
 * holds.
 */

const modern = { 'server/discover': resultText('{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}') }
const echoParams = resultText('{"content":[],"structuredContent":$PARAMS}')

async function start (t: Test, transport: Transport, script: Script, settings: Record<string, string> = {}) {
  const server = await startScripted(t, transport, script)
  const service = await serviceOn(t, { up: server.entry }, { MCP_TOOLS_CACHE_TTL: '0', ...settings })
  return { server, service, session: await initSession(service) }
}

for (const transport of transports) {
  t.test(`over ${transport}`, async t => {
    await t.test('each request of 2026 says its version, its client and its capabilities', async t => {
      for (const [elicitation, capabilities] of [['off', {}], ['on', { elicitation: { form: {}, url: {} } }]] as const) {
        const script = { ...modern, 'tools/call': echoParams }
        const { service, session } = await start(t, transport, script, { MCP_ELICITATION: elicitation })
        const { _meta } = (await call(service, session, 'echo')).json<{ _meta: Record<string, unknown> }>()
        t.strictSame(_meta, {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientInfo': { name: 'mcp-client-service', version: '0.1.0' },
          'io.modelcontextprotocol/clientCapabilities': {
            ...capabilities, extensions: { 'io.modelcontextprotocol/tasks': {} }
          }
        })
      }
    })

    await t.test('a request of an older era has no such fields', async t => {
      const { service, session } = await start(t, transport, { 'tools/call': echoParams })
      t.equal((await call(service, session, 'echo')).body, '{"name":"echo","arguments":{}}')
    })

    await t.test('a message is one line, whatever line breaks the caller sends', async t => {
      const { service, session } = await start(t, transport, { 'tools/call': echoParams })
      const response = await service.inject({
        method: 'POST',
        url: '/call-tool',
        payload: `{"session_id":"${session}","tool":"echo","params":{\n"value":\r\n"a\\nb"\n}\n}`
      })
      t.strictSame(response.json(), { name: 'echo', arguments: { value: 'a\nb' } })
    })

    await t.test('a tool whose headers break a rule is not listed, and the listing says why', async t => {
      const tool = (name: string, header: unknown, type = 'string') =>
        `{"name":"${name}","inputSchema":{"type":"object","properties":{"p":{"type":"${type}","x-mcp-header":${JSON.stringify(header)}}}}}`
      const tools = [tool('good', 'Region'), tool('spaced', 'Re gion'), tool('typed', 'Region', 'number'), tool('empty', '')]
      const { service, session } = await start(t, transport, {
        ...modern, 'tools/list': resultText(`{"tools":[${tools.join(',')}]}`)
      })
      const list = (await postTo(service, '/tools', { session_id: session })).json<Listing>()
      t.strictSame(list.tools.map(({ name }) => name), ['good'])
      t.match(list.warnings?.up, [/spaced/, /typed/, /empty/])
    })

    await t.test('a server\'s state comes back to it to the character, and only when it gave one', async t => {
      const state = '{ "n": 12345678901234567890,"s":"\\u00e9" }'
      for (const given of [state, '"opaque"']) {
        const { server, service, session } = await start(t, transport, {
          ...modern, 'tools/call': resultText(`{"resultType":"input_required","requestState":${given}}`)
        })
        const refused = await call(service, session, 'echo')
        t.equal(refused.statusCode, 502, 'it never gives more than its state')
        await server.play({
          ...modern,
          'tools/call': resultText(`{"resultType":"input_required","requestState":${given}}`),
          'tools/call+state': echoParams
        })
        const response = await call(service, session, 'echo')
        t.ok(response.body.includes(`"requestState":${given}`), response.body)
        await server.play({ ...modern, 'tools/call': echoParams })
        t.notMatch((await call(service, session, 'echo')).body, /requestState|inputResponses/)
      }
    })

    await t.test('a resource that does not exist is 404, by either code', async t => {
      for (const code of ['-32002', '-32602', '"-32002"']) {
        const { service, session } = await start(t, transport, {
          'resources/read': `{"jsonrpc":"2.0","id":$ID,"error":{"code":${code},"message":"no such thing"}}`
        })
        const response = await postTo(service, '/read-resource', { session_id: session, uri: 'file:///gone' })
        t.match([response.statusCode, response.json()], [404, { code: 'MCPC_ERR_UNKNOWN_RESOURCE' }], code)
      }
    })

    await t.test('an address that a person must visit is 202, and the call goes on then', async t => {
      const elicitation = '{"mode":"url","elicitationId":"pay-1","url":"https://pay.example.com/1","message":"Please pay"}'
      const asks = `{"jsonrpc":"2.0","id":$ID,"error":{"code":-32042,"message":"pay first","data":{"elicitations":[${elicitation}]}}}`
      const { server, service, session } = await start(t, transport, { 'tools/call': asks }, { MCP_ELICITATION: 'on' })
      const response = await call(service, session, 'echo')
      const body = response.json<{ status: string, requests: unknown[], continue: string }>()
      t.equal(response.statusCode, 202)
      t.strictSame(body.requests, [{ id: 'pay-1', method: 'elicitation/create', params: JSON.parse(elicitation) as unknown }])
      await server.play({ 'tools/call': echoParams })
      const paid = await postTo(service, '/call-tool', { session_id: session, continue: body.continue, responses: {} })
      t.equal(paid.body, '{"name":"echo","arguments":{}}', 'a server of an older era is asked anew')
    })

    await t.test('a capability that this service lacks has a code of its own, and the tool has not acted', async t => {
      const { service, session } = await start(t, transport, {
        ...modern, 'tools/call': '{"jsonrpc":"2.0","id":$ID,"error":{"code":-32021,"message":"sampling is required"}}'
      })
      const response = await call(service, session, 'echo')
      t.match([response.statusCode, response.json()], [502, { code: 'MCPC_ERR_MCP_CAPABILITY', acted: 'no' }])
    })
  })
}

t.test('each request is one POST, with the headers that the specification asks for', async t => {
  const headersOf = async (script: Script, tool = 'echo') => {
    const { service, session } = await start(t, 'http', {
      'tools/list': resultText(`{"tools":[{"name":${JSON.stringify(tool)},"inputSchema":{"type":"object"}}]}`),
      ...script,
      'tools/call': textResult('$HEADERS')
    })
    return (await call(service, session, tool)).json<Record<string, string>>()
  }
  t.match(await headersOf(modern), {
    accept: 'application/json, text/event-stream',
    'content-type': 'application/json',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': 'echo',
    'user-agent': /^mcp-client-service\/\d/
  })
  t.match(await headersOf(modern, 'écho'), { 'mcp-name': '=?base64?w6ljaG8=?=' })
  const older = await headersOf({})
  t.match(older, {
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2025-11-25',
    'mcp-session-id': 'scripted-session'
  })
  t.notMatch(older, { 'mcp-method': String })
})

const trace = {
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', tracestate: 'a=1', baggage: 'user=7'
}

for (const transport of transports) {
  t.test(`the caller's trace context goes to a server over ${transport}, and baggage where its entry says so`, async t => {
    for (const baggage of [true, false]) {
      for (const script of [{}, modern]) {
        const server = await startScripted(t, transport, { ...script, 'tools/call': echoParams })
        const service = await serviceOn(t, { up: { ...server.entry, baggage } })
        const session = await initSession(service)
        const payload = { session_id: session, tool: 'echo' }
        const send = () => service.inject({ method: 'POST', url: '/call-tool', headers: trace, payload })
        const { baggage: own, ...always } = trace
        const wanted = { ...always, ...(baggage && { baggage: own }) }
        const { _meta } = (await send()).json<{ _meta: object }>()
        t.match(_meta, wanted)
        t.equal('baggage' in _meta, baggage)
        if (transport === 'stdio') continue
        await server.play({ ...script, 'tools/call': textResult('$HEADERS') })
        const headers = (await send()).json<object>()
        t.match(headers, wanted)
        t.equal('baggage' in headers, baggage)
      }
    }
  })
}

interface Listing { tools: Array<{ name: string }>, warnings?: Record<string, string[]> }
