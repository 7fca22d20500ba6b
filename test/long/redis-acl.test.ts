import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { makeFolder } from '../support/folders.ts'
import { fixture, root } from '../support/paths.ts'
import { startCluster } from '../support/redis-topologies.ts'
import { redisClient, startRedis } from '../support/redis.ts'
import { build, type Environment } from '../support/service.ts'

t.setTimeout(170_000)

/** The line of docs/operations.md that an operator copies. */
const documented = /^user mcp .*$/m.exec(readFileSync(join(root, 'docs', 'operations.md'), 'utf8'))?.[0] ?? ''
const line = documented.replace('<password>', 'pass')
const allowed = [...documented.matchAll(/ \+(\S+)/g)].map(([, command = '']) => command)

const settings: Environment = {
  REDIS_USERNAME: 'mcp',
  REDIS_PASSWORD: 'pass',
  MCP_SESSION_KEY_PREFIX: 'mcp_session',
  MCP_SERVERS_FILE: fixture('shared-tool-server.json'),
  MCP_ENCRYPTION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}`,
  MCP_SESSION_TOKENS: 'required',
  MCP_RATE_LIMIT_PER_MINUTE: '1000',
  MCP_INIT_RATE_LIMIT: '1000'
}

/** Uses all that needs Redis, and gives the statuses that are not good ones. */
async function walk (app: FastifyInstance, ids: string[]): Promise<string[]> {
  const failures: string[] = []
  for (const id of ids) {
    let authorization = ''
    const send = async (method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, body?: object) => {
      const response = await app.inject({
        method,
        url,
        headers: { authorization, ...(method !== 'POST' && { 'x-session-id': id }) },
        ...(body && { payload: method === 'POST' ? { session_id: id, ...body } : body })
      })
      if (response.statusCode !== 200) failures.push(`${method} ${url}: ${response.statusCode} ${response.body}`)
      return response
    }
    const opened = await send('POST', '/init', { apiUrl, jwtToken, given: 'value' })
    authorization = `Bearer ${opened.json<{ session_token: string }>().session_token}`
    await send('POST', '/init', { apiUrl, jwtToken, given: 'another' })
    await send('POST', '/tools', {})
    await send('POST', '/call-tool', { tool: 'recall', params: { name: 'value' } })
    await send('PUT', '/session/values', { put: [1, 2] })
    await send('GET', '/session')
    await send('DELETE', '/session/values/put')
    await send('GET', '/health')
    await send('GET', '/readyz')
    await send('POST', '/shutdown', {})
    await send('GET', '/health')
  }
  return failures
}

async function startWithAcl (t: Test): Promise<{ url: string, admin: Redis }> {
  const file = join(await makeFolder(t), 'users.acl')
  await writeFile(file, `user default on nopass ~* &* +@all\n${line}\n`)
  const { url } = await startRedis(t, ['--aclfile', file])
  return { url, admin: await redisClient(t, url) }
}

t.test('the user of the documented ACL may do all that the service does', async t => {
  const { url, admin } = await startWithAcl(t)
  const app = await build(t, { ...settings, REDIS_URL: `${url}?db=3` })
  t.strictSame(await walk(app, ['a', 'b']), [])

  // A session that was sealed with an older key is sealed anew, and one with a whole lifetime ends at its end.
  const next = await build(t, {
    ...settings,
    REDIS_URL: `${url}?db=3`,
    MCP_ENCRYPTION_KEYS: `k2:${Buffer.alloc(32, 2).toString('base64')},${settings.MCP_ENCRYPTION_KEYS}`,
    MCP_SESSION_MAX_LIFETIME: '100'
  })
  t.strictSame(await walk(next, ['c']), [])
  const refused = await admin.acl('LOG') as unknown[][]
  t.strictSame(refused.map(entry => entry[7]).filter(object => object !== 'client|setinfo'), [])
})

t.test('the documented ACL allows no command that the service does not use', async t => {
  const { url, admin } = await startWithAcl(t)
  await walk(await build(t, { ...settings, REDIS_URL: `${url}?db=3` }), ['a'])
  const counted = [...(await admin.info('commandstats')).matchAll(/^cmdstat_([^:]+)/gm)].map(([, name]) => name)
  const folders = ['sessions', 'redis'].map(room => join(root, 'lib', room, 'scripts'))
  const scripts = folders.flatMap(folder => readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.lua')).map(name => readFileSync(join(folder, name), 'utf8')))
  const inScripts = scripts.flatMap(text => [...text.matchAll(/redis\.p?call\('([A-Z]+)'/g)]
    .map(([, name = '']) => name.toLowerCase()))
  t.ok(inScripts.length > 30)
  t.strictSame(inScripts.filter(name => !allowed.includes(name)), [], 'scripts use no other')

  const used = new Set([...counted, ...inScripts])
  const elsewhere = ['quit', 'hgetall', 'cluster|slots', 'cluster|info'] // at the end, for a new key, in a cluster
  t.strictSame(allowed.filter(name => !used.has(name) && !elsewhere.includes(name)), [])
})

t.test('the documented ACL refuses what would harm others', async t => {
  const { url, admin } = await startWithAcl(t)
  await admin.set('of-another', 'value')
  await admin.set('mcp_rate:another:x', 'value')
  const user = (await redisClient(t, url)).duplicate({ username: 'mcp', password: 'pass' })
  t.teardown(() => user.disconnect())
  for (const command of [
    ['FLUSHALL'], ['FLUSHDB'], ['KEYS', '*'], ['SCAN', '0'], ['CONFIG', 'GET', '*'], ['CONFIG', 'SET', 'dir', '/tmp'],
    ['SHUTDOWN'], ['BGREWRITEAOF'], ['SAVE'], ['REPLICAOF', 'NO', 'ONE'], ['MONITOR'], ['CLIENT', 'LIST'],
    ['CLIENT', 'KILL', 'TYPE', 'normal'], ['ACL', 'LIST'], ['ACL', 'SETUSER', 'mcp', '+@all'], ['SCRIPT', 'FLUSH'],
    ['FUNCTION', 'FLUSH'], ['MODULE', 'LIST'], ['MIGRATE', 'h', '1', 'k', '0', '1'], ['RESTORE', 'mcp_session:a', '0', 'x'],
    ['DUMP', 'mcp_session:a'], ['SWAPDB', '0', '1'], ['PUBLISH', 'c', 'm'], ['SUBSCRIBE', 'c'], ['CLUSTER', 'RESET'],
    ['GET', 'of-another'], ['SET', 'of-another', 'x'], ['UNLINK', 'of-another'], ['GET', 'mcp_rate:another:x'],
    ['GET', 'mcp_session'], ['GET', 'mcp_audit:another'], ['GET', 'mcp_probe:mcp_sessionx'], ['HGETALL', 'mcp_sessions:a'],
    ['EVAL', "return redis.call('GET', 'of-another')", '0'], ['EVAL', "return redis.call('FLUSHALL')", '0'],
    ['EVAL', "return redis.call('KEYS', '*')", '0'], ['EVAL', "return redis.call('GET', KEYS[1])", '1', 'of-another']
  ]) {
    const [name = '', ...args] = command
    const refusal = /^NOPERM|The user executing the script can't/
    await t.rejects(user.call(name, ...args), { message: refusal }, command.join(' '))
  }
  t.equal(await admin.get('of-another'), 'value')
})

t.test('the documented ACL is enough in a cluster', async t => {
  const nodes = await startCluster(t)
  const [, , ...rules] = line.split(' ')
  for (const { primary, replica } of nodes) {
    for (const { client } of [primary, replica]) await client.call('ACL', 'SETUSER', 'mcp', ...rules)
  }
  const app = await build(t, {
    ...settings,
    REDIS_URL: undefined,
    REDIS_CLUSTER_NODES: nodes.map(({ primary }) => `127.0.0.1:${primary.port}`).join(',')
  })
  t.strictSame(await walk(app, ['a', 'b', 'c', 'd']), [])
})
