import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { findRedisServer, spawnRedis, waysToGetRedis } from '../../scripts/redis-server.mjs'
import { makeFolder } from './folders.ts'
import { fixture } from './paths.ts'
import { freePort } from './ports.ts'
import { until } from './wait.ts'

/** A Redis of the test's own, on a port of this machine. */
export interface RedisNode {
  port: number
  pid: number
  /** To look at it, and to tell it what to do. */
  client: Redis
  /** SIGKILL: it says goodbye to nobody. */
  kill: () => Promise<void>
  exited: Promise<unknown>
}

const host = '127.0.0.1'

export const tlsFile = (name: string) => fixture(join('tls', name))

const tlsArgs = [
  '--tls-cert-file',
  tlsFile('server.pem'),
  '--tls-key-file',
  tlsFile('server-key.pem'),
  '--tls-ca-cert-file',
  tlsFile('ca.pem'),
  '--tls-auth-clients',
  'no',
  '--tls-replication',
  'yes',
  '--tls-cluster',
  'yes'
]

/** `args` gives the settings for a port, anew for each try: another port is taken when somebody took that one first. */
export async function startNode (
  t: Test,
  args: (port: number) => string[] | Promise<string[]> = () => [],
  { tls = false } = {}
): Promise<RedisNode> {
  for (let attempt = 1; ; attempt++) {
    const folder = await makeFolder(t)
    const port = await freePort()
    const child = spawn([
      ...(tls ? ['--port', '0', '--tls-port', String(port), ...tlsArgs] : ['--port', String(port)]),
      '--bind',
      host,
      '--dir',
      folder,
      '--daemonize',
      'no',
      '--save',
      '',
      '--enable-debug-command',
      'yes',
      // What a replica asks for is sent at once, and from memory.
      '--repl-diskless-sync-delay',
      '0',
      '--repl-diskless-load',
      'on-empty-db',
      ...(await args(port))
    ])
    let output = ''
    child.stdout?.on('data', chunk => { output += String(chunk) })
    const node = await open(t, child, port, tls)
    if (node === null && attempt < 5) continue
    if (node === null) throw new Error(`no Redis could be started on port ${port}: ${output}`)
    await until(async () => (await node.client.ping().catch(() => '')) === 'PONG', `Redis on port ${port} answers`)
    return node
  }
}

function spawn (args: string[]): ChildProcess {
  const binary = findRedisServer()
  if (binary === null) throw new Error(waysToGetRedis)
  return spawnRedis(binary, args)
}

/** `null` when it ended, as it does when its port is taken. */
async function open (t: Test, child: ChildProcess, port: number, tls = false): Promise<RedisNode | null> {
  const exited = once(child, 'exit')
  const isUp = new Promise<boolean>(resolve => {
    child.stdout?.on(
      'data',
      (chunk: Buffer) => /Ready to accept connections|Sentinel ID is/.test(chunk.toString()) && resolve(true)
    )
    child.stderr?.resume()
    exited.then(() => resolve(false))
  })
  const kill = async () => {
    child.kill('SIGKILL')
    await exited
  }
  t.teardown(kill)
  if (!(await isUp)) return null
  const client = new Redis({
    host,
    port,
    retryStrategy: () => 50,
    maxRetriesPerRequest: null,
    ...(tls && { tls: { ca: readFileSync(tlsFile('ca.pem')) } })
  })
  client.on('error', () => {}) // it will be killed
  t.teardown(() => client.disconnect())
  return { port, pid: child.pid ?? 0, client, kill, exited }
}

export interface SentinelGroup {
  name: string
  primary: RedisNode
  replicas: RedisNode[]
  sentinels: RedisNode[]
}

/** A primary, two replicas, and three sentinels that take two seconds of silence for death. */
export async function startSentinelGroup (t: Test): Promise<SentinelGroup> {
  const name = 'main'
  const primary = await startNode(t)
  const replicas = await Promise.all(
    [1, 2].map(() => startNode(t, () => ['--replicaof', host, String(primary.port)]))
  )
  await Promise.all(replicas.map(isSynced))
  const sentinels = await Promise.all([1, 2, 3].map(() => startSentinel(t, name, primary.port)))
  for (const { client } of sentinels) {
    await until(async () => {
      const [others, known] = (await Promise.all([
        client.call('SENTINEL', 'SENTINELS', name),
        client.call('SENTINEL', 'REPLICAS', name)
      ])) as [unknown[], unknown[]]
      return others.length === 2 && known.length === 2
    }, 'a sentinel knows the others and the replicas')
  }
  return { name, primary, replicas, sentinels }
}

