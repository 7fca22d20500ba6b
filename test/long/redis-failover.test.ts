import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { fixture } from '../support/paths.ts'
import { type RedisNode, startCluster, startSentinelGroup } from '../support/redis-topologies.ts'
import { callAt, openSession } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { type Environment, listen, type ListeningService } from '../support/service.ts'
import { measureWaiting, until } from '../support/wait.ts'

t.jobs = 2
t.setTimeout(170_000)

/** Longer than usual, so that a busy machine is not taken for a Redis in trouble. */
const commandTimeoutMs = 2_000

interface Topology {
  env: Environment
  /** The one that will die, and those that may take its place. */
  primary: RedisNode
  replicas: RedisNode[]
}

const topologies: Record<string, (t: Test) => Promise<Topology>> = {
  'a primary that sentinels watch': async t => {
    const { name, primary, replicas, sentinels } = await startSentinelGroup(t)
    return {
      env: { REDIS_SENTINELS: sentinels.map(resolveAddress).join(','), REDIS_SENTINEL_NAME: name },
      primary,
      replicas
    }
  },
  'one of three primaries of a cluster': async t => {
    const [dying, ...others] = await startCluster(t)
    if (dying === undefined) throw new Error('there is no cluster')
    await dying.replica.client.readonly()
    // Not the one that will die: a service must get along with those that it was told of and that live.
    return {
      env: { REDIS_CLUSTER_NODES: others.map(({ primary }) => resolveAddress(primary)).join(',') },
      primary: dying.primary,
      replicas: [dying.replica]
    }
  }
}

for (const [what, prepare] of Object.entries(topologies)) {
  t.test(
    `${what} is killed under load: what its replica had is there, no request is answered but 200 or 503, and all are served again soon`,
    async t => {
      const { env, primary, replicas } = await prepare(t)
      const prefix = `test-${randomUUID()}`
      const services = await startServices(t, { ...env, MCP_SESSION_KEY_PREFIX: prefix })
      const sessions = await Promise.all(
        Array.from({ length: 60 }, (_, index) => openSession(services[index % 2] as ListeningService))
      )
      const load = startLoad(t, services, sessions)
      await until(
        () => load.acknowledged.size === sessions.length && Math.min(...load.acknowledged.values()) >= 3,
        'each session has been written to'
      )

      // Replication is a stream: when a replica has the mark, it has all that was written before.
      const secured = new Map(load.acknowledged)
      await mark(
        primary,
        sessions.map(id => `${prefix}:${id}`)
      )
      t.equal(await primary.client.call('WAIT', replicas.length, 60_000), replicas.length)
      await primary.kill()
      load.onlyRead()
      const held = new Map(
        await Promise.all(
          replicas.map(async replica => {
            await until(
              async () => /master_link_status:down/.test(await replica.client.info('replication')),
              'the replica knows that nothing more will come'
            )
            return [replica.port, await valuesOn(replica.client, prefix, sessions)] as const
          })
        )
      )

      const next = await promoted(replicas)
      const waitedMs = measureWaiting()
      load.served.clear()
      await until(
        () => load.served.size === services.length * sessions.length,
        'each session is served again by each service'
      )
      t.ok(waitedMs() < 5_000 + commandTimeoutMs, `served again after a wait of ${waitedMs()} ms since the failover`)
      await load.stop()
      t.strictSame([...load.others], [], 'no other answer than 200 and 503')
      t.ok(load.refused > 0, 'there was an outage')

      const found = new Map(
        await Promise.all(sessions.map(async id => [id, await valueOf(services[0] as ListeningService, id)] as const))
      )
      const behind = (than: ReadonlyMap<string, number>) =>
        sessions.filter(id => (found.get(id) ?? 0) < (than.get(id) ?? 0))
      t.strictSame(behind(secured), [], 'nothing is lost that was acknowledged and waited for')
      t.strictSame(behind(held.get(next.port) ?? new Map()), [], 'nothing is lost that the replica had')
      for (const service of services) {
        await until(() => service.output().includes('"msg":"redis restored"'), 'the log says that it is over')
        t.strictSame(
          [...service.output().matchAll(/"msg":"(redis \w+)"/g)].map(([, msg]) => msg),
          ['redis lost', 'redis restored']
        )
      }
    }
  )
}

