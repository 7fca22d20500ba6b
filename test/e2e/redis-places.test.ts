import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import app from '../../app.ts'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { makeFolder } from '../support/folders.ts'
import { fixture } from '../support/paths.ts'
import { freePort } from '../support/ports.ts'
import { startClusterNode, startNode, startSentinel, tlsFile } from '../support/redis-topologies.ts'
import { call, initSession } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { build, type Environment, environment } from '../support/service.ts'

t.jobs = 3

const secret = 'canary-redis-password-4711'

async function works (t: Test, app: FastifyInstance): Promise<void> {
  const session = await initSession(app)
  t.equal((await call(app, session, 'keep', { name: 'value1', value: 1 })).statusCode, 200)
  t.match((await call(app, session, 'recall')).json(), { values: { value1: 1 } })
  const kept = await app.inject({
    method: 'POST', url: '/call-tool', payload: { session_id: session, tool: 'recall', reference: true }
  })
  const result = await app.inject({ url: `/results/${kept.json().ref}`, headers: { 'x-session-id': session } })
  t.match([result.statusCode, result.json()], [200, { values: { value1: 1 } }])
  t.equal((await app.inject('/health')).json().sessions, 1)
  t.equal((await app.inject({ method: 'POST', url: '/shutdown', payload: { session_id: session } })).statusCode, 200)
}

