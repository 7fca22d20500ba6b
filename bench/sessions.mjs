/* Measures whether /health, and loading a session, are as fast with 100,000 sessions as with 10. */
import { Redis } from 'ioredis'
import { join } from 'node:path'
import {
  alternate, bench, machine, median, ms, openSession, post, ratio, root, startRedis, startService, table, timed
} from './bench.mjs'

const counts = [10, 1_000, 100_000]

await bench(async () => {
  const rows = []
  const workers = []
  for (const count of counts) {
    const redis = await startRedis()
    const script = join(root, 'test', 'fixtures', 'tiny-server.mjs')
    const service = await startService({ REDIS_URL: redis.url, MCP_SERVER_SCRIPT: script })
    await fill(redis.socket, count)
    const id = await openSession(service)
    await post(`${service.url}/tools`, { session_id: id })
    workers.push({ count, service, id })
  }
  const runs = Object.fromEntries(workers.flatMap(({ count, service, id }) => [
    [`health ${count}`, () => timed(async () => (await fetch(`${service.url}/health`)).text())],
    // The tools are known already, so this is one load of the session.
    [`load ${count}`, () => timed(() => post(`${service.url}/tools`, { session_id: id }))]
  ]))
  const times = await alternate(runs, { rounds: 400, warmUp: 100 })
  for (const what of ['health', 'load']) {
    const medians = counts.map(count => median(times[`${what} ${count}`]))
    const name = what === 'health' ? '/health' : 'loading a session (/tools)'
    rows.push([name, ...medians.map(ms), ratio(medians.at(-1) / medians[0])])
  }
  console.log(machine())
  table(['p50', ...counts.map(count => `${count} sessions`), 'ratio last ÷ first'], rows)
})

/** Writes sessions as the service does, and their entries in its index. */
async function fill (socket, count) {
  const client = new Redis(socket)
  for (let start = 0; start < count; start += 1_000) {
    const pipeline = client.pipeline()
    for (let number = start; number < Math.min(count, start + 1_000); number++) {
      const fields = { meta: '{"version":1}', credentials: '{}', calls: '0', 'p:question': '"why?"' }
      pipeline.hset(`mcp_session:filled-${number}`, fields)
      pipeline.expire(`mcp_session:filled-${number}`, 86_400)
      pipeline.zadd('mcp_index:mcp_session', Date.now() + 86_400_000, `filled-${number}`)
    }
    await pipeline.exec()
  }
  client.disconnect()
}
