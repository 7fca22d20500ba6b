import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { createSessionRepository } from '../../../lib/sessions/session-repository.ts'
import type { ValueOrigin } from '../../../lib/sessions/values.ts'
import { keptAs } from '../../../lib/sessions/values.ts'
import { startRedis } from '../../support/redis.ts'
import {
  fields, load, opened, openRepository, reads, readTexts, ref, repositoryOptions
} from '../../support/session-repository.ts'

const origin: ValueOrigin = { server: 'up', tool: 'act', as: 'result', at: '2026-01-01T00:00:00.000Z' }
const call = { tool: 'act', outcome: 'ok' as const, duration_ms: 3, at: '2026-01-01T00:00:00.000Z' }
const named = (count: number, first = 0) =>
  Array.from({ length: count }, (_, index) => [`name${first + index}`, String(first + index)] as const)
const valuesOf = (count: number, first = 0) => keptAs(new Map(named(count, first)), origin)
const outdated = (...names: string[]) => ({ names, origin })

/** A Redis of the test's own, which counts its commands. */
async function countingRedis (t: Test) {
  const { url } = await startRedis(t)
  const client = new Redis(url.replace('unix://', ''))
  t.teardown(() => client.disconnect())
  const repository = createSessionRepository(client, repositoryOptions('counted', { maxBytes: 16_777_216 }))
  await repository.create(ref('one'), opened, await repository.find(ref('one')))
  const session = await load(repository, 'one')
  await client.config('RESETSTAT')
  /** How often a command succeeded since then, by scripts or from outside: EVALSHA fails until Redis has the script. */
  async function calls (...commands: string[]): Promise<number> {
    const stats = await client.info('commandstats')
    return commands.reduce((sum, command) => {
      const [, called = 0, failed = 0] =
        new RegExp(`^cmdstat_${command}:calls=(\\d+),.*failed_calls=(\\d+)`, 'm').exec(stats) ?? []
      return sum + Number(called) - Number(failed)
    }, 0)
  }
  return { client, repository, session, calls }
}

t.test('many values are written in portions, each of few commands, and all of them are there', async t => {
  const { client, repository, session, calls } = await countingRedis(t)

  t.strictSame(await repository.write(session, { values: valuesOf(5_000), call }), [])

  t.equal(await calls('evalsha', 'eval'), 10)
  t.ok(await calls('hset', 'hlen', 'hstrlen', 'hmget', 'hincrby', 'expire', 'hdel') < 5_000 + 10 * 8)
  const stored = await client.hgetall('counted:one')
  for (const [name, text] of named(5_000)) if (stored[`p:${name}`] !== text) t.fail(name)
  const sizes = named(5_000).map(([name, text]) => `p:${name}`.length + text.length)
  const own = `p:question${JSON.stringify(fields.question)}`.length
  t.equal(stored.bytes, String(sizes.reduce((sum, size) => sum + size, own)))
  t.equal(stored.calls, '1')
  t.strictSame(JSON.parse(stored.last_call ?? ''), call)
})

t.test('few values are one write, as is none', async t => {
  const { repository, session, calls } = await countingRedis(t)
  await repository.write(session, { values: valuesOf(500), call })
  t.equal(await calls('evalsha', 'eval'), 1)
  await repository.write(session, { call })
  t.equal(await calls('evalsha', 'eval'), 2)
})

t.test('a session that ends between two portions is not written any more, and stays ended', async t => {
  for (const values of [valuesOf(10_000), valuesOf(1_001)]) {
    const { client, repository, create, key } = await openRepository(t, { maxBytes: 16_777_216 })
    await create('one')
    const session = await load(repository, 'one', { takeSlot: true })
    const writing = repository.write(session, { values, call })
    await client.del(key('one'))
    t.equal(await writing, null)
    t.equal(await client.exists(key('one')), 0)
  }
})

t.test('a session that another one takes the place of meanwhile gets none of the rest', async t => {
  const { client, repository, create, key } = await openRepository(t, { maxBytes: 16_777_216 })
  await create('one')
  const session = await load(repository, 'one')
  const writing = repository.write(session, { values: valuesOf(10_000), call })
  const creating = create('one')
  t.equal(await writing, null)
  await creating
  t.strictSame(Object.keys(await client.hgetall(key('one'))).filter(field => field.startsWith('p:')), ['p:question'])
})

