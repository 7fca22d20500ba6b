import t from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { redisClient } from '../support/redis.ts'
import { call, callFailure, failure, initSession } from '../support/requests.ts'
import { build } from '../support/service.ts'

const limit = { MCP_MAX_PARAMETERS: '5' }
const fields = (count: number, name = 'field') =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`${name}${index}`, index]))

t.test('a call with too many parameters is refused, and none of them is kept', async t => {
  const app = await build(t, limit)
  const redis = await redisClient(t)
  const session = await initSession(app)
  t.equal((await call(app, session, 'echo', fields(5))).statusCode, 200)

  const response = await call(app, session, 'echo', fields(6, 'other'))
  t.equal(response.statusCode, 400)
  t.strictSame(response.json(), callFailure('INVALID_FIELD', 'params must be an object with at most 5 parameters'))
  const kept = (await redis.hkeys(`${app.config.session.keyPrefix}:${session}`)).filter(name => name.startsWith('p:'))
  t.strictSame(kept.sort(), Object.keys(fields(5)).map(name => `p:${name}`))
})

t.test('an /init with too many further fields opens no session', async t => {
  const app = await build(t, limit)
  const opening = (count: number) => app.inject({
    method: 'POST', url: '/sessions', payload: { apiUrl, jwtToken, ...fields(count) }
  })
  t.strictSame([(await opening(6)).statusCode, (await opening(5)).statusCode], [400, 201], 'and so has /sessions')
  const init = (count: number) => app.inject({
    method: 'POST', url: '/init', payload: { session_id: 'a', apiUrl, jwtToken, ...fields(count) }
  })

  const response = await init(6)
  t.equal(response.statusCode, 400)
  t.strictSame(response.json(), failure('INVALID_FIELD', 'body must be an object with at most 5 further fields'))
  t.equal((await app.inject({ method: 'POST', url: '/tools', payload: { session_id: 'a' } })).statusCode, 409)
  t.equal((await init(5)).statusCode, 200)
})

t.test('other faults are refused as before', async t => {
  const app = await build(t, limit)
  const session = await initSession(app)
  t.strictSame(
    (await call(app, session, 'echo', Array(6).fill(0))).json(),
    callFailure('INVALID_PARAMS', 'params must be a dictionary')
  )
  t.equal((await call(app, session, 'echo', null)).statusCode, 200)
  t.strictSame(
    (await app.inject({ method: 'POST', url: '/call-tool', payload: '[1,2,3,4,5,6]' })).json(),
    callFailure('BODY_NOT_OBJECT', 'The body must be a JSON object')
  )
})

t.test('the default limit is a thousand', async t => {
  const app = await build(t)
  const session = await initSession(app)
  t.equal((await call(app, session, 'echo', fields(1_000))).statusCode, 200)
  t.equal((await call(app, session, 'echo', fields(1_001))).statusCode, 400)
})
