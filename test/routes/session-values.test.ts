import t from 'tap'
import { credentialBytes, jwtToken } from '../support/credentials.ts'
import { redisClient } from '../support/redis.ts'
import { failure, initSession, openSession } from '../support/requests.ts'
import { build, listen } from '../support/service.ts'
import { deleteValue, putValues, startValuesServers, taking } from '../support/values-servers.ts'

t.test('a value that is put in fills calls of a server that takes values of callers', async t => {
  const { app, received } = await startValuesServers(t, {
    chain: { entry: { values: 'chain' }, tools: [taking('use', ['a', 'b'])] },
    own: { entry: { values: { fill: 'declared' } }, tools: [taking('use', ['a'])] }
  })
  const session = await initSession(app, { a: 'of /init' })
  const text = '{"a":{"n":12345678901234567890},"b":null,"__x__":1}'
  const response = await app.inject({
    method: 'PUT', url: '/session/values', headers: { 'x-session-id': session }, payload: text
  })
  t.strictSame([response.statusCode, response.json()], [200, { status: 'ok' }])
  t.strictSame(await received(session, 'chain__use'), { a: { n: Number('12345678901234567890') }, b: null })
  t.strictSame(await received(session, 'own__use'), {})
  const stored = await (await redisClient(t)).hget(`${app.config.session.keyPrefix}:${session}`, 'p:a')
  t.equal(stored, '{"n":12345678901234567890}')
  const { values } = (await app.inject({ url: '/session', headers: { 'x-session-id': session } })).json()
  t.match(values.find(({ name }: { name: string }) => name === 'a'), { server: 'caller', as: 'put', at: /Z$/ })

  t.strictSame((await deleteValue(app, session, 'a')).json(), { status: 'ok', removed: 1 })
  t.strictSame((await deleteValue(app, session, 'a')).json(), { status: 'ok', removed: 0 })
  t.strictSame(await received(session, 'chain__use'), { b: null })
})

t.test('a value of a server is taken out, whatever it is called', async t => {
  const { app, received } = await startValuesServers(t, {
    one: { entry: { values: 'chain' }, tools: [taking('use', ['a/b c%', 'x'.repeat(300)])] }
  })
  const session = await initSession(app)
  const params = { 'a/b c%': 1, ['x'.repeat(300)]: 2 }
  await received(session, 'use', params)
  t.strictSame(await received(session, 'use'), params)
  for (const name of Object.keys(params)) t.strictSame((await deleteValue(app, session, name)).json().removed, 1, name)
  t.strictSame(await received(session, 'use'), {})
})

t.test('credentials are refused, and a body with one changes nothing', async t => {
  const app = await build(t)
  const session = await initSession(app)
  const refused = failure('INVALID_FIELD', 'jwtToken must be absent: it is a credential, which /init sets')
  t.strictSame((await putValues(app, session, { a: 1, jwtToken: 'mine' })).json(), refused)
  t.strictSame((await deleteValue(app, session, 'jwtToken')).json(), refused)
  const described = (await app.inject({ url: '/session', headers: { 'x-session-id': session } })).json()
  t.strictSame(described.values, [])
  t.notOk(JSON.stringify(described).includes(jwtToken))
})

t.test('a request that is wrong is refused for what is wrong', async t => {
  const app = await build(t, { MCP_MAX_PARAMETERS: '2', MCP_SESSION_MAX_BYTES: String(20 + credentialBytes()) })
  const session = await initSession(app)
  const refusals: Array<[unknown, object]> = [
    [[], failure('BODY_NOT_OBJECT', 'The body must be a JSON object')],
    [{ a: 1, b: 2, c: 3 }, failure('INVALID_FIELD', 'body must be an object with at most 2 further fields')],
    [{ session_id: 'x' }, failure(
      'INVALID_FIELD', 'session_id must be absent: the id is in the header X-Session-Id'
    )]
  ]
  for (const [body, expected] of refusals) t.strictSame((await putValues(app, session, body)).json(), expected)
  t.equal((await putValues(app, 'nobody', { a: 1 })).statusCode, 409)
  t.equal((await deleteValue(app, 'nobody', 'a')).statusCode, 409)
  const noId = await app.inject({ method: 'PUT', url: '/session/values', payload: { a: 1 } })
  t.strictSame(noId.json(), failure('MISSING_FIELD', 'Missing X-Session-Id'))
  const large = await putValues(app, session, { large: 'x'.repeat(50), a: 1 })
  t.strictSame([large.statusCode, large.headers['x-mcp-not-cached']], [200, 'large'])
  const other = await app.inject({ url: '/session/values', headers: { 'x-session-id': session } })
  t.strictSame([other.statusCode, other.headers.allow], [405, 'PUT'])
})

t.test('a value that the operator gives to a tool is changed by /init only, unless it is writable', async t => {
  const tool = (name: string, writable: boolean) => ({
    entry: {
      values: { keep: 'both' },
      tools: { use: { arguments: { tenant: { value: name, from: 'caller', writable } } } }
    },
    tools: [taking('use', ['tenant', name])]
  })
  const { app, received, change } = await startValuesServers(t, { a: tool('tenant', false), b: tool('locale', true) })
  const session = await initSession(app, { tenant: 'north', locale: 'de' })
  for (const response of [await putValues(app, session, { x: 1, tenant: 's' }), await deleteValue(app, session, 'tenant')]) {
    t.equal(response.statusCode, 403)
    t.match(response.json(), { code: 'MCPC_ERR_VALUE_NOT_WRITABLE', error: /tenant/ })
  }
  t.equal((await putValues(app, session, { locale: 'fr' })).statusCode, 200)
  t.strictSame(await received(session, 'a__use'), { tenant: 'north' })
  t.strictSame(await received(session, 'b__use'), { tenant: 'fr' })

  // A value that was put in before the operator read it from there is no value of /init.
  await change({ a: { tools: [] }, b: tool('locale', false) })
  const refused = await app.inject({
    method: 'POST', url: '/call-tool', payload: { session_id: session, tool: 'b__use' }
  })
  t.match(refused.json(), { code: 'MCPC_ERR_MISSING_VALUE' })
})

t.test('a caller cannot choose an argument of the operator by way of another tool', async t => {
  const { app, received, post } = await startValuesServers(t, {
    one: {
      entry: {
        values: { keep: 'both', fill: 'declared' },
        tools: { use: { arguments: { account: { value: 'account' } } } }
      },
      tools: [
        taking('login', ['account'], { gives: { account: 'ann' } }), taking('other', ['account']),
        taking('use', ['account'])
      ]
    }
  })
  const session = await initSession(app)
  t.equal((await post(session, 'use')).statusCode, 409)
  await received(session, 'login')
  await received(session, 'other', { account: 'bob' })
  t.strictSame(await received(session, 'use'), { account: 'ann' })
  t.equal((await deleteValue(app, session, 'account')).statusCode, 403)
})

t.test('each change has a line in the audit log, without what it holds', async t => {
  const service = await listen(t)
  const id = await openSession(service)
  const headers = { 'x-session-id': id }
  await fetch(`${service.url}/session/values`, { method: 'PUT', headers, body: '{"name":"a secret value"}' })
  await fetch(`${service.url}/session/values/name`, { method: 'DELETE', headers })
  const lines = service.output().split('\n').filter(line => line.includes('"event":"values"'))
  t.equal(lines.length, 2)
  t.notMatch(service.output(), 'a secret value')
})
