import { randomBytes, randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { splitFields } from '../../../lib/sessions/fields.ts'
import { createExpiryIndex } from '../../../lib/sessions/expiry-index.ts'
import { createSessionRedis } from '../../../lib/sessions/scripts.ts'
import type { EncryptionKey } from '../../../lib/sessions/field-encryption.ts'
import { ownerOf } from '../../../lib/sessions/owner.ts'
import { createSessionRepository, type SessionRepository, type SessionRepositoryOptions } from '../../../lib/sessions/session-repository.ts'
import { redisClient } from '../../support/redis.ts'
import { repositoryOptions } from '../../support/session-repository.ts'
import { until } from '../../support/wait.ts'

const fields = { apiUrl: 'https://api.example.com', jwtToken: 'a.b.c', question: 'why?' }
const sensitiveParams = ['apiUrl', 'jwtToken']

const [k1, k2] = ['k1', 'k2'].map(id => ({ id, key: randomBytes(32) })) as [EncryptionKey, EncryptionKey]
const ref = (id: string) => ({ id, client: null })
const opened = splitFields(fields, sensitiveParams)

async function open (t: Test, options: Partial<SessionRepositoryOptions> = {}) {
  const client = await redisClient(t)
  const { keyPrefix = `test-${randomUUID()}` } = options
  const repository = createSessionRepository(client, repositoryOptions(keyPrefix, options))
  const create = async (id: string) => await repository.create(ref(id), opened, await repository.find(ref(id)))
  return { client, repository, create, keyPrefix, key: (id: string) => `${keyPrefix}:${id}` }
}

/** Whether the session at an id is known to be of this owner. */
async function isOwn (repository: SessionRepository, id: string): Promise<boolean | null> {
  const { owner } = await repository.find(ref(id))
  if (owner === null) return null
  const { credentials, user } = ownerOf(opened.identity, owner.key)
  return owner.credentials === credentials && owner.user === user
}

const texts = (values: Record<string, unknown>) => new Map(Object.entries(values).map(([name, value]) => [name, JSON.stringify(value)]))

t.test('a session is one hash with an idle TTL, its credentials apart from its values', async t => {
  const { client, repository, create, key } = await open(t)
  await create('one')

  const stored = await client.hgetall(key('one'))
  t.strictSame(JSON.parse(stored.credentials ?? ''), { apiUrl: fields.apiUrl, jwtToken: fields.jwtToken })
  t.equal(stored['p:question'], '"why?"')
  t.match(JSON.parse(stored.meta ?? ''), { version: 1, created_at: /^\d{4}-/, generation: String })
  t.match(JSON.parse(stored.owner ?? ''), { credentials: /^[\w-]{43}$/, user: /^[\w-]{43}$/ })
  t.equal(await client.ttl(key('one')), 100)
  const session = await repository.load(ref('one'))
  t.match(session, { id: 'one', credentials: { jwtToken: 'a.b.c' } })
})

t.test('loading restarts the idle TTL and says when; it never makes a key', async t => {
  const { client, repository, create, key } = await open(t)
  await create('one')
  await client.expire(key('one'), 5)
  await client.hset(key('one'), 'last_accessed', 'before')

  await repository.load(ref('one'))

  t.equal(await client.ttl(key('one')), 100)
  t.match(await client.hget(key('one'), 'last_accessed'), /^\d{4}-/)
  t.equal(await repository.load(ref('nobody')), null)
  t.equal(await client.exists(key('nobody')), 0)
})

t.test('finding an owner touches nothing', async t => {
  const { client, repository, create, key } = await open(t)
  await create('one')
  await client.expire(key('one'), 5)
  const before = await client.hgetall(key('one'))

  t.equal(await isOwn(repository, 'one'), true)

  t.strictSame(await client.hgetall(key('one')), before)
  t.ok(await client.ttl(key('one')) <= 5)
  t.equal(await isOwn(repository, 'nobody'), null)
})

t.test('values are read by name, and only those that exist', async t => {
  const { repository, create } = await open(t)
  await create('one')
  const session = await repository.load(ref('one'))
  if (session === null) throw new Error('no session')
  await repository.write(session, { values: texts(JSON.parse('{"a":{"deep":[1,null]},"b":null,"__proto__":"name","":"empty"}')) })

  const values = await repository.readValues(session, ['a', 'b', 'c', '__proto__', '', 'toString'])

  t.strictSame([...values ?? []], [['a', { deep: [1, null] }], ['b', null], ['__proto__', 'name'], ['', 'empty']])
})

t.test('a write keeps its values beside the others, counts the call, and restarts the TTL', async t => {
  const { client, repository, create, key } = await open(t)
  await create('one')
  const session = await repository.load(ref('one'))
  if (session === null) throw new Error('no session')
  await client.expire(key('one'), 5)
  const call = { tool: 'plan', outcome: 'ok' as const, duration_ms: 3, at: '2026-01-01T00:00:00.000Z' }

  t.strictSame(await repository.write(session, { values: texts({ a: 1 }), call }), [])
  t.strictSame(await repository.write(session, { values: texts({ b: 2 }), call }), [])

  const stored = await client.hgetall(key('one'))
  t.match(stored, { 'p:a': '1', 'p:b': '2', 'p:question': '"why?"', calls: '2' })
  t.strictSame(JSON.parse(stored.last_call ?? ''), call)
  t.equal(await client.ttl(key('one')), 100)
})

t.test('a write does not bring back a session that was ended', async t => {
  const { client, repository, create, key } = await open(t)
  await create('one')
  const session = await repository.load(ref('one'))
  if (session === null) throw new Error('no session')
  t.not(await repository.remove(ref('one')), null)

  t.equal(await repository.write(session, { values: texts({ a: 1 }) }), null)

  t.equal(await client.exists(key('one')), 0)
  t.equal(await repository.remove(ref('one')), null)
})

t.test('a write does not bring back a session that expired', async t => {
  const { client, repository, create, key } = await open(t, { idleTtlSeconds: 1 })
  await create('one')
  const session = await repository.load(ref('one'))
  if (session === null) throw new Error('no session')
  await until(async () => await client.exists(key('one')) === 0, 'the session expired')

  t.equal(await repository.write(session, { values: texts({ a: 1 }) }), null)
  t.equal(await repository.readValues(session, ['question']), null)
  t.equal(await client.exists(key('one')), 0)
})

t.test('neither writes nor reads of a session reach another one under the same id', async t => {
  const { client, repository, create, key } = await open(t)
  await create('one')
  const session = await repository.load(ref('one'))
  if (session === null) throw new Error('no session')
  await repository.remove(ref('one'))
  await create('one')

  t.equal(await repository.write(session, { values: texts({ stolen: 1 }) }), null)
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
    await t.rejects(repository.load(ref(id)), { code: 'MCPC_ERR_SESSION_UNREADABLE', statusCode: 409 }, id)
    t.equal(await isOwn(repository, id), null, id)
    t.equal(await client.exists(key(id)), 1, `${id} is still there`)
    await create(id)
    t.match(await repository.load(ref(id)), { id }, `${id} is a session now`)
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

  t.equal(await isOwn(repository, 'old'), true, 'the owner is known before')
  t.equal(await client.type(key('old')), 'string', 'and asking for it converts nothing')
  const session = await repository.load(ref('old'))

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

  const session = await repository.load(ref('old'))
  if (session === null) throw new Error('no session')

  t.strictSame((await repository.readValues(session, ['rows']))?.get('rows'), [null, null, null, 'NaN " Infinity'])
})

t.test('two workers that meet a Flask session at once both get it, and it is converted once', async t => {
  const { client, repository, key } = await open(t)
  await client.set(key('old'), JSON.stringify({ apiUrl: 'https://a.example', jwtToken: 'a.b.c', kept: 1 }), 'EX', 7)

  const sessions = await Promise.all(Array.from({ length: 20 }, () => repository.load(ref('old'))))

  t.equal(new Set(sessions.map(session => session?.meta)).size, 1)
  t.equal(await client.hget(key('old'), 'p:kept'), '1')
})

t.test('the count follows sessions that are opened, ended, expired, or kept alive by use', async t => {
  const { client, repository, create, keyPrefix, key } = await open(t)
  for (const id of ['a', 'b', 'c', 'd']) await create(id)
  t.equal(await repository.count(), 4)

  await repository.remove(ref('a'))
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

  await t.rejects(repository.load(ref('one')), { code: 'MCPC_ERR_STORE_UNAVAILABLE', statusCode: 503, retryable: true, cause: Error })
})

t.test('the whole lifetime bounds the idle TTL, and no use makes it longer', async t => {
  const { client, repository, create, key } = await open(t, { idleTtlSeconds: 100, maxLifetimeSeconds: 3 })
  await create('one')
  const ends = Number(await client.hget(key('one'), 'ends'))
  t.ok(Math.abs(ends - Date.now() - 3_000) < 1_000)
  const session = await repository.load(ref('one'))
  if (session === null) throw new Error('no session')

  t.strictSame(await repository.write(session, { values: texts({ a: 1 }) }), [])

  t.ok(await client.pttl(key('one')) <= 3_000)
  t.equal(session.endsAt, ends)
  await until(async () => await repository.load(ref('one')) === null, 'it ended while it was used')
})

t.test('a session is loaded by its token, and a wrong one is like none: neither a place nor time is given for it', async t => {
  const { client, repository, key } = await open(t)
  const token = 'the-token'
  await repository.create(ref('one'), opened, { seen: '' }, token)
  await client.expire(key('one'), 5)

  for (const wrong of ['', 'the-toke', 'the-token ', 'none']) {
    t.equal(await repository.load({ ...ref('one'), token: wrong }, { takeSlot: true }), null)
    t.equal(await repository.remove({ ...ref('one'), token: wrong }), null)
  }
  t.ok(await client.ttl(key('one')) <= 5)
  t.equal(await client.hexists(key('one'), 'running'), 0)

  t.match(await repository.load({ ...ref('one'), token }), { id: 'one' })
  t.equal(await client.ttl(key('one')), 100)
  t.notOk(JSON.stringify(await client.hgetall(key('one'))).includes(token), 'only its hash is kept')
  t.not(await repository.remove({ ...ref('one'), token }), null)
})

t.test('a session without a token is nobody\'s who must show one', async t => {
  const { repository, create } = await open(t)
  await create('one')
  for (const token of ['', 'none', 'any']) t.equal(await repository.load({ ...ref('one'), token }), null)
})

t.test('API keys do not see each other\'s sessions, nor those of no key, whatever the ids', async t => {
  const { client, repository, create, keyPrefix } = await open(t, { clients: ['a', 'b'] })
  const [a, b] = [{ id: 'one', client: 'a' }, { id: 'one', client: 'b' }]
  t.strictSame(await repository.create(a, opened, { seen: '' }), [])
  t.equal(await repository.load(b), null)
  t.equal(await repository.load(ref('one')), null)
  t.strictSame(await repository.find(b), { owner: null, seen: '', tokenHash: null })
  t.strictSame(await repository.create(b, opened, { seen: '' }), [])
  t.notOk((await repository.load(a))?.meta === (await repository.load(b))?.meta)
  t.equal(await repository.count(), 2)

  t.equal(await repository.load(ref('a:one')), null, 'an id that looks like a key\'s name and an id')
  await create('a:two')
  t.equal(await repository.load({ id: 'two', client: 'a' }), null)
  t.strictSame((await client.keys(`${keyPrefix}:*`)).sort(), ['a:one', 'a:two', 'b:one'].map(id => `${keyPrefix}:${id}`))
})

t.test('an API key has so many sessions, and no more, until one ends', async t => {
  const { repository } = await open(t, { clients: ['a', 'b'], maxSessionsPerClient: 2 })
  const create = (id: string, client = 'a') => repository.create({ id, client }, opened, { seen: '' })
  await create('one')
  await create('two')
  await t.rejects(create('three'), { code: 'MCPC_ERR_TOO_MANY_SESSIONS', statusCode: 429 })
  t.strictSame(await create('three', 'b'), [])
  await repository.remove({ id: 'one', client: 'a' })
  t.strictSame(await create('three'), [])
})

t.test('of two who open the same id at once, one does', async t => {
  const { repository } = await open(t)
  const created = await Promise.all(Array.from({ length: 10 }, () => repository.create(ref('one'), opened, { seen: '' })))
  t.equal(created.filter(notCached => notCached !== null).length, 1)
})

t.test('values that do not fit are not kept, nor is what they were before; smaller ones behind them are', async t => {
  const { client, repository, create, key } = await open(t, { maxBytes: 100 })
  await create('one') // 'p:question' and '"why?"': 16 bytes
  const session = await repository.load(ref('one'))
  if (session === null) throw new Error('no session')
  t.equal(await client.hget(key('one'), 'bytes'), '16')

  t.strictSame(await repository.write(session, { values: texts({ a: 'x'.repeat(50) }) }), []) // 3 + 52
  t.strictSame(await repository.write(session, { values: texts({ b: 'x'.repeat(50), c: 'x' }) }), ['b']) // c: 3 + 3
  t.equal(await client.hget(key('one'), 'bytes'), String(16 + 55 + 6))
  t.strictSame(await repository.write(session, { values: texts({ a: 'x'.repeat(90) }) }), ['a'])
  t.equal(await client.hexists(key('one'), 'p:a'), 0, 'the older value is no longer so')
  t.equal(await client.hget(key('one'), 'bytes'), String(16 + 6))
  t.strictSame(await repository.write(session, { values: texts({ a: 'x'.repeat(60), question: 'ä' }) }), [])
  t.equal(await client.hget(key('one'), 'bytes'), String((10 + 4) + 6 + (3 + 62)), 'bytes and not characters')
  t.match(await repository.describe(session), { cachedBytes: 85, values: new Map([['question', 4], ['c', 3], ['a', 62]]) })
})

t.test('what /init brings and does not fit is named', async t => {
  const { repository } = await open(t, { maxBytes: 30 })
  const session = splitFields({ ...fields, big: 'x'.repeat(100), small: 1 }, sensitiveParams)
  t.strictSame(await repository.create(ref('one'), session, { seen: '' }), ['big'])
  t.match(await repository.describe(await repository.load(ref('one')) as never), { values: new Map([['question', 6], ['small', 1]]) })
})

t.test('with a key, nothing that is anybody\'s can be read in Redis, and all of it is where it was', async t => {
  const { client, repository, create, key } = await open(t, { encryptionKeys: [k1] })
  await create('one')
  const session = await repository.load(ref('one'))
  if (session === null) throw new Error('no session')
  await repository.write(session, { values: texts({ rows: ['secret row'] }) })
  await repository.replaceUpstream(session, 'charts', null, '{"sessionId":"secret session"}')

  const { meta, last_accessed: lastAccessed, calls, bytes, ...sealed } = await client.hgetall(key('one'))
  t.strictSame(Object.keys(sealed).sort(), ['credentials', 'owner', 'p:question', 'p:rows', 'u:charts'])
  for (const [field, text] of Object.entries(sealed)) t.match(text, /^s1\.k1\.[\w-]+$/, field)

  const loaded = await repository.load(ref('one'), { valueNames: ['rows'], upstreams: ['charts'] })
  if (loaded === null) throw new Error('no session')
  t.strictSame(loaded.credentials, opened.identity.credentials)
  t.equal((await repository.readValues(loaded, ['rows']))?.get('rows')?.toString(), 'secret row')
  const upstream = await repository.readUpstream(loaded, 'charts')
  t.equal(upstream?.text, '{"sessionId":"secret session"}')
  t.equal((await repository.replaceUpstream(loaded, 'charts', upstream, 'next'))?.text, 'next')
  t.equal((await repository.replaceUpstream(loaded, 'charts', upstream, 'too late'))?.text, 'next')
  t.equal(await isOwn(repository, 'one'), true)
  t.strictSame(await repository.remove(ref('one'), ['charts']), { credentials: opened.identity.credentials, upstreams: new Map([['charts', 'next']]) })
})

t.test('a field that was copied into another session does not open there, also not into a later one of the same id', async t => {
  const { client, repository, create, key } = await open(t, { encryptionKeys: [k1] })
  await create('one')
  await create('other')
  const copied = await client.hget(key('one'), 'credentials') ?? ''
  await client.hset(key('other'), 'credentials', copied)
  await t.rejects(repository.load(ref('other')), { code: 'MCPC_ERR_SESSION_UNREADABLE', cause: { name: 'SealError' } })
  await repository.remove(ref('one'))
  await create('one')
  await client.hset(key('one'), 'p:question', copied)
  const session = await repository.load(ref('one'))
  await t.rejects(repository.readValues(session as never, ['question']), { code: 'MCPC_ERR_SESSION_UNREADABLE' })
})

t.test('after a rotation a session opens with the old key, and is sealed with the new one when it was used', async t => {
  const { client, repository: old, create, keyPrefix, key } = await open(t, { encryptionKeys: [k1] })
  const withKeys = async (...encryptionKeys: EncryptionKey[]) => (await open(t, { keyPrefix, encryptionKeys })).repository
  await create('one')
  const before = await old.load(ref('one'))
  if (before === null) throw new Error('no session')
  await old.write(before, { values: texts({ rows: [1] }) })
  t.equal(before.isStale, false)

  const rotated = await withKeys(k2, k1)
  const session = await rotated.load(ref('one'), { valueNames: ['rows'] })
  if (session === null) throw new Error('no session')
  t.equal(session.isStale, true)
  t.strictSame((await rotated.readValues(session, ['rows']))?.get('rows'), [1])
  t.strictSame(await rotated.write(session, { values: texts({ more: 2 }) }), [], 'what is written meanwhile is kept')
  await rotated.reseal(session)

  for (const [field, text] of Object.entries(await client.hgetall(key('one')))) {
    if (/^(credentials|owner|[pu]:)/.test(field)) t.match(text, /^s1\.k2\./, field)
  }
  const onlyNew = await withKeys(k2)
  const later = await onlyNew.load(ref('one'))
  t.equal(later?.isStale, false)
  t.strictSame([...await onlyNew.readValues(later as never, ['rows', 'more', 'question']) ?? []], [['rows', [1]], ['more', 2], ['question', 'why?']])
  t.equal(Number(await client.hget(key('one'), 'bytes')), await storedBytes(client, key('one')))

  await t.rejects(old.load(ref('one')), { code: 'MCPC_ERR_SESSION_UNREADABLE', cause: { message: /sealed with the key k2/ } })
  t.match(await old.find(ref('one')), { owner: null })
})

t.test('sealing is turned on for sessions that are open', async t => {
  const { client, create, keyPrefix, key } = await open(t)
  await create('one')
  const { repository } = await open(t, { keyPrefix, encryptionKeys: [k1] })
  t.equal(await isOwn(repository, 'one'), true)
  const session = await repository.load(ref('one'))
  if (session === null) throw new Error('no session')
  t.equal(session.isStale, true)
  await repository.reseal(session)
  t.notOk(JSON.stringify(await client.hgetall(key('one'))).includes(fields.jwtToken))
  t.equal(Number(await client.hget(key('one'), 'bytes')), await storedBytes(client, key('one')))
  t.match(await repository.load(ref('one')), { credentials: opened.identity.credentials, isStale: false })
})

t.test('resealing brings back nothing that was ended, and replaces nothing that is newer', async t => {
  const { client, create, keyPrefix, key } = await open(t)
  await create('one')
  const { repository } = await open(t, { keyPrefix, encryptionKeys: [k1] })
  const session = await repository.load(ref('one'))
  if (session === null) throw new Error('no session')
  await Promise.all([
    repository.reseal(session),
    ...[1, 2, 3, 4, 5].map(question => repository.write(session, { values: texts({ question }) }))
  ])
  const later = await repository.load(ref('one'))
  t.equal((await repository.readValues(later as never, ['question']))?.get('question'), 5)

  await repository.remove(ref('one'))
  await repository.reseal(session)
  t.equal(await client.exists(key('one')), 0)
})

t.test('resealing passes over what does not open', async t => {
  const { client, repository: old, create, keyPrefix, key } = await open(t, { encryptionKeys: [k1] })
  await create('one')
  await old.write(await old.load(ref('one')) as never, { values: texts({ good: 1 }) })
  await client.hset(key('one'), 'p:question', 's1.k0.AAAA')
  const { repository } = await open(t, { keyPrefix, encryptionKeys: [k2, k1] })
  await repository.reseal(await repository.load(ref('one')) as never)
  t.match(await client.hgetall(key('one')), { credentials: /^s1\.k2\./, 'p:good': /^s1\.k2\./, 'p:question': 's1.k0.AAAA' })
})

t.test('a session that cannot be opened holds no place', async t => {
  const { client, create, keyPrefix, key } = await open(t, { encryptionKeys: [k1] })
  await create('one')
  const { repository } = await open(t, { keyPrefix, encryptionKeys: [k2] })
  for (let time = 0; time < 5; time++) await t.rejects(repository.load(ref('one'), { takeSlot: true }), { code: 'MCPC_ERR_SESSION_UNREADABLE' })
  t.equal(await client.hexists(key('one'), 'running'), 0)
})

t.test('what no API key opened another one neither ends nor replaces, be the ids as they may', async t => {
  const { client, repository, create, key } = await open(t, { clients: ['a'] })
  await create('a:one')
  t.equal(await repository.remove({ id: 'one', client: 'a' }), null)
  t.equal(await client.exists(key('a:one')), 1)
  const { owner } = await repository.find({ id: 'one', client: 'a' })
  t.notSame(owner, null, 'it is somebody\'s')
  t.notMatch(owner, ownerOf(opened.identity, owner?.key ?? ''))
  await client.set(key('a:old'), JSON.stringify({ apiUrl: 'https://a.example', jwtToken: 'a.b.c' }))
  await t.rejects(repository.load({ id: 'old', client: 'a' }), { code: 'MCPC_ERR_SESSION_UNREADABLE' })
})

t.test('the end of a session does not uncount another one that was opened under its id meanwhile', async t => {
  const { client, repository, create, keyPrefix } = await open(t)
  await create('one')
  const entry = await client.zscore(`mcp_index:${keyPrefix}`, 'one')
  await until(async () => { await client.zadd(`mcp_index:${keyPrefix}`, Date.now() + 100_000, 'one'); return await client.zscore(`mcp_index:${keyPrefix}`, 'one') !== entry }, 'it is entered anew')
  await createExpiryIndex(createSessionRedis(client, 500), { keyPrefix, ttlSeconds: 100 }, null).remove('one', entry ?? '')
  t.equal(await client.zcard(`mcp_index:${keyPrefix}`), 1)
  await repository.remove(ref('one'))
  t.equal(await client.zcard(`mcp_index:${keyPrefix}`), 0)
})

/** What the cached values of a session take, counted by hand. */
async function storedBytes (client: Redis, key: string): Promise<number> {
  const fields = Object.entries(await client.hgetall(key)).filter(([field]) => field.startsWith('p:'))
  return fields.reduce((sum, [field, text]) => sum + Buffer.byteLength(field) + Buffer.byteLength(text), 0)
}
