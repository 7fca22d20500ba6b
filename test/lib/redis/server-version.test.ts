import t, { type Test } from 'tap'
import { openRedis } from '../../../lib/redis/connection.ts'
import { oldestVersion } from '../../../lib/redis/server-version.ts'
import { startProxy } from '../../support/redis-proxy.ts'
import { startCluster } from '../../support/redis-topologies.ts'
import { redisClient, startRedis } from '../../support/redis.ts'
import { listen } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

t.setTimeout(170_000)

/** Replaces the line of the version, and what follows it, by as many characters. */
const says = (line: string) => (answer: string) =>
  answer.replace(/redis_version:[^\r]*\r\n[^\r]*/, found => `${line}\r\nx:`.padEnd(found.length, 'x'))

/** What opening a Redis gives that says this of its version. */
async function open (t: Test, line: string): Promise<string> {
  const { socket } = await startRedis(t)
  const { url } = await startProxy(t, socket, says(line))
  const events = { onLost: () => {}, onRestored: () => {} }
  const options = { keyPrefix: 'test', ...events }
  return await openRedis({ url, host: '', port: 0, db: 0, commandTimeoutMs: 5_000 }, options).then(
    async connection => {
      await connection.close()
      return 'opened'
    },
    (error: Error) => error.message.replace(/127\.0\.0\.1:\d+/, 'there')
  )
}

t.test('a Redis that is too old ends the start with a line that names both versions', async t => {
  for (const version of ['5.0.14', '5.9.99', '4.0.9', '3.2.12', '2.8.24', '2.6', '5', '5.0.0-rc1', '0.0.1']) {
    t.equal(
      await open(t, `redis_version:${version}`),
      `Redis at there cannot be used: it is Redis ${version}, and this service needs ${oldestVersion.text} or newer`
    )
  }
})

t.test('one that is new enough is used, and one that says nothing of use is, too', async t => {
  for (const line of [
    ...['6.0.0', '6.2.19', '7.0.15', '7.2.4', '8.0.1', '10.0.0', '255.255.255', '6'].map(text => `redis_version:${text}`),
    'valkey_version:8.1.0', 'redis_version:', 'redis_version:df-1.2', 'version:5.0.0', 'x_redis_version:5.0.0'
  ]) t.equal(await open(t, line), 'opened', line)
})

t.test('the service writes the line at its start', async t => {
  const { socket } = await startRedis(t)
  const { url } = await startProxy(t, socket, says('redis_version:5.0.14'))
  await t.rejects(listen(t, { REDIS_URL: url }), { code: 'MCPC_ERR_STORE_START', message: /it is Redis 5\.0\.14, and/ })
})

t.test('a Redis that refuses INFO is used, and a line at debug says so', async t => {
  const { url } = await startRedis(t)
  await (await redisClient(t, url)).acl('SETUSER', 'mcp', 'on', '>pass', '~*', '&*', '+@all', '-info')
  const service = await listen(t, {
    REDIS_URL: url, REDIS_USERNAME: 'mcp', REDIS_PASSWORD: 'pass', MCP_LOG_LEVEL: 'debug'
  })
  t.equal((await fetch(`${service.url}/readyz`)).status, 200)
  t.match(service.output(), /"level":"debug"[^\n]*NOPERM[^\n]*redis does not say its version/)
  const other = await listen(t, { REDIS_URL: url, REDIS_USERNAME: 'mcp', REDIS_PASSWORD: 'pass', MCP_LOG_LEVEL: 'info' })
  t.notMatch(other.output(), 'version"')
})

t.test('each primary of a cluster is asked', async t => {
  const nodes = await startCluster(t)
  const clusterNodes = nodes.map(({ primary }) => ({ host: '127.0.0.1', port: primary.port }))
  const asked = new Map<number, string[]>()
  for (const { primary: { client, port } } of nodes) {
    const commands: string[] = []
    asked.set(port, commands)
    const monitor = await client.monitor()
    t.teardown(() => monitor.disconnect())
    monitor.on('monitor', (_: string, command: string[]) => commands.push(command.join(' ')))
  }
  const options = { keyPrefix: 'test', onLost: () => {}, onRestored: () => {} }
  const { close } = await openRedis({ host: '', port: 0, db: 0, clusterNodes, commandTimeoutMs: 5_000 }, options)
  await close()
  for (const [port, commands] of asked) {
    await until(() => commands.includes('info server'), `the primary on port ${port} was asked`)
  }
})
