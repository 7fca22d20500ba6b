import t from 'tap'
import { splitFields } from '../../../lib/sessions/fields.ts'
import type { SessionDescription } from '../../../lib/sessions/session-contents.ts'
import { credentialBytes } from '../../support/credentials.ts'
import { isGiven } from '../../support/redis.ts'
import {
  fields, load, openRepository, readTexts, ref, sensitiveParams, texts, values
} from '../../support/session-repository.ts'
import { until } from '../../support/wait.ts'

/** The bytes of a session's values, by name. */
const bytesOf = (described: SessionDescription | null) =>
  Object.fromEntries(described?.values.map(({ name, bytes }) => [name, bytes]) ?? [])

t.test('values are read by name, and only those that exist', async t => {
  const { repository, create } = await openRepository(t)
  await create('one')
  const session = await load(repository, 'one')
  const written = JSON.parse('{"a":{"deep":[1,null]},"b":null,"__proto__":"name","":"empty"}')
  await repository.write(session, { values: values(written) })

  const found = await readTexts(repository, session, ['a', 'b', 'c', '__proto__', '', 'toString'])

  t.strictSame([...found ?? []], [
    ['a', '{"deep":[1,null]}'], ['b', 'null'], ['__proto__', '"name"'], ['', '"empty"']
  ])
})

t.test('a write keeps its values beside the others, counts the call, and restarts the TTL', async t => {
  const { client, repository, create, key } = await openRepository(t)
  await create('one')
  const session = await load(repository, 'one')
  await client.expire(key('one'), 50)
  const call = { tool: 'plan', outcome: 'ok' as const, duration_ms: 3, at: '2026-01-01T00:00:00.000Z' }

  t.strictSame(await repository.write(session, { values: values({ a: 1 }), call }), [])
  t.strictSame(await repository.write(session, { values: values({ b: 2 }), call }), [])

  const stored = await client.hgetall(key('one'))
  t.match(stored, { 'p:a': '1', 'p:b': '2', 'p:question': '"why?"', calls: '2' })
  t.strictSame(JSON.parse(stored.last_call ?? ''), call)
  t.ok(await isGiven(client, key('one'), 100))
})

t.test('a write does not bring back a session that was ended', async t => {
  const { client, repository, create, key } = await openRepository(t)
  await create('one')
  const session = await load(repository, 'one')
  t.not(await repository.remove(ref('one')), null)

  t.equal(await repository.write(session, { values: values({ a: 1 }) }), null)

  t.equal(await client.exists(key('one')), 0)
  t.equal(await repository.remove(ref('one')), null)
})

t.test('a write does not bring back a session that expired', async t => {
  const { client, repository, create, key } = await openRepository(t)
  await create('one')
  const session = await load(repository, 'one')
  await client.pexpire(key('one'), 1)
  await until(async () => await client.exists(key('one')) === 0, 'the session expired')

  t.equal(await repository.write(session, { values: values({ a: 1 }) }), null)
  t.equal(await readTexts(repository, session, ['question']), null)
  t.equal(await client.exists(key('one')), 0)
})

t.test('neither writes nor reads of a session reach another one under the same id', async t => {
  const { client, repository, create, key } = await openRepository(t)
  await create('one')
  const session = await load(repository, 'one')
  await repository.remove(ref('one'))
  await create('one')

  t.equal(await repository.write(session, { values: values({ stolen: 1 }) }), null)
  t.equal(await readTexts(repository, session, ['question']), null)
  t.equal(await client.hexists(key('one'), 'p:stolen'), 0)
})

const { apiUrl, jwtToken } = fields
const ownBytes = credentialBytes({ apiUrl, jwtToken })

t.test('credentials count for the bytes of a session, those of now', async t => {
  const { repository, create } = await openRepository(t, { maxBytes: 100 + ownBytes })
  await create('one') // 16 bytes of values
  const session = await load(repository, 'one')
  const fits = async (length: number) => (await repository.write(session, { values: values({ a: 'x'.repeat(length) }) }))
  t.strictSame(await fits(79), [])
  t.strictSame(await fits(80), ['a'])
  const longer = { apiUrl, jwtToken: 'a.b.c-and-30-characters-more------' }
  const grown = credentialBytes(longer) - ownBytes
  const identity = { ...longer, credentials: texts(longer) }
  // The new credentials are what counts in the write that brings them, and after it.
  t.strictSame(await repository.write(session, { identity, values: values({ a: 'x'.repeat(80 - grown) }) }), ['a'])
  t.strictSame(await fits(79 - grown), [])
  t.strictSame(await fits(80 - grown), ['a'])
})

t.test('values that do not fit are not kept, nor is what they were before; smaller ones behind them are', async t => {
  const { client, repository, create, key } = await openRepository(t, { maxBytes: 100 + ownBytes })
  await create('one') // 'p:question' and '"why?"': 16 bytes
  const session = await load(repository, 'one')
  t.equal(await client.hget(key('one'), 'bytes'), '16')

  t.strictSame(await repository.write(session, { values: values({ a: 'x'.repeat(50) }) }), []) // 3 + 52
  t.strictSame(await repository.write(session, { values: values({ b: 'x'.repeat(50), c: 'x' }) }), ['b']) // c: 3 + 3
  t.equal(await client.hget(key('one'), 'bytes'), String(16 + 55 + 6))
  t.strictSame(await repository.write(session, { values: values({ a: 'x'.repeat(90) }) }), ['a'])
  t.equal(await client.hexists(key('one'), 'p:a'), 0, 'the older value is no longer so')
  t.equal(await client.hget(key('one'), 'bytes'), String(16 + 6))
  t.strictSame(await repository.write(session, { values: values({ a: 'x'.repeat(60), question: 'ä' }) }), [])
  t.equal(await client.hget(key('one'), 'bytes'), String((10 + 4) + 6 + (3 + 62)), 'bytes and not characters')
  const described = await repository.describe(session)
  t.equal(described?.cachedBytes, 85)
  t.strictSame(bytesOf(described), { question: 4, c: 3, a: 62 })
})

t.test('a value that cannot fit is not sent to Redis, and takes its older value along', async t => {
  const { client, repository, create, key } = await openRepository(t, { maxBytes: 1_000 })
  await create('one')
  const session = await load(repository, 'one')
  t.strictSame(await repository.write(session, { values: values({ a: 1, b: 1 }) }), [])
  const sent = async () => Number(/total_net_input_bytes:(\d+)/.exec(await client.info('stats'))?.[1])
  const before = await sent()
  const large = values({ a: 'x'.repeat(1_000_000), c: 2, d: 'x'.repeat(1_000) })
  t.strictSame(await repository.write(session, { values: large }), ['a', 'd'])
  t.ok(await sent() - before < 500_000)
  t.strictSame((await client.hkeys(key('one'))).filter(field => field.startsWith('p:')).sort(), ['p:b', 'p:c', 'p:question'])
  t.equal(await client.hget(key('one'), 'bytes'), String(16 + 4 + 4))
})

t.test('what /init brings and does not fit is named', async t => {
  const { repository } = await openRepository(t, { maxBytes: 30 + ownBytes })
  const session = splitFields(texts({ ...fields, big: 'x'.repeat(100), small: 1 }), sensitiveParams)
  t.strictSame(await repository.create(ref('one'), session, { seen: '' }), ['big'])
  const described = await repository.describe(await load(repository, 'one'))
  t.strictSame(bytesOf(described), { question: 6, small: 1 })
})
