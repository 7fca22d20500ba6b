import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { fixture } from '../support/paths.ts'
import { isGiven, redisClient } from '../support/redis.ts'
import { call, failure } from '../support/requests.ts'
import { build } from '../support/service.ts'

const toolServer = { MCP_SERVERS_FILE: fixture('shared-tool-server.json') }

async function init (
  app: FastifyInstance,
  payload: unknown,
  headers: Record<string, string> = {}
): Promise<[number, unknown]> {
  const response = await app.inject({ method: 'POST', url: '/init', payload: payload as object, headers })
  return [response.statusCode, response.json()]
}

/** What Redis holds at a session's key; the id's own client, since nobody else needs it. */
async function stored (t: Test, app: FastifyInstance, id: string) {
  const redis = await redisClient(t)
  return await redis.hgetall(`${app.config.session.keyPrefix}:${id}`)
}

const ok: [number, unknown] = [200, { status: 'ok' }]

t.test('what /init takes', async t => {
  const app = await build(t, toolServer)
  const opens = async (t: Test, sent: unknown, id: string, headers?: Record<string, string>) => {
    t.strictSame(await init(app, { session_id: sent, apiUrl, jwtToken }, headers), ok)
    t.strictSame(JSON.parse((await stored(t, app, id)).credentials ?? 'null'), { apiUrl, jwtToken })
  }
  const refuses = async (
    t: Test,
    payload: unknown,
    code: string,
    error: string,
    headers?: Record<string, string>
  ) => {
    t.strictSame(await init(app, payload, headers), [400, failure(code, error)])
  }

  t.test('a session is one hash with the idle TTL, and the only key under the prefix', async t => {
    const alone = await build(t, { ...toolServer, MCP_SESSION_IDLE_TTL: '100' })
    t.strictSame(
      await init(alone, { session_id: 's1', apiUrl, jwtToken, sourceId: 'cars', filter: { year: 1980 }, none: null }),
      ok
    )
    const redis = await redisClient(t)
    const key = `${alone.config.session.keyPrefix}:s1`
    t.strictSame(await redis.keys(`${alone.config.session.keyPrefix}:*`), [key])
    t.ok(await isGiven(redis, key, 100))
    const {
      meta = '',
      owner,
      credentials,
      last_accessed: lastAccessed = '',
      bytes,
      ends,
      ...others
    } = await redis.hgetall(key)
    t.match(JSON.parse(meta), { version: 1, created_at: lastAccessed.slice(0, 10), generation: String })
    t.notMatch(owner, apiUrl)
    t.ok(Number(bytes) > 0 && Number(ends) > Date.now())
    t.equal(new Date(lastAccessed).toISOString(), lastAccessed)
    const values = Object.fromEntries(Object.entries(others).filter(([field]) => !field.startsWith('o:')))
    t.strictSame(values, { calls: '0', 'p:sourceId': '"cars"', 'p:filter': '{"year":1980}', 'p:none': 'null' })
    t.strictSame(JSON.parse(credentials ?? ''), { apiUrl, jwtToken })
  })

  t.test('an integer id is its decimal text', async t => {
    for (const id of [7, 0, -12, 9_007_199_254_740_991]) await opens(t, id, String(id))
  })

  t.test('an id may have 256 characters, whatever their size in bytes, and any script', async t => {
    for (const id of ['x'.repeat(256), '😀'.repeat(256), 'Žluťoučký kůň', '会话', ' a b ', 'a:b*?[c]{d}"\'\\/']) { await opens(t, id, id) }
  })

  t.test('the id may come in the header, also when it is not ASCII', async t => {
    for (const id of ['plain', '会话', '😀'.repeat(256)]) {
      const headers = { 'x-session-id': Buffer.from(id).toString('latin1') }
      t.strictSame(await init(app, { apiUrl, jwtToken }, headers), ok)
      await opens(t, id, id, headers)
    }
    await opens(t, 42, '42', { 'x-session-id': '42' })
  })

  t.test('header and body may not disagree', async t => {
    for (const id of ['other', 42, 'PLAIN']) {
      await refuses(
        t,
        { session_id: id, apiUrl, jwtToken },
        'BAD_REQUEST',
        'session_id and the header x-session-id name different sessions',
        { 'x-session-id': 'plain' }
      )
    }
  })

  t.test('an id in the body that can be none is refused as such, also beside one in the header', async t => {
    const rule = 'session_id must be a string of 1 to 256 characters without control characters, or an integer'
    for (const id of [{ toString: 1 }, ['plain'], true]) { await refuses(t, { session_id: id, apiUrl, jwtToken }, 'INVALID_FIELD', rule, { 'x-session-id': 'plain' }) }
    for (const id of [null, '']) { t.strictSame(await init(app, { session_id: id, apiUrl, jwtToken }, { 'x-session-id': 'plain' }), ok) }
  })

  t.test('what is missing, null or empty is missing', async t => {
    const complete = { session_id: 'a', apiUrl, jwtToken }
    for (const name of ['session_id', 'apiUrl', 'jwtToken']) {
      for (const value of [undefined, null, '']) { await refuses(t, { ...complete, [name]: value }, 'MISSING_FIELD', 'Missing session_id, apiUrl, or jwtToken') }
    }
    await refuses(t, {}, 'MISSING_FIELD', 'Missing session_id, apiUrl, or jwtToken')
  })

  t.test('an id that is none is refused', async t => {
    const rule = 'session_id must be a string of 1 to 256 characters without control characters, or an integer'
    for (const id of [
      'x'.repeat(257),
      'a\nb',
      'a\0',
      '\x7F',
      'a\x85b',
      '\uD800',
      'a\uDC00b',
      1.5,
      1e300,
      true,
      ['a'],
      { id: 'a' }
    ]) {
      await refuses(t, { session_id: id, apiUrl, jwtToken }, 'INVALID_FIELD', rule)
    }
    const inHeader = 'x-session-id must be a string of 1 to 256 characters without control characters'
    for (const id of ['x'.repeat(257), '\xFF', '\xC2\x85']) { await refuses(t, { apiUrl, jwtToken }, 'INVALID_FIELD', inHeader, { 'x-session-id': id }) }
  })

  t.test('credentials that are no strings are refused without being repeated', async t => {
    for (const value of [7, true, ['a.b.c'], { secret: 1 }]) {
      await refuses(t, { session_id: 'a', apiUrl: value, jwtToken }, 'INVALID_FIELD', 'apiUrl must be a string')
      await refuses(t, { session_id: 'a', apiUrl, jwtToken: value }, 'INVALID_FIELD', 'jwtToken must be a string')
    }
  })

  t.test('a body with __proto__ is refused, and names that objects inherit are fields like others', async t => {
    for (const body of [
      '{"session_id":"p1","__proto__":{"apiUrl":"x"}}',
      '{"session_id":"p1","extra":[{"__proto__":1}]}',
      '{"session_id":"p1","constructor":{"prototype":{}}}'
    ]) {
      const response = await app.inject({ method: 'POST', url: '/init', payload: body })
      t.equal(response.statusCode, 400)
      const sentence = 'The body has a key that no body may have: __proto__, or prototype within constructor'
      t.strictSame(response.json(), failure('BODY_NOT_JSON', sentence))
    }
    t.strictSame(
      await init(app, { session_id: 'p2', apiUrl, jwtToken, constructor: 'c', toString: ['s'], valueOf: null }),
      ok
    )
    t.strictSame((await call(app, 'p2', 'recall_prototypes')).json(), {
      received: { constructor: 'c', toString: ['s'], valueOf: null }
    })
  })
})

