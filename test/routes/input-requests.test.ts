import t, { type Test } from 'tap'
import { failure, initSession, postTo } from '../support/requests.ts'
import { resultText, startScripted, type Transport, transports } from '../support/scripted-server.ts'
import { serviceOn } from '../support/service.ts'

const capabilities = '{"tools":{},"resources":{},"prompts":{}}'
const discover = resultText(`{"supportedVersions":["2026-07-28"],"capabilities":${capabilities}}`)
const form = '{"method":"elicitation/create", "params":{"message":"Which?","requestedSchema":{"maximum":1e400}}}'
/** The state is JSON of any kind, and goes back as it came. */
const asks = resultText(
  `{"resultType":"input_required","inputRequests":{"colour":${form}},"requestState":"s\\u00e9 1.0"}`
)

/** Both endpoints, the result that each gives in the end, and the list in it that shows what the server got. */
const endpoints = [
  {
    path: '/read-resource',
    method: 'resources/read',
    request: { uri: 'x:1' },
    result: '{"resultType":"complete","contents":[$PARAMS]}',
    field: 'contents'
  },
  {
    path: '/get-prompt',
    method: 'prompts/get',
    request: { name: 'p', arguments: { a: '1' } },
    result: '{"resultType":"complete","messages":[$PARAMS]}',
    field: 'messages'
  }
] as const

async function start (t: Test, transport: Transport, env: Record<string, string> = {}) {
  const server = await startScripted(t, transport)
  const service = await serviceOn(t, { up: server.entry }, { MCP_ELICITATION: 'on', ...env })
  return { server, service, session: await initSession(service) }
}

const unknown = failure(
  'UNKNOWN_CONTINUATION',
  'No pending call has this token: it was used, newer calls replaced it, or it belongs to another session'
)

for (const transport of transports) {
  for (const { path, method, request, result, field } of endpoints) {
    t.test(`${path} is answered 202 when its server requests input, and goes on, over ${transport}`, async t => {
      const { server, service, session } = await start(t, transport)
      await server.play({ 'server/discover': discover, [method]: asks, [`${method}+state`]: resultText(result) })

      const asked = await postTo(service, path, { session_id: session, ...request })
      t.equal(asked.statusCode, 202)
      const { continue: token } = asked.json<{ continue: string }>()
      t.equal(asked.body, '{"status":"input_required","requests":[{"id":"colour","method":"elicitation/create",' +
        `"params":{"message":"Which?","requestedSchema":{"maximum":1e400}}}],"continue":"${token}"}`)

      const responses = '{"colour": {"action":"accept","content":{"n":1915883588174806058}}}'
      const goOn = (session: string) => service.inject({
        method: 'POST', url: path, payload: `{"session_id":"${session}","continue":"${token}","responses":${responses}}`
      })
      t.strictSame((await goOn(await initSession(service))).json(), unknown, 'a session has its own tokens')
      const wrong = { session_id: session, continue: token }
      const others = ['/call-tool', ...endpoints.map(({ path }) => path)].filter(other => other !== path)
      for (const other of others) {
        t.match((await postTo(service, other, wrong)).json(), unknown, `it means nothing to ${other}`)
      }

      const answered = await goOn(session)
      t.equal(answered.statusCode, 200)
      const [got] = answered.json<Record<string, Array<Record<string, unknown>>>>()[field] ?? []
      t.match(got, { ...request, requestState: 'sé 1.0' })
      t.ok(answered.body.includes(`"inputResponses":${responses}`), answered.body)
      t.ok(answered.body.includes('"requestState":"s\\u00e9 1.0"'), answered.body)
      t.strictSame((await goOn(session)).json(), unknown, 'a token works once')
    })
  }
}

t.test('without MCP_ELICITATION a server that requests input fails', async t => {
  const { server, service, session } = await start(t, 'http', { MCP_ELICITATION: 'off' })
  await server.play({ 'server/discover': discover, 'resources/read': asks, 'prompts/get': asks })
  for (const { path, request } of endpoints) {
    const response = await postTo(service, path, { session_id: session, ...request })
    t.match([response.statusCode, response.json()], [502, {
      error: /^MCP server up requested input for (resource x:1|prompt p), although it was told that it gets none$/
    }])
  }
})

t.test('what must be in the body is said', async t => {
  const { service, session } = await start(t, 'stdio')
  const missing = { '/read-resource': 'Missing session_id or uri', '/get-prompt': 'Missing session_id or name' }
  for (const { path } of endpoints) {
    t.strictSame((await postTo(service, path, { session_id: session })).json(), failure('MISSING_FIELD', missing[path]))
    t.strictSame((await postTo(service, path, { session_id: session, continue: 'none' })).json(), unknown)
    t.strictSame(
      (await postTo(service, path, { session_id: session, continue: 'none', responses: { a: 1 } })).json(),
      failure('INVALID_FIELD', 'responses.a must be object')
    )
  }
})
