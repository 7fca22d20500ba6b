import type { Redis } from 'ioredis'
import { withDeadline } from '../cancellation.ts'
import type { RedisClient } from './client.ts'

/**
 * The oldest Redis that is supported. The scripts read the clock before they write, which Redis can do since 5.0; its
 * users and TLS are of 6.0. Every Valkey reports a version of Redis that is newer.
 */
export const oldestVersion = { text: '6.0', major: 6 }

/** Says what is wrong with the version of a server that is too old; `null` for any other, and for an unknown one. */
export async function faultOfVersion (client: RedisClient, timeoutMs: number): Promise<string | null> {
  const nodes = isCluster(client) ? client.nodes('master') : [client]
  const infos = await Promise.all(nodes.map(node =>
    withDeadline(node.info('server'), timeoutMs, () => new Error(`INFO was not answered within ${timeoutMs} ms`))))
  for (const info of infos) {
    const [, version, major] = /^redis_version:((\d+)\S*)/m.exec(info) ?? []
    if (version === undefined || Number(major) >= oldestVersion.major) continue
    return `it is Redis ${version}, and this service needs ${oldestVersion.text} or newer`
  }
  return null
}

const isCluster = (client: RedisClient): client is Extract<RedisClient, { nodes: (role: 'master') => Redis[] }> =>
  'nodes' in client