t.test('an opened session', async t => {
  const app = await build(t, { ...toolServer, MCP_SENSITIVE_PARAMS: 'apiUrl,jwtToken,tenant' })
  const received = async (id: string, tool: string) =>
    (await call(app, id, tool, tool === 'report' ? { question: 'why' } : {})).json().received

  t.test('its further fields fill calls, and the sensitive ones are credentials', async t => {
    const id = randomUUID()
    await init(app, { session_id: id, apiUrl, jwtToken, tenant: 'north', name: 'Ann', rows: [1], nothing: null })
    t.strictSame(await received(id, 'recall'), { name: 'Ann', rows: [1], nothing: null })
    t.strictSame(await received(id, 'report'), { question: 'why', apiUrl, jwtToken, tenant: 'north' })
  })

  t.test('opened again with the same credentials it keeps its values, and new ones are added', async t => {
    const id = randomUUID()
    await init(app, { session_id: id, apiUrl, jwtToken, name: 'Ann', rows: [1] })
    t.strictSame(await init(app, { session_id: id, apiUrl, jwtToken, rows: [2], question: 'why' }), ok)
    t.strictSame(await received(id, 'recall'), { name: 'Ann', rows: [2], question: 'why' })
  })

  t.test('whatever cannot be read at its key is replaced', async t => {
    const redis = await redisClient(t)
    const id = randomUUID()
    const key = `${app.config.session.keyPrefix}:${id}`
    const damages = [
      () => redis.set(key, '{broken'),
      () => redis.rpush(key, 'a'),
      () => redis.hset(key, 'other', 'hash'),
      async () => {
        await init(app, { session_id: id, apiUrl, jwtToken })
        await redis.hset(key, 'credentials', '{broken')
      },
      async () => {
        await init(app, { session_id: id, apiUrl, jwtToken })
        await redis.hset(key, 'meta', '{broken')
      }
    ]
    for (const damage of damages) {
      await redis.del(key)
      await damage()
      const refused = await app.inject({ method: 'POST', url: '/tools', payload: { session_id: id } })
      t.equal(refused.statusCode, 409)
      t.strictSame(
        refused.json(),
        failure('SESSION_UNREADABLE', `Session ${id} cannot be read. Please run /init first.`)
      )
      t.strictSame(await init(app, { session_id: id, apiUrl, jwtToken }), ok)
      t.equal((await app.inject({ method: 'POST', url: '/tools', payload: { session_id: id } })).statusCode, 200)
    }
  })
})
