import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { findRedisServer, startRedisServer } from '../../scripts/redis-server.mjs'
import { makeFolder } from '../support/folders.ts'
import { redisClient } from '../support/redis.ts'

const real = findRedisServer() ?? ''

t.test('a server is found by the name of Redis and by the name of Valkey', async t => {
  for (const name of ['redis-server', 'valkey-server']) {
    const folder = await makeFolder(t)
    const binary = join(folder, name)
    await symlink(real, binary)
    t.equal(findRedisServer({ REDIS_SERVER_BIN: binary }), binary)
    const found = findRedisServer({ PATH: `/nowhere:${folder}` })
    // A machine that has Redis in one of the usual folders finds that one before a Valkey.
    t.ok(found === binary || (name === 'valkey-server' && found?.endsWith('/redis-server')), found ?? 'none')
  }
})

t.test('a server under the name of Valkey is started and stopped as Redis is', async t => {
  const folder = await makeFolder(t)
  const binary = join(folder, 'valkey-server')
  await symlink(real, binary)
  const server = await startRedisServer({ binary, folder })
  const client = await redisClient(t, server.url)
  t.equal(await client.ping(), 'PONG')
  client.disconnect()
  await server.stop()
  t.throws(() => process.kill(server.pid, 0), { code: 'ESRCH' })
})

t.test('what is no server is not taken for one', async t => {
  const folder = await makeFolder(t)
  t.equal(findRedisServer({ REDIS_SERVER_BIN: join(folder, 'valkey-server') }), null)
  t.not(findRedisServer({ PATH: folder }), join(folder, 'valkey-server'))
})
