import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import t from 'tap'
import type { EncryptionKey } from '../../../lib/sessions/field-encryption.ts'
import {
  fields, isOwn, load, opened, openRepository, reads, readTexts, ref, values
} from '../../support/session-repository.ts'

const [k1, k2] = ['k1', 'k2'].map(id => ({ id, key: randomBytes(32) })) as [EncryptionKey, EncryptionKey]

t.test('with a key, no data of a user can be read in Redis, and every field is where it was', async t => {
  const { client, repository, create, key } = await openRepository(t, { encryptionKeys: [k1] })
  await create('one')
  const session = await load(repository, 'one')
  await repository.write(session, { values: values({ rows: ['secret row'] }) })
  await repository.replaceUpstream(session, 'charts', null, '{"sessionId":"secret session"}')

  const { meta, last_accessed: lastAccessed, calls, bytes, 'o:p:question': origin, ...sealed } = await client.hgetall(key('one'))
  t.strictSame(Object.keys(sealed).sort(), ['credentials', 'owner', 'p:question', 'p:rows', 'u:charts'])
  for (const [field, text] of Object.entries(sealed)) t.match(text, /^s1\.k1\.[\w-]+$/, field)

  const loaded = await load(repository, 'one', { values: reads('rows'), upstreams: ['charts'] })
  t.strictSame(loaded.credentialTexts(), opened.identity.credentials)
  t.equal((await readTexts(repository, loaded, ['rows']))?.get('rows'), '["secret row"]')
  const upstream = await repository.readUpstream(loaded, 'charts')
  t.equal(upstream?.text, '{"sessionId":"secret session"}')
  t.equal((await repository.replaceUpstream(loaded, 'charts', upstream, 'next'))?.text, 'next')
  t.equal((await repository.replaceUpstream(loaded, 'charts', upstream, 'too late'))?.text, 'next')
  t.equal(await isOwn(repository, 'one'), true)
  t.strictSame(await repository.remove(ref('one'), ['charts']), {
    credentials: { apiUrl: fields.apiUrl, jwtToken: fields.jwtToken },
    upstreams: new Map([['charts', 'next']])
  })
})

t.test('a field that was copied into another session does not open there, nor in a later one of its id', async t => {
  const { client, repository, create, key } = await openRepository(t, { encryptionKeys: [k1] })
  await create('one')
  await create('other')
  const copied = await client.hget(key('one'), 'credentials') ?? ''
  await client.hset(key('other'), 'credentials', copied)
  await t.rejects(repository.load(ref('other')), { code: 'MCPC_ERR_SESSION_UNREADABLE', cause: { name: 'SealError' } })
  await repository.remove(ref('one'))
  await create('one')
  await client.hset(key('one'), 'p:question', copied)
  const session = await load(repository, 'one')
  await t.rejects(readTexts(repository, session, ['question']), { code: 'MCPC_ERR_SESSION_UNREADABLE' })
})

t.test('after a rotation a session opens with the old key, and its use seals it with the new one', async t => {
  const { client, repository: old, create, keyPrefix, key } = await openRepository(t, { encryptionKeys: [k1] })
  const withKeys = async (...encryptionKeys: EncryptionKey[]) => {
    const { repository } = await openRepository(t, { keyPrefix, encryptionKeys })
    return repository
  }
  await create('one')
  const before = await load(old, 'one')
  await old.write(before, { values: values({ rows: [1] }) })
  t.equal(before.isStale, false)

  const rotated = await withKeys(k2, k1)
  const session = await load(rotated, 'one', { values: reads('rows') })
  t.equal(session.isStale, true)
  t.strictSame((await readTexts(rotated, session, ['rows']))?.get('rows'), '[1]')
  t.strictSame(await rotated.write(session, { values: values({ more: 2 }) }), [], 'what is written meanwhile is kept')
  await rotated.reseal(session)

  for (const [field, text] of Object.entries(await client.hgetall(key('one')))) {
    if (/^(credentials|owner|[pu]:)/.test(field)) t.match(text, /^s1\.k2\./, field)
  }
  const onlyNew = await withKeys(k2)
  const later = await load(onlyNew, 'one')
  t.equal(later?.isStale, false)
  const found = await readTexts(onlyNew, later, ['rows', 'more', 'question'])
  t.strictSame([...found ?? []], [['rows', '[1]'], ['more', '2'], ['question', '"why?"']])
  t.equal(Number(await client.hget(key('one'), 'bytes')), await storedBytes(client, key('one')))

  const unreadable = { code: 'MCPC_ERR_SESSION_UNREADABLE', cause: { message: /sealed with the key k2/ } }
  await t.rejects(old.load(ref('one')), unreadable)
  t.match(await old.find(ref('one')), { owner: null })
})

