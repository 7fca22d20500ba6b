import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { redisClient } from '../support/redis.ts'
import { callFailure, failure, initSession } from '../support/requests.ts'
import { build } from '../support/service.ts'

async function shutdown (
  app: FastifyInstance,
  payload: unknown,
  headers: Record<string, string> = {}
): Promise<[number, unknown]> {
  const response = await app.inject({ method: 'POST', url: '/shutdown', payload: payload as object, headers })
  return [response.statusCode, response.json()]
}

const done = (id: string): [number, unknown] => [200, { status: 'ok', message: `Session ${id} shut down.` }]

t.test('a session that was shut down is gone, with everything it held', async t => {
  const app = await build(t)
  const redis = await redisClient(t)
  const session = await initSession(app, { text: 'kept' })
  t.strictSame(await shutdown(app, { session_id: session }), done(session))

  t.strictSame(
    await redis.keys(`*${app.config.session.keyPrefix}*`),
    [`mcp_audit:${app.config.session.keyPrefix}`],
    'nor is there an index of it'
  )
  const response = await app.inject({
    method: 'POST',
    url: '/call-tool',
    payload: { session_id: session, tool: 'echo' }
  })
  t.equal(response.statusCode, 409)
  t.strictSame(
    response.json(),
    callFailure('SESSION_NOT_FOUND', `Session ${session} not found or expired. Please run /init first.`)
  )

  await app.inject({ method: 'POST', url: '/init', payload: { session_id: session, apiUrl, jwtToken } })
  const anew = await app.inject({ method: 'POST', url: '/call-tool', payload: { session_id: session, tool: 'echo' } })
  t.strictSame(anew.json(), { jwtToken }, 'a new one under its id knows nothing of it')
})

t.test('another session is left alone', async t => {
  const app = await build(t)
  const [one, other] = [await initSession(app), await initSession(app)]
  await shutdown(app, { session_id: one })
  t.equal((await app.inject({ method: 'POST', url: '/tools', payload: { session_id: other } })).statusCode, 200)
})

t.test('shutting down what is not there answers the same', async t => {
  const app = await build(t)
  const session = await initSession(app)
  t.strictSame(await shutdown(app, { session_id: session }), done(session))
  t.strictSame(await shutdown(app, { session_id: session }), done(session))
  t.strictSame(await shutdown(app, { session_id: 'never there' }), done('never there'))
})

t.test('the id may be an integer, or come in the header, in any script', async t => {
  const app = await build(t)
  const redis = await redisClient(t)
  const open = (id: string | number) =>
    app.inject({ method: 'POST', url: '/init', payload: { session_id: id, apiUrl, jwtToken } })
  await open(42)
  t.strictSame(await shutdown(app, { session_id: 42 }), done('42'))
  for (const id of ['会话', 'plain', '7']) {
    await open(id)
    t.strictSame(await shutdown(app, {}, { 'x-session-id': Buffer.from(id).toString('latin1') }), done(id))
  }
  await open('bodiless')
  t.strictSame(await shutdown(app, undefined, { 'x-session-id': 'bodiless' }), done('bodiless'))
  t.strictSame(await redis.keys(`${app.config.session.keyPrefix}:*`), [])
})

t.test('what cannot be read is removed, too', async t => {
  const app = await build(t)
  const redis = await redisClient(t)
  const id = randomUUID()
  await redis.rpush(`${app.config.session.keyPrefix}:${id}`, 'foreign')
  t.strictSame(await shutdown(app, { session_id: id }), done(id))
  t.equal(await redis.exists(`${app.config.session.keyPrefix}:${id}`), 0)
})

t.test('refused requests', async t => {
  const app = await build(t)
  for (const body of [{}, { session_id: null }, { session_id: '' }, undefined]) {
    t.strictSame(await shutdown(app, body), [400, failure('MISSING_FIELD', 'Missing session_id')])
  }
  for (const id of ['x'.repeat(257), 'a\nb', '\uD800', 1.5, false, ['a'], {}]) {
    t.strictSame(await shutdown(app, { session_id: id }), [
      400,
      failure(
        'INVALID_FIELD',
        'session_id must be a string of 1 to 256 characters without control characters, or an integer'
      )
    ])
  }
  t.strictSame(await shutdown(app, { session_id: 'a' }, { 'x-session-id': 'b' }), [
    400,
    failure('BAD_REQUEST', 'session_id and the header x-session-id name different sessions')
  ])
})
