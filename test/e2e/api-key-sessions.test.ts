import { createHash } from 'node:crypto'
import t from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { fixture } from '../support/paths.ts'
import { redisClient } from '../support/redis.ts'
import { callFailure, failure } from '../support/requests.ts'
import { build } from '../support/service.ts'

const hash = (text: string) => createHash('sha256').update(text).digest('hex')
const keys = { billing: 'mcpk_billing', billingNext: 'mcpk_billing-next', chat: 'mcpk_chat' }
const env = {
  MCP_SERVERS_FILE: fixture('shared-tool-server.json'),
  MCP_CLIENT_API_KEYS: `billing:${hash(keys.billing)},billing:${hash(keys.billingNext)},chat:${hash(keys.chat)}`
}

t.test('what one API key opened another one does not see, and cannot end', async t => {
  const app = await build(t, env)
  const send = async (key: string, url: string, body: object, headers: Record<string, string> = {}) => {
    const response = await app.inject({
      method: 'POST',
      url,
      payload: { session_id: 'one', ...body },
      headers: { 'x-api-key': key, ...headers }
    })
    return [response.statusCode, response.json()]
  }
  const recall = (key: string) => send(key, '/call-tool', { tool: 'recall' })
  const notFound = ['SESSION_NOT_FOUND', 'Session one not found or expired. Please run /init first.'] as const
  const unknown = [409, failure(...notFound)]
  await send(keys.billing, '/init', { apiUrl, jwtToken, name: 'of billing' })

  t.match(await recall(keys.billingNext), [200, { received: { name: 'of billing' } }], 'another key of the same name')
  t.strictSame(await recall(keys.chat), [409, callFailure(...notFound)])
  t.strictSame(await send(keys.chat, '/tools', {}), unknown)
  t.match(await send(keys.chat, '/shutdown', {}), [200, { status: 'ok' }])
  t.match(await recall(keys.billing), [200, { received: { name: 'of billing' } }])

  t.match(
    await send(keys.chat, '/init', { apiUrl, jwtToken: 'other.opaque.token', name: 'of chat' }),
    [200, { status: 'ok' }],
    'its own, under the same id'
  )
  t.match(await recall(keys.chat), [200, { received: { name: 'of chat' } }])
  t.match(await recall(keys.billing), [200, { received: { name: 'of billing' } }])
  const redis = await redisClient(t)
  t.strictSame(
    (await redis.keys(`${app.config.session.keyPrefix}:*`)).sort(),
    ['billing', 'chat'].map(name => `${app.config.session.keyPrefix}:${name}:one`)
  )
  const health = await app.inject({ url: '/health', headers: { 'x-api-key': keys.chat } })
  t.equal(health.json().sessions, 2)
})

t.test('with tokens, the key goes in its own header and the token in Authorization', async t => {
  const app = await build(t, { ...env, MCP_SESSION_TOKENS: 'required' })
  const { session_id: id, session_token: token } = (
    await app.inject({
      method: 'POST',
      url: '/sessions',
      payload: { apiUrl, jwtToken },
      headers: { 'x-api-key': keys.chat }
    })
  ).json()
  const list = async (headers: Record<string, string>) =>
    (await app.inject({ method: 'POST', url: '/tools', payload: { session_id: id }, headers })).statusCode
  t.equal(await list({ 'x-api-key': keys.chat, authorization: `Bearer ${String(token)}` }), 200)
  t.equal(await list({ 'x-api-key': keys.billing, authorization: `Bearer ${String(token)}` }), 409)
  t.equal(await list({ 'x-api-key': keys.chat }), 409)
  t.equal(await list({ authorization: `Bearer ${String(token)}` }), 401)
})

t.test('an API key may have so many sessions open', async t => {
  const app = await build(t, { ...env, MCP_MAX_SESSIONS_PER_KEY: '2' })
  const open = (key: string) =>
    app.inject({ method: 'POST', url: '/sessions', payload: { apiUrl, jwtToken }, headers: { 'x-api-key': key } })
  for (const status of [201, 201, 429]) t.equal((await open(keys.chat)).statusCode, status)
  const refused = await open(keys.chat)
  t.strictSame(
    refused.json(),
    failure('TOO_MANY_SESSIONS', 'API key chat has 2 sessions open, the most it may have', { retryable: true })
  )
  t.equal(refused.headers['retry-after'], '1')
  t.equal((await open(keys.billing)).statusCode, 201)
})
