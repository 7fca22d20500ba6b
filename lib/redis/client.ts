import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { HostAndPort, RedisAddress } from './address.ts'
import { watchConnection } from './watchdog.ts'

/** One server, whatever sentinels say which; or a cluster. Every command of ours touches one key. */
export type RedisClient = Redis | Cluster

type NodeOptions = Omit<RedisOptions, 'host' | 'port' | 'path' | 'sentinels' | 'readOnly' | 'retryStrategy' | 'enableOfflineQueue' | 'himportFieldsets' | 'replyMapping'>

/** How long to wait before the next attempt to connect (ms). */
export const reconnectDelayMs = (attempt: number) => Math.min(attempt * 50, 1_000)

/**
 * A client that makes an outage harmless: a command fails at once when there is no connection, nothing is queued and nothing is
 * sent twice, and the client goes on connecting until it succeeds. Connects when it is told to.
 */
export function createRedisClient (place: RedisAddress, commandTimeoutMs: number): RedisClient {
  const common = {
    ...place.options,
    lazyConnect: true,
    connectTimeout: 1_000,
    disconnectTimeout: 500,
    // What was sent when the connection broke may have been done: it is never sent again, and fails at once.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // Its own estimate of the time that loading takes may be minutes.
    maxLoadingRetryTime: 500
  } satisfies NodeOptions
  if (place.kind === 'cluster') return createCluster(place.at, common, commandTimeoutMs)
  const client = new Redis({
    ...common,
    ...place.at,
    enableOfflineQueue: false,
    retryStrategy: reconnectDelayMs,
    // A primary that became a replica: whoever is primary now is found by connecting again. 1: without sending the command again.
    reconnectOnError: error => error.message.includes('READONLY') ? 1 : false,
    ...(place.kind === 'sentinels' && {
      sentinelCommandTimeout: 500,
      // A failover is also heard of, because the old primary may be cut off from the sentinels and still answer us.
      failoverDetector: true,
      sentinelReconnectStrategy: reconnectDelayMs
    })
  })
  watchConnection(client, commandTimeoutMs)
  return client
}

/**
 * A cluster's client is told nothing by a node that dies: it asks the others where the keys are, again and again, and when one
 * of them answers that a key has moved. A command that had been sent when its node died is not sent to another.
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
    slotsRefreshInterval: 2_000,
    // Left to the connection, so that a certificate is held against the name that was given.
    dnsLookup: (address, callback) => callback(null, address)
  })
  cluster.on('+node', (node: Redis) => watchConnection(node, commandTimeoutMs))
  return cluster
}

/** Fails at once while there is no cluster. Its own option for that also fails what comes while a node is first connected. */
class FailFastCluster extends Cluster {
  override sendCommand (...args: Parameters<Cluster['sendCommand']>): unknown {
    const [command] = args
    if (this.status === 'ready' || command.name === 'cluster') return super.sendCommand(...args)
    command.reject(new Error('there is no connection to the cluster'))
    return command.promise
  }
}
