import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { createExpiryIndex, createExpiryIndexes } from '../../../lib/sessions/expiry-index.ts'
import { createSessionRepository } from '../../../lib/sessions/session-repository.ts'
import { createSessionRedis } from '../../../lib/sessions/scripts.ts'
import { redisClient, startRedis } from '../../support/redis.ts'
import { opened, openRepository, ref, repositoryOptions } from '../../support/session-repository.ts'
import { until } from '../../support/wait.ts'

t.test('the count follows sessions that are opened, ended, expired, or kept alive by use', async t => {
  const { client, repository, create, keyPrefix, key } = await openRepository(t)
  for (const id of ['a', 'b', 'c', 'd']) await create(id)
  t.equal(await repository.count(), 4)

  await repository.remove(ref('a'))
  t.equal(await repository.count(), 3)

  // As if all TTLs that were set at opening had run out: b is gone by itself, c and d live on because they were used.
  await client.del(key('b'))
  for (const id of ['b', 'c', 'd']) await client.zadd(`mcp_index:${keyPrefix}`, '1', id)
  t.equal(await repository.count(), 2)
  // In either order: their times may differ by a millisecond.
  const index = `mcp_index:${keyPrefix}`
  t.strictSame((await client.zrange(index, '0', '-1')).sort(), ['c', 'd'])
  for (const id of ['c', 'd']) {
    t.ok(Number(await client.zscore(index, id)) > Date.now(), 'what lives has its new time')
  }
})

t.test('opening sessions clears the index of expired ones, also when nothing counts them', async t => {
  const { client, create, keyPrefix } = await openRepository(t)
  const index = `mcp_index:${keyPrefix}`
  for (let number = 0; number < 100; number++) await client.zadd(index, 1, `gone-${number}`)

  for (let number = 0; number < 12; number++) await create(`new-${number}`)

  t.equal(await client.zcard(index), 12)
})

t.test('the end of a session does not uncount another one that was opened under its id meanwhile', async t => {
  const { client, repository, create, keyPrefix } = await openRepository(t)
  await create('one')
  const entry = await client.zscore(`mcp_index:${keyPrefix}`, 'one')
  await until(async () => {
    await client.zadd(`mcp_index:${keyPrefix}`, Date.now() + 100_000, 'one')
    return await client.zscore(`mcp_index:${keyPrefix}`, 'one') !== entry
  }, 'it is entered anew')
  const index = createExpiryIndex(createSessionRedis(client, 500), { keyPrefix, ttlSeconds: 100 }, null)
  await index.remove('one', entry ?? '')
  t.equal(await client.zcard(`mcp_index:${keyPrefix}`), 1)
  await repository.remove(ref('one'))
  t.equal(await client.zcard(`mcp_index:${keyPrefix}`), 0)
})

/** Entries that are due, as arguments of ZADD. */
const due = (count: number, name = 'gone') =>
  Array.from({ length: count }, (_, number) => ['1', `${name}-${number}`]).flat()

t.test('a count looks at a bounded number of due entries, and counts converge', async t => {
  const { client, repository, create, keyPrefix, key } = await openRepository(t)
  await create('live')
  for (let number = 0; number < 60; number++) await client.set(key(`used-${number}`), '', 'EX', 100)
  await client.zadd(`mcp_index:${keyPrefix}`, ...due(500), ...due(60, 'used'))
  const counts: number[] = []
  while (counts.at(-1) !== 61 && counts.length < 20) counts.push(await repository.count())
  // Each removes what it finds dead. So none removes more than a batch, and all of them take no more than they need.
  counts.forEach((count, turn) => t.ok((turn === 0 ? 561 : counts[turn - 1] ?? 0) - count <= 50, `count ${turn}`))
  t.ok(counts.length <= 13, `${counts.length} counts`)
})

t.test('a count of the sessions of many API keys looks at a few hundred entries in all', async t => {
  const { url } = await startRedis(t)
  const client = await redisClient(t, url)
  const clients = Array.from({ length: 40 }, (_, number) => `key-${number}`)
  for (const name of clients) await client.zadd(`mcp_index:test#${name}`, ...due(100))
  const indexes = createExpiryIndexes(createSessionRedis(client, 10_000), { keyPrefix: 'test', ttlSeconds: 100, clients })
  let count = await indexes.count()
  t.match(await client.info('commandstats'), /cmdstat_pttl:calls=([12]\d\d|3[0-4]\d),/)
  for (let turn = 0; turn < 20 && count > 0; turn++) count = await indexes.count()
  t.equal(count, 0)
})

t.test('an index ends by itself after its API key was removed, and not before its sessions', async t => {
  const options = { idleTtlSeconds: 1, clients: ['removed'] }
  const { client, repository, keyPrefix } = await openRepository(t, options)
  const of = { id: 'one', client: 'removed' }
  await repository.create(of, opened, await repository.find(of))
  const index = `mcp_index:${keyPrefix}#removed`
  const [left, ofSession] = [await client.pttl(index), await client.pttl(`${keyPrefix}:removed:one`)]
  t.ok(left > 0 && left <= 2_000 && left > ofSession, `${left} ms, and the session ${ofSession} ms`)
  // A service without that key counts its own sessions only.
  const others = createSessionRepository(client, repositoryOptions(keyPrefix, { ...options, clients: ['kept'] }))
  await until(async () => {
    await others.count()
    return await client.exists(index) === 0
  }, 'nobody settles it, and it is gone')
})

t.test('the index of a session in use lives on, although nothing is opened, ended or counted', async t => {
  const { client, repository, create, keyPrefix } = await openRepository(t, { idleTtlSeconds: 2 })
  await create('one')
  for (let turn = 0; turn < 60; turn++) {
    if (await repository.load(ref('one')) === null) t.fail('the session is gone')
    if (await client.exists(`mcp_index:${keyPrefix}`) === 0) t.fail(`the index is gone at turn ${turn}`)
    await delay(100)
  }
  t.equal(await repository.count(), 1)
})

t.test('a load keeps the index of an older version, and sends a command for that seldom', async t => {
  const { url } = await startRedis(t)
  const client = await redisClient(t, url)
  const repository = createSessionRepository(client, repositoryOptions('test'))
  await repository.create(ref('one'), opened, await repository.find(ref('one')))
  await client.persist('mcp_index:test')

  const another = createSessionRepository(client, repositoryOptions('test'))
  await client.config('RESETSTAT')
  for (let turn = 0; turn < 50; turn++) await another.load(ref('one'))
  t.equal(await another.load(ref('unknown')), null)
  await until(async () => await client.pttl('mcp_index:test') > 0, 'it has an end now')
  t.match(await client.info('commandstats'), /cmdstat_zcard:calls=1,/, 'one script for 51 loads')
})

t.test('the life of an index is never shortened, not by a worker with a shorter idle TTL either', async t => {
  const { client, create, keyPrefix } = await openRepository(t)
  await create('one')
  const brief = createSessionRepository(client, repositoryOptions(keyPrefix, { idleTtlSeconds: 1 }))
  await brief.create(ref('two'), opened, await brief.find(ref('two')))
  await brief.count()
  await brief.remove(ref('two'))
  t.ok(await client.pttl(`mcp_index:${keyPrefix}`) > 100_000)
})
