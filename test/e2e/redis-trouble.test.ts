import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { openRedis } from '../../lib/redis/connection.ts'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { makeFolder } from '../support/folders.ts'
import { createGatedServer } from '../support/mcp-servers.ts'
import { startProxy } from '../support/redis-proxy.ts'
import { isSynced, type RedisNode, startClusterNode, startNode } from '../support/redis-topologies.ts'
import { redisClient, startRedis } from '../support/redis.ts'
import { type Answer, callAt, failureAt, openSession, post } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { listen, type ListeningService } from '../support/service.ts'
import { repositoryOptions, texts, values } from '../support/session-repository.ts'
import { measureWaiting, until } from '../support/wait.ts'
import { splitFields } from '../../lib/sessions/fields.ts'
import { createSessionRepository } from '../../lib/sessions/session-repository.ts'
import { defineSessionScripts } from '../../lib/sessions/scripts.ts'
import { findRedisServer, startRedisServer } from '../../scripts/redis-server.mjs'

t.jobs = 6
t.setTimeout(170_000)

/** Longer than usual, so that a busy machine is not taken for a Redis in trouble. */
const commandTimeoutMs = 1_500
const REDIS_COMMAND_TIMEOUT_MS = String(commandTimeoutMs)

interface Trouble {
  /** Where the service finds Redis. */
  url: string
  begin: () => unknown
  end: () => unknown
  /** Endpoints that answer 200 all the same. */
  unharmed?: string[]
}

