import t from 'tap'
import { createExpiryIndex } from '../../../lib/sessions/expiry-index.ts'
import { createSessionRedis } from '../../../lib/sessions/scripts.ts'
import { openRepository, ref } from '../../support/session-repository.ts'
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
