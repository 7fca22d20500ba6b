import type { Cluster } from 'ioredis'
import t from 'tap'
import { openRedis } from '../../../lib/redis/connection.ts'
import { startClusterNode } from '../../support/redis-topologies.ts'
import { until } from '../../support/wait.ts'

/** Those that keep the process alive. */
const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length

t.test('a client that is closed while it asks a cluster where the keys are leaves nothing behind', async t => {
  const node = await startClusterNode(t)
  await node.client.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383)
  await until(async () => /cluster_state:ok/.test(String(await node.client.call('CLUSTER', 'INFO'))), 'it is a cluster')
  const before = timers()
  const { client, close } = await openRedis({
    host: '', port: 0, db: 0, clusterNodes: [{ host: '127.0.0.1', port: node.port }], commandTimeoutMs: 5_000
  }, { keyPrefix: 'test', onLost: () => {}, onRestored: () => {} })

  const cluster = client as Cluster
  const refresh = cluster.refreshSlotsCache.bind(cluster)
  let isClosing = false
  const closed = new Promise<void>((resolve, reject) => {
    cluster.refreshSlotsCache = callback => {
      refresh(callback)
      if (!isClosing) close().then(resolve, reject)
      isClosing = true
    }
  })
  await closed
  await until(() => timers() === before, 'no timer is left', 5_000)
  t.equal(cluster.status, 'end')
})