/** A call that is made later, by a worker that Redis tells of it; its events are beside its session. */
async function worksLater (t: Test, app: FastifyInstance, ids: string[]): Promise<void> {
  for (const id of ids) {
    await app.inject({ method: 'POST', url: '/init', payload: { session_id: id, apiUrl, jwtToken } })
    const accepted = await app.inject({
      method: 'POST',
      url: '/call-tool',
      headers: { prefer: 'respond-async' },
      payload: { session_id: id, tool: 'talking__talk' }
    })
    t.equal(accepted.statusCode, 202, accepted.body)
    const { call } = accepted.json()
    const headers = { 'x-session-id': id }
    const kept = await app.inject({
      method: 'POST', url: '/call-tool', headers, payload: { tool: 'recall', reference: true }
    })
    t.match([kept.statusCode, kept.body], [200, /"ref":"r_/], id)
    const { body } = await app.inject({ url: `/calls/${call}/events`, headers })
    t.match(body, /event: progress\n[^]*event: result\n/, id)
    t.match((await app.inject({ url: `/calls/${call}`, headers })).json(), { status: 'completed' })
    t.equal((await app.inject({ method: 'DELETE', url: '/session', headers })).statusCode, 200)
  }
}

/** Settings of a service that calls later, with a tool that tells its progress. */
async function later (t: Test): Promise<Environment> {
  const said = join(await makeFolder(t), 'said')
  await writeFile(said, '{"progress":1}\n')
  await writeFile(`${said}.go`, '')
  const talking = { command: process.execPath, args: [fixture('talking-server.mjs'), said], lifecycle: 'shared' }
  const tiny = { command: process.execPath, args: [fixture('tiny-server.mjs')], values: 'chain', prefix: '' }
  return {
    MCP_ASYNC_CALLS: 'on',
    MCP_SERVERS_FILE: await serversFile(t, { tiny, talking })
  }
}

/** What a start is refused with. */
async function refusal (t: Test, env: Environment): Promise<string> {
  const service = Fastify({ logger: false, pluginTimeout: 60_000 })
  t.teardown(() => service.close())
  const loading = service.register(fp(app), { env: await environment(t, { REDIS_URL: undefined, ...env }) })
  const error = await Promise.resolve(loading)
    .then(() => service.ready())
    .then(
      () => new Error('it started'),
      (error: Error) => error
    )
  t.notMatch(error.message, '\n')
  t.notMatch(error.message, secret)
  return error.message
}

t.test("Redis over TLS, whose authority is the operator's own", async t => {
  const { port, client } = await startNode(t, () => [], { tls: true })
  await client.call('ACL', 'SETUSER', 'mcp', 'on', `>${secret}`, '~*', '+@all')
  await client.call('ACL', 'SETUSER', 'default', 'off')
  const login = { REDIS_USERNAME: 'mcp', REDIS_PASSWORD: secret, REDIS_TLS_CA: tlsFile('ca.pem') }
  await works(
    t,
    await build(t, { REDIS_URL: undefined, REDIS_HOST: '127.0.0.1', REDIS_PORT: String(port), ...login })
  )
  await works(t, await build(t, { REDIS_URL: `rediss://localhost:${port}/1`, ...login }))

  const other = await refusal(t, {
    REDIS_URL: `rediss://localhost:${port}`,
    ...login,
    REDIS_TLS_CA: tlsFile('other-ca.pem')
  })
  t.match(other, new RegExp(`^Redis at localhost:${port} cannot be used: .*certificate`))
  t.match(
    await refusal(t, { REDIS_URL: `rediss://localhost:${port}`, ...login, REDIS_PASSWORD: 'wrong' }),
    /cannot be used: WRONGPASS/
  )
})

t.test('sentinels and their Redis over TLS', async t => {
  const primary = await startNode(t, () => [], { tls: true })
  const sentinel = await startSentinel(t, 'main', primary.port, { tls: true, quorum: 1 })
  await works(
    t,
    await build(t, {
      REDIS_URL: undefined,
      REDIS_SENTINELS: `localhost:${sentinel.port}`,
      REDIS_SENTINEL_NAME: 'main',
      REDIS_TLS_CA: tlsFile('ca.pem')
    })
  )
})

t.test('a cluster over TLS', async t => {
  const node = await startClusterNode(t, { tls: true })
  await node.client.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383)
  const app = await build(t, {
    REDIS_URL: undefined,
    REDIS_CLUSTER_NODES: `localhost:${node.port}`,
    REDIS_TLS_CA: tlsFile('ca.pem'),
    ...await later(t)
  })
  await works(t, app)
  await worksLater(t, app, ['one', '{one}two', 'one}two'])
  t.strictSame(await node.client.keys('mcp_events:*'), [])
  // A script with keys of two slots is refused, also where one node has both.
  for (const id of ['a{b', 'a{b}c', '{a}', 'a{b{c}}', 'a}b', '{}', '{}{x}', '}{', 'ü{ä}', '}ü']) {
    const opening = { session_id: id, apiUrl: 'https://a.example.com', jwtToken: 'a.b.c' }
    await app.inject({ method: 'POST', url: '/init', payload: opening })
    const payload = { session_id: id, tool: 'recall', reference: true }
    const kept = await app.inject({ method: 'POST', url: '/call-tool', payload })
    t.match([kept.statusCode, kept.body], [200, /"ref":"r_/], id)
  }
})

t.test('the least rights that the documentation names are enough', async t => {
  const node = await startNode(t)
  const page = await readFile(join(import.meta.dirname, '..', '..', 'docs', 'operations.md'), 'utf8')
  const [, rights = ''] = /^user mcp on ><password> (.*)$/m.exec(page) ?? []
  await node.client.call('ACL', 'SETUSER', 'mcp', 'on', `>${secret}`, ...rights.split(' '))
  const env = { REDIS_URL: `redis://mcp:${secret}@127.0.0.1:${node.port}`, MCP_SESSION_KEY_PREFIX: 'mcp_session' }
  await works(t, await build(t, env))

  const [, further = ''] = /^With `MCP_ASYNC_CALLS=on` the user also needs (.*?)\n\n/ms.exec(page) ?? []
  const added = [...further.matchAll(/`([~&+][^`]+)`/g)].map(([, right = '']) => right)
  t.ok(added.length > 10)
  await node.client.call('ACL', 'SETUSER', 'mcp', ...added)
  await node.client.call('ACL', 'LOG', 'RESET')
  const app = await build(t, { ...env, ...await later(t) })
  await works(t, app)
  await worksLater(t, app, ['one', 'one}two'])
  const refused = (await node.client.call('ACL', 'LOG') as unknown[][]).map(entry => JSON.stringify(entry))
  t.strictSame(refused.filter(entry => !entry.includes('setinfo')), [])
})

t.test('a start that finds no Redis names all places, and says why', async t => {
  const ports = [await freePort(), await freePort()]
  const places = ports.map(port => `127.0.0.1:${port}`).join(', ')
  const login = { REDIS_PASSWORD: secret }
  const [sentinels, cluster] = await Promise.all([
    refusal(t, { ...login, REDIS_SENTINELS: places, REDIS_SENTINEL_NAME: 'main', REDIS_SENTINEL_PASSWORD: secret }),
    refusal(t, { ...login, REDIS_CLUSTER_NODES: places })
  ])
  t.match(sentinels, `Redis at main of sentinels ${places} cannot be used: All sentinels are unreachable`)
  t.match(cluster, `Redis at cluster ${places} cannot be used: `)
  t.match(cluster, /ECONNREFUSED|Connection is closed/)
})

t.test('a file of authorities that is none stops the start by name', async t => {
  for (const file of ['no-such-file.pem', tlsFile('README.md')]) {
    t.match(
      await refusal(t, { REDIS_HOST: '127.0.0.1', REDIS_PORT: '1', REDIS_TLS_CA: file }),
      /^REDIS_TLS_CA must be a file of certificates in PEM form, but ".*" cannot be read as one$/
    )
  }
})
