import t from 'tap'
import { apiUrl, tokenOf } from '../support/credentials.ts'
import { fixture } from '../support/paths.ts'
import { redisClient } from '../support/redis.ts'
import { failure } from '../support/requests.ts'
import { build } from '../support/service.ts'
import { answer, startApi } from '../support/validation-api.ts'

const tools = { MCP_SERVERS_FILE: fixture('shared-tool-server.json') }

t.test('credentials that were withdrawn get no token for the session that they opened', async t => {
  let verdict = answer(200, { status: 'success' })
  const api = await startApi(t, (body, response) => verdict(body, response))
  const app = await build(t, {
    ...tools, MCP_SESSION_TOKENS: 'required', MCP_SKIP_VALIDATION: undefined, MCP_API_BASE_URL: api.url
  })
  const redis = await redisClient(t)
  const stored = async (id: string) => ({
    ...await redis.hgetall(`${app.config.session.keyPrefix}:${id}`), last_accessed: undefined
  })
  const jwtToken = tokenOf({ sub: 'ann' })
  const init = async (id: string, token?: string) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    return await app.inject({ method: 'POST', url: '/init', headers, payload: { session_id: id, apiUrl, jwtToken } })
  }
  const isGood = async (id: string, token: string) => (await app.inject({
    method: 'POST', url: '/tools', headers: { authorization: `Bearer ${token}` }, payload: { session_id: id }
  })).statusCode === 200

  const first = (await init('one')).json().session_token
  const other = (await init('two')).json().session_token
  const second = (await init('one')).json().session_token
  t.notOk(await isGood('one', first), 'a caller without the token got another one, once the API had been asked')
  const asked = api.requests.length
  t.equal((await init('one', second)).json().session_token, second, 'who has the token keeps it')
  t.equal(api.requests.length, asked, 'and the API is not asked')

  for (const [what, refusal, expected] of [
    ['withdrawn', answer(401, { status: 'error', error: 'withdrawn' }), [401, failure('INVALID_CREDENTIALS', 'withdrawn')]],
    ['refused with 200', answer(200, { status: 'error', error: 'gone' }), [401, failure('INVALID_CREDENTIALS', 'gone')]],
    ['without a verdict', answer(500, {}), [502]]
  ] as const) {
    verdict = refusal
    const before = await stored('one')
    for (const token of [undefined, '', 'wrong', first, other, `${second}x`]) {
      const response = await init('one', token)
      t.equal(response.statusCode, expected[0], `${what}, ${token}`)
      if (expected[1] !== undefined) t.strictSame(response.json(), expected[1])
      t.notOk('session_token' in response.json())
    }
    t.strictSame(await stored('one'), before, 'nothing changes')
    t.ok(await isGood('one', second))
    t.equal((await init('one', second)).statusCode, 200, 'who has the token goes on')
  }
})

t.test('credentials are bounded, and the one that is too long is named', async t => {
  const app = await build(t, {
    ...tools, MCP_SENSITIVE_PARAMS: 'tenant,unit', MCP_SESSION_MAX_CREDENTIAL_BYTES: '2000'
  })
  const redis = await redisClient(t)
  const session = { apiUrl, jwtToken: 'a.b.c', tenant: 'canary', unit: 'canary' }
  for (const url of ['/init', '/sessions']) {
    const open = async (fields: object) => {
      const payload = { ...session, ...fields, ...(url === '/init' && { session_id: 'one' }) }
      return await app.inject({ method: 'POST', url, payload })
    }
    for (const [field, fields] of [
      ['jwtToken', { jwtToken: `a.${'b'.repeat(3_000)}.c` }],
      ['tenant', { tenant: 'ü'.repeat(1_000) }], // bytes and not characters
      ['unit', { unit: { deep: ['x'.repeat(1_500)] }, tenant: 'x'.repeat(600) }], // together
      ['apiUrl', { apiUrl: `${apiUrl}/${'x'.repeat(2_000)}` }]
    ] as const) {
      const response = await open(fields)
      const rule = 'shorter: the credentials of a session have at most 2000 bytes together'
      t.strictSame([response.statusCode, response.json()], [400, failure('INVALID_FIELD', `${field} must be ${rule}`)])
    }
    t.equal(await redis.exists(`${app.config.session.keyPrefix}:one`), 0)
    t.equal((await open({ note: 'x'.repeat(5_000) })).statusCode, url === '/init' ? 200 : 201, 'values have their own')
    await redis.del(`${app.config.session.keyPrefix}:one`)
  }
})
