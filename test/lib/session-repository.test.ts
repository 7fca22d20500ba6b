import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { splitFields } from '../../lib/session-fields.ts'
import { createSessionRepository } from '../../lib/session-repository.ts'
import { redisClient, until } from '../helper.ts'

const fields = { apiUrl: 'https://api.example.com', jwtToken: 'a.b.c', question: 'why?' }
const sensitiveParams = ['apiUrl', 'jwtToken']

async function open (t: Test, { idleTtlSeconds = 100 } = {}) {
  const client = await redisClient(t)
  const keyPrefix = `test-${randomUUID()}`
  const repository = createSessionRepository(client, { keyPrefix, idleTtlSeconds, sensitiveParams, commandTimeoutMs: 500, maxConcurrency: 3 })
  const create = (id: string) => repository.create(id, splitFields(fields, sensitiveParams))
  return { client, repository, create, keyPrefix, key: (id: string) => `${keyPrefix}:${id}` }
}

const texts = (values: Record<string, unknown>) => new Map(Object.entries(values).map(([name, value]) => [name, JSON.stringify(value)]))

t.test('a session is one hash with an idle TTL, its credentials apart from its values', async t => {
  const { client, repository, create, key } = await open(t)
  await create('one')

  const stored = await client.hgetall(key('one'))
  t.strictSame(JSON.parse(stored.credentials ?? ''), { apiUrl: fields.apiUrl, jwtToken: fields.jwtToken })
  t.equal(stored['p:question'], '"why?"')
  t.match(JSON.parse(stored.meta ?? ''), { version: 1, created_at: /^\d{4}-/, owner: /^[\w-]{43}$/, generation: String })
  t.equal(await client.ttl(key('one')), 100)
  const session = await repository.load('one')
  t.match(session, { id: 'one', credentials: { jwtToken: 'a.b.c' } })
})

t.test('loading restarts the idle TTL and says when; it never makes a key', async t => {
  const { client, repository, create, key } = await open(t)
  await create('one')
  await client.expire(key('one'), 5)
  await client.hset(key('one'), 'last_accessed', 'before')

  await repository.load('one')

  t.equal(await client.ttl(key('one')), 100)
  t.match(await client.hget(key('one'), 'last_accessed'), /^\d{4}-/)
  t.equal(await repository.load('nobody'), null)
  t.equal(await client.exists(key('nobody')), 0)
})

t.test('finding an owner touches nothing', async t => {
  const { client, repository, create, key } = await open(t)
  await create('one')
  await client.expire(key('one'), 5)
  const before = await client.hgetall(key('one'))

  t.equal(await repository.findOwner('one'), splitFields(fields, sensitiveParams).owner)

  t.strictSame(await client.hgetall(key('one')), before)
  t.ok(await client.ttl(key('one')) <= 5)
  t.equal(await repository.findOwner('nobody'), null)
})

t.test('values are read by name, and only those that exist', async t => {
  const { repository, create } = await open(t)
  await create('one')
  const session = await repository.load('one')
  if (session === null) throw new Error('no session')
  await repository.write(session, texts(JSON.parse('{"a":{"deep":[1,null]},"b":null,"__proto__":"name","":"empty"}')))

  const values = await repository.readValues(session, ['a', 'b', 'c', '__proto__', '', 'toString'])

  t.strictSame([...values ?? []], [['a', { deep: [1, null] }], ['b', null], ['__proto__', 'name'], ['', 'empty']])
})

t.test('a write keeps its values beside the others, counts the call, and restarts the TTL', async t => {
  const { client, repository, create, key } = await open(t)
  await create('one')
  const session = await repository.load('one')
  if (session === null) throw new Error('no session')
  await client.expire(key('one'), 5)
  const call = { tool: 'plan', outcome: 'ok' as const, duration_ms: 3, at: '2026-01-01T00:00:00.000Z' }

  t.equal(await repository.write(session, texts({ a: 1 }), call), true)
  t.equal(await repository.write(session, texts({ b: 2 }), call), true)

  const stored = await client.hgetall(key('one'))
  t.match(stored, { 'p:a': '1', 'p:b': '2', 'p:question': '"why?"', calls: '2' })
  t.strictSame(JSON.parse(stored.last_call ?? ''), call)
  t.equal(await client.ttl(key('one')), 100)
})

t.test('a write does not bring back a session that was ended', async t => {
  const { client, repository, create, key } = await open(t)
  await create('one')
  const session = await repository.load('one')
  if (session === null) throw new Error('no session')
  t.not(await repository.remove('one'), null)

  t.equal(await repository.write(session, texts({ a: 1 })), false)

  t.equal(await client.exists(key('one')), 0)
  t.equal(await repository.remove('one'), null)
})

t.test('a write does not bring back a session that expired', async t => {
  const { client, repository, create, key } = await open(t, { idleTtlSeconds: 1 })
  await create('one')
  const session = await repository.load('one')
  if (session === null) throw new Error('no session')
  await until(async () => await client.exists(key('one')) === 0, 'the session expired')

  t.equal(await repository.write(session, texts({ a: 1 })), false)
  t.equal(await repository.readValues(session, ['question']), null)
  t.equal(await client.exists(key('one')), 0)
})

t.test('neither writes nor reads of a session reach another one under the same id', async t => {
  const { client, repository, create, key } = await open(t)
  await create('one')
  const session = await repository.load('one')
  if (session === null) throw new Error('no session')
  await repository.remove('one')
  await create('one')

  t.equal(await repository.write(session, texts({ stolen: 1 })), false)
  t.equal(await repository.readValues(session, ['question']), null)
  t.equal(await client.hexists(key('one'), 'p:stolen'), 0)
})