export async function startSentinel (
  t: Test,
  name: string,
  primaryPort: number,
  { tls = false, quorum = 2 } = {}
): Promise<RedisNode> {
  const folder = await makeFolder(t)
  const port = await freePort()
  const file = join(folder, 'sentinel.conf')
  await writeFile(
    file,
    [
      ...(tls ? ['port 0', `tls-port ${port}`, ...pairs(tlsArgs)] : [`port ${port}`]),
      `bind ${host}`,
      `dir ${folder}`,
      `sentinel monitor ${name} ${host} ${primaryPort} ${quorum}`,
      `sentinel down-after-milliseconds ${name} 2000`,
      `sentinel failover-timeout ${name} 3000`
    ].join('\n')
  )
  const node = await open(t, spawn([file, '--sentinel']), port, tls)
  if (node === null) throw new Error(`no sentinel could be started on port ${port}`)
  return node
}

/** Arguments as lines of a file of settings. */
const pairs = (args: string[]) =>
  args.flatMap((arg, index) => (index % 2 === 0 ? [`${arg.slice(2)} ${args[index + 1]}`] : []))

export interface ClusterNode extends RedisNode {
  /** Where the other nodes reach it. */
  busPort: number
}

/** A node of a cluster that knows no other node yet, and serves no slot. */
export async function startClusterNode (t: Test, settings: { tls?: boolean } = {}): Promise<ClusterNode> {
  let busPort = 0
  const node = await startNode(t, async () => {
    busPort = await freePort()
    return [
      '--cluster-enabled',
      'yes',
      '--cluster-port',
      String(busPort),
      '--cluster-node-timeout',
      '2000',
      '--cluster-config-file',
      'nodes.conf',
      '--cluster-announce-ip',
      host
    ]
  }, settings)
  return { ...node, busPort }
}

export interface ClusterPair {
  primary: RedisNode
  replica: RedisNode
}

/** Three primaries and their replicas. */
export async function startCluster (t: Test): Promise<ClusterPair[]> {
  const nodes = await Promise.all(Array.from({ length: 6 }, () => startClusterNode(t)))
  const pairs = [0, 1, 2].map(index => ({ primary: nodes[index], replica: nodes[index + 3] }) as ClusterPair)
  const bounds = [0, 5_461, 10_923, 16_384]
  await Promise.all(
    pairs.map(({ primary }, index) =>
      primary.client.call('CLUSTER', 'ADDSLOTSRANGE', bounds[index] ?? 0, (bounds[index + 1] ?? 0) - 1)
    )
  )
  await Promise.all(nodes.map(({ client }, index) => client.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)))
  // Each is told of each: gossip would get there, in ten seconds.
  await Promise.all(
    nodes.flatMap(({ client }) =>
      nodes.map(({ port, busPort }) => client.call('CLUSTER', 'MEET', host, port, busPort))
    )
  )
  await Promise.all(
    nodes.map(({ client }) =>
      until(async () => /cluster_known_nodes:6/.test(await info(client)), 'the nodes know each other')
    )
  )
  await Promise.all(
    pairs.map(async ({ primary, replica }) => {
      const id = String(await primary.client.call('CLUSTER', 'MYID'))
      await until(
        async () =>
          await replica.client.call('CLUSTER', 'REPLICATE', id).then(
            () => true,
            () => false
          ),
        'a node is a replica'
      )
      await isSynced(replica)
    })
  )
  await Promise.all(
    nodes.map(({ client }) =>
      until(async () => {
        const slots = (await client.call('CLUSTER', 'SLOTS')) as unknown[][]
        return (
          /cluster_state:ok/.test(await info(client)) &&
          slots.length === 3 &&
          slots.every(range => range.length === 4)
        )
      }, 'the cluster is whole')
    )
  )
  return pairs
}

const info = async (client: Redis) => String(await client.call('CLUSTER', 'INFO'))

export async function isSynced ({ client }: RedisNode): Promise<void> {
  await until(
    async () => /master_link_status:up/.test(await client.info('replication')),
    'a replica has what its primary has'
  )
}