t.test('sealing is turned on for sessions that are open', async t => {
  const { client, create, keyPrefix, key } = await openRepository(t)
  await create('one')
  const { repository } = await openRepository(t, { keyPrefix, encryptionKeys: [k1] })
  t.equal(await isOwn(repository, 'one'), true)
  const session = await load(repository, 'one')
  t.equal(session.isStale, true)
  await repository.reseal(session)
  t.notOk(JSON.stringify(await client.hgetall(key('one'))).includes(fields.jwtToken))
  t.equal(Number(await client.hget(key('one'), 'bytes')), await storedBytes(client, key('one')))
  t.match(await repository.load(ref('one')), {
    credentials: { apiUrl: fields.apiUrl, jwtToken: fields.jwtToken }, isStale: false
  })
})

t.test('resealing brings back nothing that was ended, and replaces nothing that is newer', async t => {
  const { client, create, keyPrefix, key } = await openRepository(t)
  await create('one')
  const { repository } = await openRepository(t, { keyPrefix, encryptionKeys: [k1] })
  const session = await load(repository, 'one')
  await Promise.all([
    repository.reseal(session),
    ...[1, 2, 3, 4, 5].map(question => repository.write(session, { values: values({ question }) }))
  ])
  const later = await load(repository, 'one')
  t.equal((await readTexts(repository, later, ['question']))?.get('question'), '5')

  await repository.remove(ref('one'))
  await repository.reseal(session)
  t.equal(await client.exists(key('one')), 0)
})

t.test('resealing passes over what does not open', async t => {
  const { client, repository: old, create, keyPrefix, key } = await openRepository(t, { encryptionKeys: [k1] })
  await create('one')
  await old.write(await load(old, 'one'), { values: values({ good: 1 }) })
  await client.hset(key('one'), 'p:question', 's1.k0.AAAA')
  const { repository } = await openRepository(t, { keyPrefix, encryptionKeys: [k2, k1] })
  await repository.reseal(await load(repository, 'one'))
  const stored = await client.hgetall(key('one'))
  t.match(stored, { credentials: /^s1\.k2\./, 'p:good': /^s1\.k2\./, 'p:question': 's1.k0.AAAA' })
})

t.test('a session that cannot be opened holds no slot', async t => {
  const { client, create, keyPrefix, key } = await openRepository(t, { encryptionKeys: [k1] })
  await create('one')
  const { repository } = await openRepository(t, { keyPrefix, encryptionKeys: [k2] })
  for (let time = 0; time < 5; time++) {
    await t.rejects(repository.load(ref('one'), { takeSlot: true }), { code: 'MCPC_ERR_SESSION_UNREADABLE' })
  }
  t.equal(await client.hexists(key('one'), 'running'), 0)
})

/** Bytes of a session's cached values, counted by hand. */
async function storedBytes (client: Redis, key: string): Promise<number> {
  const fields = Object.entries(await client.hgetall(key)).filter(([field]) => field.startsWith('p:'))
  return fields.reduce((sum, [field, text]) => sum + Buffer.byteLength(field) + Buffer.byteLength(text), 0)
}