t.test('a value that is no session is unreadable, left alone, and replaced by a new session', async t => {
  const { client, repository, create, key } = await open(t)
  const foreign: Array<[string, () => Promise<unknown>]> = [
    ['list', () => client.rpush(key('list'), 'x')],
    ['text', () => client.set(key('text'), 'not json')],
    ['other json', () => client.set(key('other json'), '{"some":"thing"}')],
    ['half a hash', () => client.hset(key('half a hash'), 'meta', '{}')],
    ['bad hash', () => client.hset(key('bad hash'), { meta: '{', credentials: '{}' })],
    ['bad credentials', () => client.hset(key('bad credentials'), { meta: '{}', credentials: '[]' })]
  ]
  for (const [id, put] of foreign) {
    await put()
    await t.rejects(repository.load(id), { code: 'MCPC_ERR_SESSION_UNREADABLE', statusCode: 409 }, id)
    t.equal(await repository.findOwner(id), null, id)
    t.equal(await client.exists(key(id)), 1, `${id} is still there`)
    await create(id)
    t.match(await repository.load(id), { id }, `${id} is a session now`)
  }
})

t.test('a session that the Flask service wrote is converted at first use', async t => {
  const { client, repository, key } = await open(t)
  const blob = {
    session_id: 'old',
    apiUrl: fields.apiUrl,
    jwtToken: fields.jwtToken,
    created_at: '2025-06-01T10:00:00.000000+00:00',
    last_accessed: '2025-06-01T11:00:00.000000+00:00',
    columnAnalysis: [{ name: 'a "quoted" NaN' }],
    big: 1e21
  }
  await client.set(key('old'), JSON.stringify(blob), 'EX', 7)

  t.equal(await repository.findOwner('old'), splitFields(fields, sensitiveParams).owner, 'the owner is known before')
  t.equal(await client.type(key('old')), 'string', 'and asking for it converts nothing')
  const session = await repository.load('old')

  t.match(session, { id: 'old', credentials: { apiUrl: fields.apiUrl, jwtToken: fields.jwtToken } })
  t.equal(await client.type(key('old')), 'hash')
  t.equal(await client.ttl(key('old')), 100, 'the use restarts the idle TTL')
  const stored = await client.hgetall(key('old'))
  t.equal(JSON.parse(stored.meta ?? '').created_at, blob.created_at)
  t.strictSame(Object.keys(stored).filter(name => name.startsWith('p:')).sort(), ['p:big', 'p:columnAnalysis'])
  if (session === null) throw new Error('no session')
  const values = await repository.readValues(session, ['columnAnalysis', 'big'])
  t.strictSame([...values ?? []], [['columnAnalysis', blob.columnAnalysis], ['big', 1e21]])
})

t.test('numbers that only Python writes do not lose a session', async t => {
  const { client, repository, key } = await open(t)
  await client.set(key('old'), '{"apiUrl": "https://a.example", "jwtToken": "a.b.c", "rows": [NaN, -Infinity, Infinity, "NaN \\" Infinity"]}', 'EX', 7)

  const session = await repository.load('old')
  if (session === null) throw new Error('no session')

  t.strictSame((await repository.readValues(session, ['rows']))?.get('rows'), [null, null, null, 'NaN " Infinity'])
})

t.test('two workers that meet a Flask session at once both get it, and it is converted once', async t => {
  const { client, repository, key } = await open(t)
  await client.set(key('old'), JSON.stringify({ apiUrl: 'https://a.example', jwtToken: 'a.b.c', kept: 1 }), 'EX', 7)

  const sessions = await Promise.all(Array.from({ length: 20 }, () => repository.load('old')))

  t.equal(new Set(sessions.map(session => session?.generation)).size, 1)
  t.equal(await client.hget(key('old'), 'p:kept'), '1')
})

t.test('the count follows sessions that are opened, ended, expired, or kept alive by use', async t => {
  const { client, repository, create, keyPrefix, key } = await open(t)
  for (const id of ['a', 'b', 'c', 'd']) await create(id)
  t.equal(await repository.count(), 4)

  await repository.remove('a')
  t.equal(await repository.count(), 3)

  // As if all TTLs that were set at opening had run out: b is gone by itself, c and d live on because they were used.
  await client.del(key('b'))
  for (const id of ['b', 'c', 'd']) await client.zadd(`mcp_index:${keyPrefix}`, 1, id)
  t.equal(await repository.count(), 2)
  const scores = await client.zrange(`mcp_index:${keyPrefix}`, '0', '-1', 'WITHSCORES')
  t.strictSame([scores[0], scores[2]], ['c', 'd'])
  t.ok(Number(scores[1]) > Date.now(), 'what lives has its new time')
})

t.test('opening sessions clears the index of expired ones, whether anybody counts or not', async t => {
  const { client, create, keyPrefix } = await open(t)
  const index = `mcp_index:${keyPrefix}`
  for (let number = 0; number < 100; number++) await client.zadd(index, 1, `gone-${number}`)

  for (let number = 0; number < 12; number++) await create(`new-${number}`)

  t.equal(await client.zcard(index), 12)
})

t.test('KEYS with the prefix lists the sessions and nothing else', async t => {
  const { client, repository, create, keyPrefix, key } = await open(t)
  await create('a')
  await create('b')
  await repository.count()

  t.strictSame((await client.keys(`${keyPrefix}:*`)).sort(), [key('a'), key('b')])
})

t.test('Redis that refuses a command is an unavailable store, with its reason as the cause', async t => {
  const { client, repository } = await open(t)
  client.disconnect()

  await t.rejects(repository.load('one'), { code: 'MCPC_ERR_STORE_UNAVAILABLE', statusCode: 503, retryable: true, cause: Error })
})