const troubles: Record<string, (t: Test) => Promise<Trouble>> = {
  'is down': async t => {
    const redis = await startPersistentRedis(t)
    return { url: redis.url, begin: () => redis.stop(), end: () => redis.start() }
  },
  'is stalled': async t => {
    const redis = await startRedis(t)
    return {
      url: redis.url,
      begin: () => process.kill(redis.pid, 'SIGSTOP'),
      end: () => process.kill(redis.pid, 'SIGCONT')
    }
  },
  'is behind a network that swallows packets': async t => {
    const proxy = await startProxy(t, (await startRedis(t)).socket)
    return { url: proxy.url, begin: proxy.swallow, end: proxy.pass }
  },
  'resets the connection in the middle': async t => {
    const proxy = await startProxy(t, (await startRedis(t)).socket)
    return { url: proxy.url, begin: proxy.reset, end: proxy.pass }
  },
  'is loading its data': async t => {
    const redis = await startPersistentRedis(t)
    const fill = async () => {
      const client = await redisClient(t, redis.url)
      await client.call('DEBUG', 'POPULATE', 3_000, 'junk')
      await client.call('BGREWRITEAOF')
      await until(
        async () =>
          /aof_rewrite_in_progress:0[^]*aof_last_bgrewrite_status:ok/.test(await client.info('persistence')),
        'all is written'
      )
      client.disconnect()
      await redis.stop()
      await redis.start('loading')
    }
    return { url: redis.url, begin: fill, end: () => redis.answers() }
  },
  'has become a replica': async t => {
    const old = await startNode(t)
    const next = await startNode(t, () => ['--replicaof', '127.0.0.1', String(old.port)])
    await isSynced(next)
    return {
      url: `redis://127.0.0.1:${old.port}`,
      async begin () {
        const offset = async ({ client }: RedisNode) =>
          /master_repl_offset:(\d+)/.exec(await client.info('replication'))?.[1]
        await until(
          async () => (await offset(old)) === (await offset(next)),
          'the next primary has what the old one has'
        )
        await next.client.replicaof('NO', 'ONE')
        await old.client.replicaof('127.0.0.1', next.port)
      },
      async end () {
        await isSynced(old)
        await old.client.replicaof('NO', 'ONE')
      }
    }
  },
  'is full': async t => {
    const { url } = await startRedis(t, ['--maxmemory-policy', 'noeviction'])
    const admin = await redisClient(t, url)
    return {
      url,
      begin: () => admin.config('SET', 'maxmemory', '1'),
      end: () => admin.config('SET', 'maxmemory', '0'),
      unharmed: ['/shutdown'] // which frees memory
    }
  },
  'has another password': async t => {
    const { url } = await startRedis(t)
    const admin = await redisClient(t, url)
    return {
      url,
      async begin () {
        await admin.config('SET', 'requirepass', 'not-a-real-password')
        await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      },
      end: () => admin.config('SET', 'requirepass', '')
    }
  },
  'forbids scripts': async t => {
    const { url } = await startRedis(t)
    const admin = await redisClient(t, url)
    return {
      url,
      begin: () => admin.call('ACL', 'SETUSER', 'default', '-evalsha', '-eval'),
      end: () => admin.call('ACL', 'SETUSER', 'default', '+evalsha', '+eval')
    }
  },
  'is a cluster whose slots nobody serves': async t => {
    const node = await startClusterNode(t)
    const give = async () => {
      await node.client.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383)
      await until(
        async () => /cluster_state:ok/.test(String(await node.client.call('CLUSTER', 'INFO'))),
        'the cluster is whole'
      )
    }
    await give()
    return {
      url: `redis://127.0.0.1:${node.port}`,
      begin: () => node.client.call('CLUSTER', 'DELSLOTSRANGE', 0, 16_383),
      end: give
    }
  },
  'says that the keys have moved': async t => {
    const [node, other] = await Promise.all([startClusterNode(t), startClusterNode(t)])
    const ids = await Promise.all(
      [node, other].map(async ({ client }) => String(await client.call('CLUSTER', 'MYID')))
    )
    await node.client.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383)
    await node.client.call('CLUSTER', 'SET-CONFIG-EPOCH', 1)
    await node.client.call('CLUSTER', 'MEET', '127.0.0.1', other.port, other.busPort)
    await until(
      async () => /cluster_state:ok/.test(String(await node.client.call('CLUSTER', 'INFO'))),
      'the cluster is whole'
    )
    await until(
      async () => String(await node.client.call('CLUSTER', 'NODES')).includes(ids[1] ?? ''),
      'the nodes know each other'
    )
    const slots = Array.from({ length: 16_384 }, (_, slot) => slot)
    const give = async (id: string | undefined) => {
      const pipeline = node.client.pipeline()
      for (const slot of slots) pipeline.call('CLUSTER', 'SETSLOT', slot, 'NODE', id ?? '')
      await pipeline.exec()
    }
    return {
      url: `redis://127.0.0.1:${node.port}`,
      // Keys stay where they are when a slot is taken away, and are served again when it comes back.
      async begin () {
        await node.client.call('CLUSTER', 'DELSLOTSRANGE', 0, 16_383)
        await give(ids[1])
      },
      end: () => give(ids[0])
    }
  }
}

const unavailableAt = (path: string) =>
  failureAt(path, 'STORE_UNAVAILABLE', 'The session store is unavailable', { retryable: true })

function prepare (t: Test, what: string): Promise<Trouble> {
  const start = troubles[what]
  if (start === undefined) throw new Error(`there is no trouble ${what}`)
  return start(t)
}

for (const what of Object.keys(troubles)) {
  t.test(
    `while Redis ${what}, each request is answered 503 within a second of the command timeout; it heals by itself; two log lines tell of it`,
    async t => {
      const trouble = await prepare(t, what)
      const service = await listen(t, { REDIS_URL: trouble.url, REDIS_COMMAND_TIMEOUT_MS })
      const [session, other] = [await openWhenWell(service), await openWhenWell(service)]
      await until(async () => (await callAt(service, session, 'echo')).status === 200, 'all is well before')
      await until(async () => (await get(service, '/readyz')).status === 200, 'all is well before')

      const before = service.output().length
      await trouble.begin()
      // The first ones meet the trouble, the others find it known.
      for (const round of ['at first', 'then']) { await t.test(round, t => allUnavailable(t, service, { session, other, unharmed: trouble.unharmed ?? [] })) }
      await trouble.end()

      const waitedMs = measureWaiting()
      await until(async () => (await callAt(service, session, 'echo')).status === 200, 'the session is served again')
      t.ok(waitedMs() < 6_000, `it waited ${waitedMs()} ms until it was well`)
      t.match(await get(service, '/readyz'), { status: 200 })
      await until(() => service.output().includes('"msg":"redis restored"'), 'the log says that it is over')
      const lines = service
        .output()
        .slice(before)
        .split('\n')
        .filter(line => line.startsWith('{'))
        .map(line => JSON.parse(line) as { level: string; msg: string })
      t.strictSame(
        lines.filter(({ level, msg }) => !['info', 'debug'].includes(level) || msg.startsWith('redis')).map(({ msg }) => msg),
        ['redis lost', 'redis restored']
      )
      t.notMatch(service.output(), jwtToken)
    }
  )
}

