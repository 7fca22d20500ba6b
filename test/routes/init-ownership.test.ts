import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { keptAs } from '../../lib/sessions/values.ts'
import { apiUrl, jwtToken, tokenOf } from '../support/credentials.ts'
import { fixture } from '../support/paths.ts'
import { redisClient } from '../support/redis.ts'
import { call, failure } from '../support/requests.ts'
import { build } from '../support/service.ts'
import { answer, type Api, startApi } from '../support/validation-api.ts'
import { texts } from '../support/session-repository.ts'

const tools = { MCP_SERVERS_FILE: fixture('shared-tool-server.json') }

async function init (
  app: FastifyInstance,
  payload: object,
  headers: Record<string, string> = {}
): Promise<[number, Record<string, unknown>]> {
  const response = await app.inject({ method: 'POST', url: '/init', payload, headers })
  return [response.statusCode, response.json()]
}

const ok: [number, unknown] = [200, { status: 'ok' }]
const taken = (id: string): [number, unknown] => [
  403,
  failure('SESSION_TAKEN', `Session ${id} belongs to another user`)
]

/** What the session's credentials and values are, told by a tool that declares them. */
const received = async (app: FastifyInstance, id: string, tool = 'recall') =>
  (await call(app, id, tool)).json().received

t.test('a session belongs to who opened it', async t => {
  // Tokens of one service are good, and one was withdrawn.
  const bad = tokenOf({ sub: 'ann', withdrawn: true })
  const api: Api = await startApi(t, (body, response) => {
    const isGood = (body as { jwtToken: string }).jwtToken !== bad
    answer(isGood ? 200 : 401, isGood ? { status: 'success' } : { status: 'error', error: 'withdrawn' })(
      body,
      response
    )
  })
  const app = await build(t, { ...tools, MCP_SKIP_VALIDATION: undefined, MCP_API_BASE_URL: api.url })
  const redis = await redisClient(t)
  const stored = (id: string) => redis.hgetall(`${app.config.session.keyPrefix}:${id}`)
  const openFor = async (token: string) => {
    const id = randomUUID()
    t.strictSame(await init(app, { session_id: id, apiUrl, jwtToken: token, name: 'Ann', rows: [1] }), ok)
    return id
  }
  /** Without what any look at it changes. */
  const state = async (id: string) => ({ ...(await stored(id)), last_accessed: undefined })

  t.test('a user who renewed his token goes on with it, and keeps his values', async t => {
    const id = await openFor(tokenOf({ sub: 'ann' }))
    const renewed = tokenOf({ sub: 'ann' })
    const asked = api.requests.length

    t.strictSame(
      await init(app, { session_id: id, apiUrl: 'https://API.example.com:443/', jwtToken: renewed, rows: [2] }),
      ok
    )

    t.strictSame(
      api.requests.slice(asked),
      [{ apiUrl: 'https://API.example.com:443/', jwtToken: renewed }],
      'the API was asked again'
    )
    t.strictSame(JSON.parse((await stored(id)).credentials ?? ''), {
      apiUrl: 'https://API.example.com:443/',
      jwtToken: renewed
    })
    t.strictSame(await received(app, id), { name: 'Ann', rows: [2] })
    t.strictSame(await init(app, { session_id: id, apiUrl: 'https://API.example.com:443/', jwtToken: renewed }), ok)
    t.equal(api.requests.length, asked + 1, 'and then is known')
  })

  t.test('a call that runs while the token is renewed keeps what it gives', async t => {
    const id = await openFor(tokenOf({ sub: 'ann' }))
    const session = await app.sessions.load({ id, client: null })
    await init(app, { session_id: id, apiUrl, jwtToken: tokenOf({ sub: 'ann' }) })
    const origin = { server: 'caller', as: 'put', at: new Date().toISOString() } as const
    t.strictSame(await app.sessions.write(session as never, { values: keptAs(texts({ name: 'of the call' }), origin) }), [])
    t.match(await received(app, id), { name: 'of the call' })
  })

  t.test('another user is refused, and nothing changes', async t => {
    const id = await openFor(tokenOf({ sub: 'ann' }))
    const before = await state(id)
    await redis.expire(`${app.config.session.keyPrefix}:${id}`, 50)
    const others = [
      { jwtToken: tokenOf({ sub: 'bob' }) },
      { jwtToken: tokenOf({ sub: 'ann', iss: 'https://other.example.com' }) },
      { jwtToken: tokenOf({}) },
      { jwtToken: tokenOf({ sub: '' }) },
      { jwtToken: tokenOf({ sub: ['ann'] }) },
      { jwtToken },
      { jwtToken: tokenOf({ sub: 'ann' }), apiUrl: 'https://other.example.com' },
      { jwtToken: tokenOf({ sub: 'ann' }), apiUrl: `${apiUrl}/tenant` }
    ]
    for (const other of others) { t.strictSame(await init(app, { session_id: id, apiUrl, name: 'Bob', ...other }), taken(id)) }
    t.strictSame(await state(id), before)
    t.ok((await redis.ttl(`${app.config.session.keyPrefix}:${id}`)) <= 50, 'not even its time')
  })

  t.test('credentials that are not good are refused as such, whoever they are of, and nothing changes', async t => {
    const id = await openFor(tokenOf({ sub: 'ann' }))
    const before = await state(id)
    t.strictSame(await init(app, { session_id: id, apiUrl, jwtToken: bad, name: 'Bob' }), [
      401,
      failure('INVALID_CREDENTIALS', 'withdrawn')
    ])
    t.strictSame(await state(id), before)
  })

  t.test('a token that does not say whose it is is its own user', async t => {
    const id = await openFor(jwtToken)
    t.strictSame(await init(app, { session_id: id, apiUrl, jwtToken }), ok)
    t.strictSame(await init(app, { session_id: id, apiUrl, jwtToken: 'another.opaque.token' }), taken(id))
    t.strictSame(
      await init(app, { session_id: id, apiUrl: `${apiUrl}/`, jwtToken }),
      ok,
      'the same token for the same API'
    )
  })

  t.test('of two users who open one id at once, one has it', async t => {
    const id = randomUUID()
    const tokens = Array.from({ length: 8 }, (_, user) => tokenOf({ sub: `user-${user}` }))
    const answers = await Promise.all(tokens.map(token => init(app, { session_id: id, apiUrl, jwtToken: token })))
    t.equal(answers.filter(([status]) => status === 200).length, 1)
    t.equal(answers.filter(([status]) => status === 403).length, 7)
    const owner = tokens[answers.findIndex(([status]) => status === 200)]
    t.equal(JSON.parse((await stored(id)).credentials ?? '').jwtToken, owner)
  })

  t.test("a session of the Flask service is its user's, too", async t => {
    const id = randomUUID()
    const token = tokenOf({ sub: 'ann' })
    const key = `${app.config.session.keyPrefix}:${id}`
    await redis.set(
      key,
      JSON.stringify({ session_id: id, apiUrl, jwtToken: token, name: 'Ann', created_at: '2026-01-01T00:00:00Z' }),
      'EX',
      60
    )
    t.strictSame(await init(app, { session_id: id, apiUrl, jwtToken: tokenOf({ sub: 'bob' }) }), taken(id))
    t.equal(await redis.type(key), 'string', 'untouched')
    t.strictSame(await init(app, { session_id: id, apiUrl, jwtToken: tokenOf({ sub: 'ann' }), rows: [1] }), ok)
    t.strictSame(await received(app, id), { name: 'Ann', rows: [1] })
  })

  t.test('after its end an id is free for anybody', async t => {
    const id = await openFor(tokenOf({ sub: 'ann' }))
    await app.inject({ method: 'POST', url: '/shutdown', payload: { session_id: id } })
    t.strictSame(await init(app, { session_id: id, apiUrl, jwtToken: tokenOf({ sub: 'bob' }) }), ok)
    t.strictSame(await received(app, id), {})
  })
})

