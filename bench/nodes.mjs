/*
 * Compares the worker on the newest Node 20, 22 and 24: calls a second, time of a call, processor time and memory. The
 * workers take turns. Only they run on another Node: the MCP servers, Redis and the client stay the same.
 *
 *   node bench/nodes.mjs 6 2000    # rounds, calls of 32 callers in each
 */
import { provideNode } from '../scripts/node-versions.mjs'
import {
  alternate, bench, concurrently, echoServer, machine, median, ms, openSession, post, ratio,
  serversFile, startRedis, startService, startUpstream, table, timed
} from './bench.mjs'
import { processorMs, residentBytes } from './processor.mjs'

const rounds = Number(process.argv[2] ?? 6)
const many = Number(process.argv[3] ?? 2_000)
const callers = 32

await bench(async () => {
  const nodes = ['20', '22', '24'].map(provideNode)
  const redis = await startRedis()
  const kinds = {
    'shared stdio server': { command: process.execPath, args: [echoServer], lifecycle: 'shared' },
    'server over HTTP, resumed': { url: await startUpstream('raw-http', '--era=2025') }
  }
  const rows = []
  for (const [kind, entry] of Object.entries(kinds)) {
    const workers = []
    for (const node of nodes) workers.push(await startWorker(node, redis, entry))
    await measure(workers)
    const oldest = median(workers[0].processor)
    rows.push(...workers.map(({ version, p50, rates, processor, startMb, loadedMb }) => [
      kind, version, ms(p50), Math.round(median(rates)).toLocaleString('en'), ms(median(processor)),
      ratio(median(processor) / oldest), `${startMb} MB`, `${loadedMb} MB`
    ]))
  }
  console.log(`${machine()} · ${rounds} rounds of ${many} calls, alternating\n`)
  table([
    '/call-tool', 'Node of the worker', 'p50, 1 caller', `calls/s, ${callers} callers`, 'processor time of a call', 'ratio',
    'memory at start', 'under load'
  ], rows)
})

async function startWorker ({ binary, version }, redis, entry) {
  const service = await startService({
    REDIS_URL: redis.url,
    MCP_SERVERS_FILE: await serversFile({ upstream: entry }),
    MCP_SESSION_KEY_PREFIX: `nodes-${version}-${entry.lifecycle ?? 'http'}`,
    MCP_SESSION_MAX_CONCURRENCY: '1000'
  }, { node: binary })
  const startMb = megabytesOf(service)
  const sessions = []
  for (let caller = 0; caller < callers; caller++) sessions.push(await openSession(service))
  const call = caller => post(`${service.url}/call-tool`, {
    session_id: sessions[caller], tool: 'echo', params: { text: 'hello' }
  })
  return { version, service, startMb, call, rates: [], processor: [] }
}

async function measure (workers) {
  // A service runs for weeks, so its code is compiled. That takes some thousand calls.
  for (const { call } of workers) await concurrently(2 * many, callers, call)
  for (let round = 0; round < rounds; round++) {
    // Nobody is always the first of a round.
    for (const { service, call, rates, processor } of [...workers.slice(round % 3), ...workers.slice(0, round % 3)]) {
      const before = processorMs(service.pid)
      const took = await timed(() => concurrently(many, callers, call))
      rates.push(many / took * 1_000)
      processor.push((processorMs(service.pid) - before) / many)
    }
  }
  for (const worker of workers) worker.loadedMb = megabytesOf(worker.service)
  const alone = Object.fromEntries(workers.map(({ version, call }) => [version, () => timed(() => call(0))]))
  const times = await alternate(alone, { rounds: rounds * 60, warmUp: 100 })
  for (const worker of workers) worker.p50 = median(times[worker.version])
}

function megabytesOf ({ pid }) {
  return Math.round(residentBytes(pid) / 2 ** 20)
}
