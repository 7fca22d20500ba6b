import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { HostAndPort, RedisAddress } from './address.ts'
import { watchConnection } from './watchdog.ts'

/** One server, also when sentinels say which one; or a cluster. Every command of ours touches one key. */
export type RedisClient = Redis | Cluster

type NodeOptions = Omit<
  RedisOptions,
  'host' | 'port' | 'path' | 'sentinels' | 'readOnly' | 'retryStrategy' | 'enableOfflineQueue' | 'himportFieldsets' |
  'replyMapping'
>

/** How often a cluster is asked where the keys are (ms). */
const slotsRefreshMs = 2_000

/** How long to wait before the next attempt to connect (ms). */
export const reconnectDelayMs = (attempt: number) => Math.min(attempt * 50, 1_000)

/**
 * A client that makes an outage harmless. A command fails at once while there is no connection, nothing is queued, and
 * nothing is sent twice. Once `connect` was called, the client goes on connecting until it succeeds.
 */
export function createRedisClient (address: RedisAddress, commandTimeoutMs: number): RedisClient {
  const common = {
    ...address.options,
    lazyConnect: true,
    connectTimeout: 1_000,
    disconnectTimeout: 500,
    // A command that was sent when the connection broke may have been done. It fails at once and is never sent again.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // Redis's own estimate of the time that loading takes may be minutes.
    maxLoadingRetryTime: 500
  } satisfies NodeOptions
  if (address.kind === 'cluster') return createCluster(address.at, common, commandTimeoutMs)
  const client = new Redis({
    ...common,
    ...address.at,
    enableOfflineQueue: false,
    retryStrategy: reconnectDelayMs,
    // A primary that became a replica: connecting again finds the new one. 1: without sending the command again.
    reconnectOnError: error => error.message.includes('READONLY') ? 1 : false,
    ...(address.kind === 'sentinels' && {
      sentinelCommandTimeout: 500,
      // The sentinels announce a failover: an old primary that is cut off from them may still answer us.
      failoverDetector: true,
      sentinelReconnectStrategy: reconnectDelayMs
    })
  })
  watchConnection(client, commandTimeoutMs)
  return client
}

/**
 * A cluster's client.
 *
 * A node that dies announces nothing. So the client asks the other nodes where the keys are, every two seconds, and
 * when one of them answers that a key has moved. A command that was sent to a node that died is not sent to another.
 */
function createCluster (nodes: HostAndPort[], redisOptions: NodeOptions, commandTimeoutMs: number): Cluster {
  const cluster = new FailFastCluster(nodes, {
    redisOptions,
    lazyConnect: true,
    clusterRetryStrategy: reconnectDelayMs,
    maxRedirections: 4,
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    slotsRefreshTimeout: 500,
    // Names are left to the connection, so that a certificate is checked against the name that was given.
    dnsLookup: (address, callback) => callback(null, address)
  })
  cluster.on('+node', (node: Redis) => watchConnection(node, commandTimeoutMs))
  refreshSlots(cluster)
  // That of ioredis would ask nobody where the keys are.
  cluster.duplicate = () => createCluster(nodes, redisOptions, commandTimeoutMs)
  return cluster
}

/**
 * Asks where the keys are, as long as the cluster is used. The option of ioredis goes on for ever when the client is
 * closed while an answer is on its way, and keeps the process alive.
 */
function refreshSlots (cluster: Cluster): void {
  const timer = setInterval(() => {
    if (cluster.status === 'ready') cluster.refreshSlotsCache()
  }, slotsRefreshMs)
  timer.unref()
  cluster.once('end', () => clearInterval(timer))
}

/** Fails at once while there is no cluster. ioredis' own option also fails commands while a node is first connected. */
class FailFastCluster extends Cluster {
  override sendCommand (...args: Parameters<Cluster['sendCommand']>): unknown {
    const [command] = args
    if (this.status === 'ready' || command.name === 'cluster') return super.sendCommand(...args)
    command.reject(new Error('there is no connection to the cluster'))
    return command.promise
  }
}