/** Opens a session. A busy machine may be slower than the command timeout, which is short here. */
async function openWhenWell (service: ListeningService): Promise<string> {
  let session: string | null = null
  await until(async () => {
    session = await openSession(service).catch(() => null)
    return session !== null
  }, 'a session is open')
  return String(session)
}

async function allUnavailable (
  t: Test,
  service: ListeningService,
  { session, other, unharmed }: { session: string; other: string; unharmed: string[] }
) {
  const requests: Array<[string, Promise<Answer>]> = [
    ['/init', post(`${service.url}/init`, { session_id: randomUUID(), apiUrl, jwtToken })],
    ['/init again', post(`${service.url}/init`, { session_id: session, apiUrl, jwtToken })],
    ['/tools', post(`${service.url}/tools`, { session_id: session })],
    ['/call-tool', callAt(service, session, 'echo')],
    ['/results', get(service, `/results/r_${'a'.repeat(32)}`, { 'x-session-id': session })],
    ['/shutdown', post(`${service.url}/shutdown`, { session_id: other })],
    ['/calls/{id}', get(service, '/calls/c_a', { 'x-session-id': session })],
    ['/calls/{id}/events', get(service, '/calls/c_a/events', { 'x-session-id': session })],
    ['/health', get(service, '/health')],
    ['/readyz', get(service, '/readyz')]
  ]
  const waited = measureWaiting()
  await Promise.all(
    requests.map(async ([what, request]) => {
      const { status, body, headers } = await request
      const waitedMs = waited()
      if (unharmed.includes(what)) return t.equal(status, 200, what)
      t.strictSame([status, body, headers.get('retry-after')], [503, unavailableAt(what), '1'], what)
      t.ok(waitedMs < commandTimeoutMs + 1_000, `${what}: waited ${waitedMs} ms`)
    })
  )
}

for (const what of ['is down', 'is stalled', 'is full', 'has become a replica']) {
  t.test(`a tool that ran while Redis ${what} ran once, and its result is delivered`, async t => {
    const server = await createGatedServer(t)
    const trouble = await prepare(t, what)
    const service = await listen(t, {
      REDIS_URL: trouble.url,
      REDIS_COMMAND_TIMEOUT_MS,
      MCP_SERVERS_FILE: await serversFile(t, { counting: server.entry })
    })
    const session = await openWhenWell(service)

    const running = callAt(service, session, 'act', { name: 'made' })
    await until(async () => (await server.calls()) !== '', 'the tool runs')
    await trouble.begin()
    await server.open()
    const { status, body, headers } = await running

    t.strictSame(
      [status, body, headers.get('x-mcp-not-cached')],
      [200, { status: 'success', made: 'done' }, 'name, made']
    )
    await until(
      () => /"level":"warn",.*"msg":"the values of a call could not be kept"/.test(service.output()),
      'the log warns'
    )
    t.equal(await server.calls(), 'made\n')
    await trouble.end()
    await until(
      async () => (await post(`${service.url}/tools`, { session_id: session })).status === 200,
      'the session is served again'
    )
  })
}