const resolveAddress = ({ port }: RedisNode) => `127.0.0.1:${port}`

async function startServices (t: Test, env: Environment): Promise<ListeningService[]> {
  const file = await serversFile(t, {
    tiny: { command: process.execPath, args: [fixture('tiny-server.mjs')], lifecycle: 'shared' }
  })
  const shared = {
    REDIS_URL: undefined,
    REDIS_COMMAND_TIMEOUT_MS: String(commandTimeoutMs),
    MCP_SERVERS_FILE: file,
    ...env
  }
  return [await listen(t, shared), await listen(t, shared)]
}

/** A busy machine may still refuse a call after the outage: that says nothing of the value. */
async function valueOf (service: ListeningService, id: string): Promise<number> {
  let answer = await callAt(service, id, 'recall')
  await until(
    async () => answer.status === 200 || (answer = await callAt(service, id, 'recall')).status === 200,
    'the value is read'
  )
  return Number((answer.body as { values: { value0?: number } }).values.value0 ?? 0)
}

/** Each session counts up, on one worker and the other in turn. */
function startLoad (t: Test, services: ListeningService[], sessions: string[]) {
  const acknowledged = new Map<string, number>()
  const others = new Set<string>()
  /** Which session was answered 200 by which service. */
  const served = new Set<string>()
  let refused = 0
  const mode: { tool: 'keep' | 'recall' | null } = { tool: 'keep' }

  async function use (id: string): Promise<void> {
    for (let number = 1; mode.tool !== null; number++) {
      const isWrite = mode.tool === 'keep'
      const service = services[number % 2] as ListeningService
      const { status, body, headers } = await callAt(
        service,
        id,
        mode.tool,
        isWrite ? { name: 'value0', value: number } : {}
      )
      if (status === 503) refused++
      else if (status !== 200) others.add(`${status} ${JSON.stringify(body)}`)
      else served.add(`${service.url} ${id}`)
      if (status === 200 && isWrite && headers.get('x-mcp-not-cached') === null) acknowledged.set(id, number)
      await delay(status === 200 ? 20 : 200)
    }
  }

  const running = Promise.all(sessions.map(use))
  const stop = async () => {
    mode.tool = null
    await running
  }
  t.teardown(stop)
  return {
    acknowledged,
    others,
    served,
    get refused () {
      return refused
    },
    onlyRead () {
      mode.tool = 'recall'
    },
    stop
  }
}

/** A write on a connection that can then wait for it: at one of the keys' own slot, of those that this node serves. */
async function mark ({ client }: RedisNode, keys: string[]): Promise<void> {
  for (const key of keys) {
    if ((await client.set(`{${key}}:mark`, '1', 'EX', 60).catch(() => null)) === 'OK') return
  }
  throw new Error('the node serves none of the keys')
}

/** The sessions' numbers as a node has them; nothing for those that are elsewhere. */
async function valuesOn (client: Redis, prefix: string, sessions: string[]): Promise<Map<string, number>> {
  const values = await Promise.all(
    sessions.map(async id => [id, Number(await client.hget(`${prefix}:${id}`, 'p:value0').catch(() => 0))] as const)
  )
  return new Map(values)
}

async function promoted (replicas: RedisNode[]): Promise<RedisNode> {
  let found: RedisNode | undefined
  await until(
    async () => {
      for (const replica of replicas) if (((await replica.client.role()) as string[])[0] === 'master') found = replica
      return found !== undefined
    },
    'a replica is promoted',
    30_000
  )
  return found as RedisNode
}
