import t from 'tap'
import { ownerOf } from '../../../lib/sessions/owner.ts'
import { isGiven } from '../../support/redis.ts'
import { fields, isOwn, load, opened, openRepository, ref, values } from '../../support/session-repository.ts'
import { until } from '../../support/wait.ts'

t.test('a session is one hash with an idle TTL, its credentials apart from its values', async t => {
  const { client, repository, create, key } = await openRepository(t)
  await create('one')

  const stored = await client.hgetall(key('one'))
  t.strictSame(JSON.parse(stored.credentials ?? ''), { apiUrl: fields.apiUrl, jwtToken: fields.jwtToken })
  t.equal(stored['p:question'], '"why?"')
  t.match(JSON.parse(stored.meta ?? ''), { version: 1, created_at: /^\d{4}-/, generation: String })
  t.match(JSON.parse(stored.owner ?? ''), { credentials: /^[\w-]{43}$/, user: /^[\w-]{43}$/ })
  t.ok(await isGiven(client, key('one'), 100))
  const session = await repository.load(ref('one'))
  t.match(session, { id: 'one', credentials: { jwtToken: 'a.b.c' } })
})

t.test('loading restarts the idle TTL and says when; it never makes a key', async t => {
  const { client, repository, create, key } = await openRepository(t)
  await create('one')
  await client.expire(key('one'), 50)
  await client.hset(key('one'), 'last_accessed', 'before')

  await repository.load(ref('one'))

  t.ok(await isGiven(client, key('one'), 100))
  t.match(await client.hget(key('one'), 'last_accessed'), /^\d{4}-/)
  t.equal(await repository.load(ref('nobody')), null)
  t.equal(await client.exists(key('nobody')), 0)
})

t.test('finding an owner touches nothing', async t => {
  const { client, repository, create, key } = await openRepository(t)
  await create('one')
  await client.expire(key('one'), 50)
  const before = await client.hgetall(key('one'))

  t.equal(await isOwn(repository, 'one'), true)

  t.strictSame(await client.hgetall(key('one')), before)
  t.ok(await client.ttl(key('one')) <= 50)
  t.equal(await isOwn(repository, 'nobody'), null)
})

t.test('a value that is no session is unreadable, left alone, and replaced by a new session', async t => {
  const { client, repository, create, key } = await openRepository(t)
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

t.test('KEYS with the prefix lists the sessions and nothing else', async t => {
  const { client, repository, create, keyPrefix, key } = await openRepository(t)
  await create('a')
  await create('b')
  await repository.count()

  t.strictSame((await client.keys(`${keyPrefix}:*`)).sort(), [key('a'), key('b')])
})

t.test('Redis that refuses a command is an unavailable store, with its reason as the cause', async t => {
  const { client, repository } = await openRepository(t)
  client.disconnect()

  const unavailable = { code: 'MCPC_ERR_STORE_UNAVAILABLE', statusCode: 503, retryable: true, cause: Error }
  await t.rejects(repository.load(ref('one')), unavailable)
})

t.test('the whole lifetime bounds the idle TTL, and no use makes it longer', async t => {
  const { client, repository, create, key } =
    await openRepository(t, { idleTtlSeconds: 1_000, maxLifetimeSeconds: 100 })
  const before = Date.now()
  await create('one')
  const ends = Number(await client.hget(key('one'), 'ends'))
  t.ok(ends >= before + 100_000 && ends <= Date.now() + 100_000)
  const session = await load(repository, 'one')

  t.strictSame(await repository.write(session, { values: values({ a: 1 }) }), [])

  t.ok(await client.pttl(key('one')) <= 100_000)
  t.equal(session.endsAt, ends)
  await client.hset(key('one'), 'ends', Date.now() + 200)
  await until(async () => await repository.load(ref('one')) === null, 'it ended while it was used')
})

t.test('a session is loaded by its token, and a wrong one is like none: it gets no slot and no time', async t => {
  const { client, repository, key } = await openRepository(t)
  const token = 'the-token'
  await repository.create(ref('one'), opened, { seen: '' }, token)
  await client.expire(key('one'), 50)

  for (const wrong of ['', 'the-toke', 'the-token ', 'none']) {
    t.equal(await repository.load({ ...ref('one'), token: wrong }, { takeSlot: true }), null)
    t.equal(await repository.remove({ ...ref('one'), token: wrong }), null)
  }
  t.ok(await client.ttl(key('one')) <= 50)
  t.equal(await client.hexists(key('one'), 'running'), 0)

  t.match(await repository.load({ ...ref('one'), token }), { id: 'one' })
  t.ok(await isGiven(client, key('one'), 100))
  t.notOk(JSON.stringify(await client.hgetall(key('one'))).includes(token), 'only its hash is kept')
  t.not(await repository.remove({ ...ref('one'), token }), null)
})

t.test('a session without a token is not found by a request that must have one', async t => {
  const { repository, create } = await openRepository(t)
  await create('one')
  for (const token of ['', 'none', 'any']) t.equal(await repository.load({ ...ref('one'), token }), null)
})

t.test('API keys do not see each other\'s sessions, nor those of no key, whatever the ids', async t => {
  const { client, repository, create, keyPrefix } = await openRepository(t, { clients: ['a', 'b'] })
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
  const keys = ['a:one', 'a:two', 'b:one'].map(id => `${keyPrefix}:${id}`)
  t.strictSame((await client.keys(`${keyPrefix}:*`)).sort(), keys)
})

t.test('an API key has so many sessions, and no more, until one ends', async t => {
  const { repository } = await openRepository(t, { clients: ['a', 'b'], maxSessionsPerClient: 2 })
  const create = (id: string, client = 'a') => repository.create({ id, client }, opened, { seen: '' })
  await create('one')
  await create('two')
  await t.rejects(create('three'), { code: 'MCPC_ERR_TOO_MANY_SESSIONS', statusCode: 429 })
  t.strictSame(await create('three', 'b'), [])
  await repository.remove({ id: 'one', client: 'a' })
  t.strictSame(await create('three'), [])
})

t.test('of ten requests that open the same id at once, one does', async t => {
  const { repository } = await openRepository(t)
  const create = () => repository.create(ref('one'), opened, { seen: '' })
  const created = await Promise.all(Array.from({ length: 10 }, create))
  t.equal(created.filter(notCached => notCached !== null).length, 1)
})

t.test('an API key neither ends nor replaces a session that was opened without one, whatever the ids', async t => {
  const { client, repository, create, key } = await openRepository(t, { clients: ['a'] })
  await create('a:one')
  t.equal(await repository.remove({ id: 'one', client: 'a' }), null)
  t.equal(await client.exists(key('a:one')), 1)
  const { owner } = await repository.find({ id: 'one', client: 'a' })
  t.notSame(owner, null, 'it has an owner')
  t.notMatch(owner, ownerOf(opened.identity, owner?.key ?? ''))
  await client.set(key('a:old'), JSON.stringify({ apiUrl: 'https://a.example', jwtToken: 'a.b.c' }))
  await t.rejects(repository.load({ id: 'old', client: 'a' }), { code: 'MCPC_ERR_SESSION_UNREADABLE' })
})