t.test('the slot of a call is held until its last value is written', async t => {
  const { client, repository, create, key } = await openRepository(t, { maxBytes: 16_777_216 })
  await create('one')
  const session = await load(repository, 'one', { takeSlot: true })
  const writing = repository.write(session, { values: valuesOf(8_000), call })
  const [running, value] = await client.hmget(key('one'), 'running', 'p:name0')
  t.ok(running, 'a reader between two portions sees the slot')
  t.equal(value, '0', 'and the first values')
  await writing
  t.strictSame(await client.hmget(key('one'), 'running', 'p:name7999'), [null, '7999'])
})

t.test('the bounds of a session hold over all portions', async t => {
  const { client, repository, create, key } = await openRepository(t, { maxBytes: 16_777_216 })
  await create('one')
  const session = await load(repository, 'one')
  const leftOut = await repository.write(session, { values: valuesOf(12_000) })
  t.ok(await client.hlen(key('one')) <= 20_000)
  t.ok((leftOut?.length ?? 0) > 1_900)
  t.strictSame(await repository.write(session, { values: valuesOf(9_000) }), [], 'those that are there can be replaced')

  const small = await openRepository(t, { maxBytes: 20_000 })
  await small.create('one')
  const other = await load(small.repository, 'one')
  const tooLong = await small.repository.write(other, { values: valuesOf(2_000) })
  const { bytes } = await small.client.hgetall(small.key('one'))
  t.ok(Number(bytes) <= 20_000 && Number(bytes) > 18_000, String(bytes))
  t.ok((tooLong?.length ?? 0) > 300)
})

t.test('outdated values are removed, with their origins and their bytes, and no others', async t => {
  const { client, repository, create, key } = await openRepository(t)
  await create('one')
  const session = await load(repository, 'one')
  await repository.write(session, { values: valuesOf(10) })
  const before = Number((await client.hgetall(key('one'))).bytes)

  const names = ['name1', 'name2', 'unknown', '__proto__', ...named(100_000, 100).map(([name]) => name)]
  t.strictSame(await repository.write(session, { outdated: outdated(...names), call }), [])

  const left = await readTexts(repository, session, named(10).map(([name]) => name))
  t.strictSame([...left?.keys() ?? []], ['name0', ...named(7, 3).map(([name]) => name)])
  const stored = await client.hgetall(key('one'))
  t.notOk('o:p:name1' in stored || 'o:p:name2' in stored)
  t.equal(Number(stored.bytes), before - 2 * 'p:name11'.length)
  t.equal(stored.calls, '1')
})

t.test('a thousand outdated values and as many new ones are one call', async t => {
  const { client, repository, session } = await countingRedis(t)
  await repository.write(session, { values: valuesOf(1_500), call })
  const names = named(1_200).map(([name]) => name)
  await repository.write(session, { outdated: outdated(...names), values: valuesOf(1_200, 5_000), call })
  const stored = await client.hgetall('counted:one')
  t.equal(Object.keys(stored).filter(field => field.startsWith('p:name')).length, 1_500)
  t.equal(stored.calls, '2')
})

t.test('however many values are read, no command reads more than a thousand fields', async t => {
  const { client, repository, session, calls } = await countingRedis(t)
  await repository.write(session, { values: valuesOf(3_000) })
  for (const count of [999, 1_000, 1_001, 9_000, 50_000]) {
    await client.config('RESETSTAT')
    const found = await repository.readValues(session, reads(...named(count).map(([name]) => name)))
    t.equal(found?.filter(value => value !== null).length, Math.min(count, 3_000))
    t.equal(await calls('hmget'), Math.ceil(count / 1_000), `${count} names`)
  }
  await client.del('counted:one')
  t.equal(await repository.readValues(session, reads(...named(9_000).map(([name]) => name))), null)
})

t.test('a session is loaded with a thousand values at most; the others are read when they are wanted', async t => {
  const { repository, create } = await openRepository(t)
  await create('one')
  await repository.write(await load(repository, 'one'), { values: valuesOf(5) })
  for (const count of [100, 1_000, 4_000, 9_000, 50_000]) {
    const wanted = reads(...named(count).map(([name]) => name))
    const session = await load(repository, 'one', { values: wanted, takeSlot: true })
    t.equal((await repository.readValues(session, wanted))?.filter(value => value !== null).length, 5, `${count} names`)
    await session.slot?.release()
  }
})

t.test('a session of the Flask service with very many values is converted as a whole', async t => {
  const { client, repository, key } = await openRepository(t)
  const { apiUrl, jwtToken } = fields
  const blob = { session_id: 'old', apiUrl, jwtToken, ...Object.fromEntries(named(60_000)) }
  await client.set(key('old'), JSON.stringify(blob), 'EX', 100)
  const session = await load(repository, 'old')
  t.equal((await repository.readValues(session, reads(...named(60_000).map(([name]) => name))))?.every(Boolean), true)
})
