import t from 'tap'
import { apiUrl, credentialBytes, jwtToken } from '../support/credentials.ts'
import { fixture } from '../support/paths.ts'
import { call, failure } from '../support/requests.ts'
import { build } from '../support/service.ts'
import { answer, startApi } from '../support/validation-api.ts'

const tools = { MCP_SERVERS_FILE: fixture('shared-tool-server.json') }
const opening = (payload: object, headers = {}) => ({ method: 'POST' as const, url: '/sessions', payload, headers })

t.test('a session is opened under an id that is made here', async t => {
  const app = await build(t, tools)
  const ids = new Set<string>()
  for (let time = 0; time < 3; time++) {
    const response = await app.inject(opening({ apiUrl, jwtToken, name: 'Ann' }))
    t.equal(response.statusCode, 201)
    const { session_id: id, ...rest } = response.json()
    t.strictSame(rest, { status: 'ok' })
    t.match(id, /^[\w-]{32}$/, '24 random bytes')
    ids.add(id)
    t.strictSame((await call(app, id, 'recall')).json().received, { name: 'Ann' })
  }
  t.equal(ids.size, 3)
})

t.test('with tokens it gives one', async t => {
  const app = await build(t, { ...tools, MCP_SESSION_TOKENS: 'required' })
  const { session_id: id, session_token: token } = (await app.inject(opening({ apiUrl, jwtToken }))).json()
  const list = (headers: Record<string, string>) =>
    app.inject({ method: 'POST', url: '/tools', payload: { session_id: id }, headers })
  t.equal((await list({ authorization: `Bearer ${String(token)}` })).statusCode, 200)
  t.equal((await list({})).statusCode, 409)
})

t.test('what is wrong is said as /init says it', async t => {
  const api = await startApi(t, answer(401, { status: 'error', error: 'unknown user' }))
  const app = await build(t, { ...tools, MCP_SKIP_VALIDATION: undefined, MCP_API_BASE_URL: api.url })
  const refused = async (payload: object, headers = {}) => {
    const response = await app.inject(opening(payload, headers))
    return [response.statusCode, response.json()]
  }
  t.strictSame(await refused({ apiUrl }), [400, failure('MISSING_FIELD', 'Missing apiUrl or jwtToken')])
  t.strictSame(await refused({ apiUrl, jwtToken: 1 }), [400, failure('INVALID_FIELD', 'jwtToken must be a string')])
  const ownId = [400, failure('INVALID_FIELD', 'session_id must be absent: the service makes the id')]
  t.strictSame(await refused({ apiUrl, jwtToken, session_id: 'mine' }), ownId)
  t.strictSame(await refused({ apiUrl, jwtToken }, { 'x-session-id': 'mine' }), ownId)
  t.strictSame(await refused({ apiUrl, jwtToken }), [401, failure('INVALID_CREDENTIALS', 'unknown user')])
})

t.test('what does not fit is named', async t => {
  const app = await build(t, { ...tools, MCP_SESSION_MAX_BYTES: String(100 + credentialBytes()) })
  for (const url of ['/sessions', '/init']) {
    const response = await app.inject({
      method: 'POST',
      url,
      payload: { ...(url === '/init' && { session_id: 'one' }), apiUrl, jwtToken, rows: 'x'.repeat(200), name: 'Ann' }
    })
    t.equal(response.headers['x-mcp-not-cached'], 'rows')
  }
  t.strictSame((await call(app, 'one', 'recall')).json().received, { name: 'Ann' })
  const again = await app.inject({
    method: 'POST',
    url: '/init',
    payload: { session_id: 'one', apiUrl, jwtToken, name: 'x'.repeat(200) }
  })
  t.equal(again.headers['x-mcp-not-cached'], 'name')
  t.strictSame((await call(app, 'one', 'recall')).json().received, {})
})