t.test('a full Redis loses no session that is opened anew, whatever it takes and refuses', async t => {
  const { url } = await startRedis(t, ['--maxmemory-policy', 'noeviction'])
  const client = await redisClient(t, url)
  const repository = createSessionRepository(client, repositoryOptions('full', { commandTimeoutMs: 2_000 }))
  const ref = { id: 'one', client: null }
  await repository.create(ref, splitFields(texts({ apiUrl, jwtToken, first: 1 }), ['jwtToken']), { seen: '' })
  const session = await repository.load(ref)
  const before = await client.hgetall('full:one')
  await client.config('SET', 'maxmemory', '1')

  const { seen } = await repository.find(ref)
  await t.rejects(
    repository.create(
      ref, splitFields(texts({ apiUrl, jwtToken: 'another.not-a-real-token.signature' }), ['jwtToken']), { seen }
    ),
    { code: 'MCPC_ERR_STORE_UNAVAILABLE' }
  )
  if (session !== null) {
    await t.rejects(repository.write(session, { values: values({ second: 2 }) }), {
      code: 'MCPC_ERR_STORE_UNAVAILABLE'
    })
  }
  t.strictSame(await client.hgetall('full:one'), before)

  // Memory may run out after the index was written. Then the script that replaces is done as a whole, because it
  // removes before it adds.
  await defineSessionScripts(client)
    .createSession('full:one', {
      seen,
      ttlSeconds: 100,
      now: new Date(),
      endsAt: null,
      fields: { meta: '{}', credentials: '{}' },
      values: [],
      mostBytes: 1_000,
      mostFields: 1_000
    })
    .catch(() => {})
  const after = await client.hgetall('full:one')
  t.ok(after.meta === before.meta || (after.meta === '{}' && after.credentials === '{}'), JSON.stringify(after))
  t.ok((await client.ttl('full:one')) > 0)
})

t.test('a client that was told to end connects again', async t => {
  // ioredis ends by itself in a moment that cannot be hit from outside: a sentinel tells of a failover while it asks
  // another one.
  const redis = await startRedis(t)
  const events: string[] = []
  const connection = await openRedis(
    { url: redis.url, host: '', port: 0, db: 0, commandTimeoutMs: 500 },
    {
      keyPrefix: 'test',
      onLost: () => events.push('lost'),
      onRestored: () => events.push('restored')
    }
  )
  t.teardown(() => connection.close())
  connection.client.disconnect()
  await until(() => events.length === 2, 'it is well again')
  t.strictSame(events, ['lost', 'restored'])
  t.equal(await (connection.client as Redis).ping(), 'PONG')
})

t.test('a worker that was busy does not take Redis for stalled', async t => {
  const { url } = await startRedis(t)
  const { client, close } = await openRedis(
    { url, host: '', port: 0, db: 0, commandTimeoutMs: 500 },
    { keyPrefix: 'test', onLost: err => t.fail(err.message), onRestored: () => {} }
  )
  t.teardown(close)
  for (let round = 0; round < 2; round++) {
    await delay(200) // so that nothing is being watched any more
    const answer = client.get('nothing')
    const end = performance.now() + 800
    while (performance.now() < end); // nothing is sent, and nothing read, as long as this runs
    t.equal(await answer, null)
  }
})

async function get (
  { url }: ListeningService, path: string, headers: Record<string, string> = {}
): Promise<Answer> {
  const response = await fetch(url + path, { headers })
  return { status: response.status, body: await response.json(), headers: response.headers }
}

/** A Redis that keeps its data, and comes back at the same place. */
async function startPersistentRedis (t: Test) {
  const folder = await makeFolder(t)
  const binary = findRedisServer() ?? ''
  // Slow to load, by a millisecond for a key, and willing to say so meanwhile.
  const slow = ['--key-load-delay', '1000', '--loading-process-events-interval-bytes', '1024']
  const start = (args: string[] = []) =>
    startRedisServer({ binary, folder, persistent: true, args: ['--enable-debug-command', 'yes', ...args] })
  let server = start()
  const stop = async () => await (await server).stop()
  t.teardown(stop)
  return {
    url: (await server).url,
    stop,
    async start (as?: 'loading') {
      server = start(as && slow)
      if (as === undefined) await server
    },
    answers: async () => {
      await server
    }
  }
}