t.test('with MCP_SESSION_TOKENS=required', async t => {
  const app = await build(t, { ...tools, MCP_SESSION_TOKENS: 'required' })
  const bearer = (token: unknown) => ({ authorization: `Bearer ${String(token)}` })
  const open = async (headers = {}, fields = {}) =>
    await init(app, { session_id: 'one', apiUrl, jwtToken, ...fields }, headers)
  const list = async (headers = {}) => {
    const response = await app.inject({ method: 'POST', url: '/tools', payload: { session_id: 'one' }, headers })
    return [response.statusCode, response.json()]
  }
  const unknown = [409, failure('SESSION_NOT_FOUND', 'Session one not found or expired. Please run /init first.')]

  const [status, { session_token: token }] = await open({}, { name: 'Ann' })
  t.equal(status, 200)
  t.match(token, /^[\w-]{43}$/)

  t.test('every later request needs the token, and a wrong one is like an unknown session', async t => {
    t.equal((await list(bearer(token)))[0], 200)
    t.equal((await list({ authorization: `bearer  ${String(token)}` }))[0], 200, 'the scheme is not case-sensitive')
    for (const headers of [
      {},
      bearer('wrong'),
      bearer(`${String(token)}x`),
      { authorization: String(token) },
      { authorization: `Basic ${String(token)}` }
    ]) {
      t.strictSame(await list(headers), unknown)
      t.strictSame(
        (await app.inject({ url: '/session', headers: { ...headers, 'x-session-id': 'one' } })).json(),
        unknown[1]
      )
    }
    const shutdown = await app.inject({
      method: 'POST',
      url: '/shutdown',
      payload: { session_id: 'one' },
      headers: bearer('wrong')
    })
    t.strictSame(shutdown.json(), { status: 'ok', message: 'Session one shut down.' }, 'as of one that was not there')
    t.equal((await list(bearer(token)))[0], 200, 'and it is there still')
  })

  t.test('opened again by its owner: who shows the token keeps it, who does not gets a new one', async t => {
    t.strictSame(await open(bearer(token)), [200, { status: 'ok', session_token: token }])
    const [, { session_token: next }] = await open()
    t.match(next, /^[\w-]{43}$/)
    t.not(next, token)
    t.strictSame(await list(bearer(token)), unknown)
    t.equal((await list(bearer(next)))[0], 200)
    const recalled = await app.inject({
      method: 'POST',
      url: '/call-tool',
      payload: { session_id: 'one', tool: 'recall' },
      headers: bearer(next)
    })
    t.strictSame(recalled.json().received, { name: 'Ann' }, 'the values are kept')
    t.equal((await open({}, { jwtToken: tokenOf({ sub: 'bob' }) }))[0], 403, 'and nobody else gets one')
  })

  t.test('its token ends it', async t => {
    const [, { session_token: token }] = await open()
    const ended = await app.inject({
      method: 'DELETE',
      url: '/session',
      headers: { ...bearer(token), 'x-session-id': 'one' }
    })
    t.equal(ended.statusCode, 200)
    t.strictSame(await list(bearer(token)), unknown)
  })

  t.test('a session that was opened before tokens were asked for is opened again by its owner', async t => {
    const before = await build(t, { ...tools, MCP_SESSION_KEY_PREFIX: app.config.session.keyPrefix })
    await init(before, { session_id: 'two', apiUrl, jwtToken, name: 'Ann' })
    const recall = (headers: Record<string, string>) =>
      app.inject({ method: 'POST', url: '/call-tool', payload: { session_id: 'two', tool: 'recall' }, headers })
    t.equal((await recall({})).statusCode, 409)
    const [, { session_token: token }] = await init(app, { session_id: 'two', apiUrl, jwtToken })
    t.strictSame((await recall(bearer(token))).json().received, { name: 'Ann' })
  })
})
