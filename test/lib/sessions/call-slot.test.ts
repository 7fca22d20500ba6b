import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { splitFields } from '../../../lib/sessions/fields.ts'
import { createSessionRedis } from '../../../lib/sessions/scripts.ts'
import { createSessionRepository } from '../../../lib/sessions/session-repository.ts'
import { redisClient } from '../../support/redis.ts'
import { repositoryOptions, texts, values } from '../../support/session-repository.ts'

const ref = { id: 'one', client: null }

async function open (t: Test) {
  const client = await redisClient(t)
  const keyPrefix = `test-${randomUUID()}`
  const repository = createSessionRepository(client, repositoryOptions(keyPrefix, { maxConcurrency: 2 }))
  const fields = { apiUrl: 'https://api.example.com', jwtToken: 'a.b.c' }
  await repository.create(ref, splitFields(texts(fields), Object.keys(fields)), { seen: '' })
  const key = `${keyPrefix}:one`
  const running = async () => await client.hget(key, 'running')
  const load = async () => {
    const session = await repository.load(ref, { takeSlot: true })
    if (session?.slot == null) throw new Error('no slot')
    return { session, slot: session.slot }
  }
  return { client, repository, key, running, load }
}

const call = { tool: 'plan', outcome: 'ok' as const, duration_ms: 3, at: '2026-01-01T00:00:00.000Z' }

t.test('a session that is loaded without a slot has none', async t => {
  const { repository, running } = await open(t)
  t.equal((await repository.load(ref))?.slot, null)
  t.equal(await running(), null)
})

t.test('a session has so many slots, and no more, until one is released', async t => {
  const { load, running } = await open(t)
  const [one, two] = [await load(), await load()]
  await t.rejects(load(), { code: 'MCPC_ERR_TOO_MANY_CALLS', statusCode: 429 })
  await one.slot.release()
  t.match(await running(), new RegExp(`^${two.slot.id} \\d+$`))
  t.equal((await load()).slot.id.length, 36)
})

t.test('a session that is loaded takes the same slots', async t => {
  const { repository, key, client, load, running } = await open(t)
  const { session, slot } = await load()
  const other = await repository.takeSlot(session)
  t.not(other.id, slot.id)
  await t.rejects(repository.takeSlot(session), { code: 'MCPC_ERR_TOO_MANY_CALLS', statusCode: 429 })
  await t.rejects(load(), { code: 'MCPC_ERR_TOO_MANY_CALLS' })
  t.equal((await running())?.split(' ').length, 4)
  await other.release()
  await slot.release()
  t.equal(await running(), null)
  const ttl = await client.pttl(key)
  await client.pexpire(key, 50_000)
  await (await repository.takeSlot(session)).release()
  t.ok(ttl > 50_000 && await client.pttl(key) <= 50_000, 'its TTL is left alone')
  await repository.remove(ref)
  await t.rejects(repository.takeSlot(session), { code: 'MCPC_ERR_SESSION_NOT_FOUND' })
  t.equal(await client.exists(key), 0)
})

t.test('a renewal holds a slot for longer', async t => {
  const { client, key, load, running } = await open(t)
  const { slot } = await load()
  const soon = Date.now() + 1_000
  await client.hset(key, 'running', `${slot.id} ${soon}`)
  await slot.renew()
  t.ok(Number((await running())?.split(' ')[1]) > soon + slot.renewEveryMs)
})

t.test('a slot is released once: neither a late renewal takes it again, nor does a second release act', async t => {
  const { client, repository, key, load, running } = await open(t)
  for (const end of ['release', 'write'] as const) {
    const { session, slot } = await load()
    if (end === 'release') await slot.release()
    else await repository.write(session, { call })
    t.equal(await running(), null, `${end} frees it`)
    await slot.renew()
    t.equal(await running(), null, `after ${end} a renewal does nothing`)

    // As if another call had a slot of the same name.
    const text = `${slot.id} ${Date.now() + 60_000}`
    await client.hset(key, 'running', text)
    await slot.release()
    t.equal(await running(), text, `after ${end} a release does nothing`)
    await client.hdel(key, 'running')
  }
})

t.test('a renewal that was sent before the release and arrives after it does nothing', async t => {
  const { client, key, load, running } = await open(t)
  const { session, slot } = await load()
  await slot.release()
  const { scripts } = createSessionRedis(client, 500)
  t.equal(await scripts.renewCallSlot(key, { meta: session.meta, slotId: slot.id, slotMs: 1_000 }), 0)
  t.equal(await running(), null)
})

t.test('changes that are no call keep the slot', async t => {
  const { repository, load, running } = await open(t)
  const { session, slot } = await load()
  await repository.write(session, { values: values({ a: 1 }) })
  t.match(await running(), slot.id)
})

t.test('slots of a session do not reach another one under the same id', async t => {
  const { client, repository, key, load, running } = await open(t)
  const { slot } = await load()
  const meta = await client.hget(key, 'meta') ?? ''
  await client.hset(key, 'meta', meta.replace('"generation":"', '"generation":"other-'))
  const before = await running()
  await slot.renew()
  await slot.release()
  t.equal(await running(), before)
  await repository.remove(ref)
  t.equal(await client.exists(key), 0)
})
