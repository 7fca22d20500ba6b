/*
 * Measures what MCP_NODE_COMPILE_CACHE gains: a call that starts its server, with the code of the server kept and
 * without, in turns. The servers run on each version of Node; only the newer ones keep code.
 *
 *   node bench/compile-cache.mjs 20    # rounds
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { provideNode } from '../scripts/node-versions.mjs'
import {
  alternate, bench, echoServer, machine, median, ms, openSession, post, ratio, root, serversFile, startRedis,
  startService, table, temporaryFolder, timed
} from './bench.mjs'

const rounds = Number(process.argv[2] ?? 20)
const everything = join(root, 'node_modules', '@modelcontextprotocol', 'server-everything', 'dist', 'index.js')
const servers = {
  'an echo on the SDK': { args: [echoServer], params: { text: 'hello' } },
  'server-everything': { args: [everything, 'stdio'], params: { message: 'hello' } }
}

await bench(async () => {
  const redis = await startRedis()
  const rows = []
  for (const wanted of ['20', '22', '24']) {
    const { binary: command, version } = provideNode(wanted)
    for (const [name, { args, params }] of Object.entries(servers)) {
      const folder = await temporaryFolder()
      const settings = {
        REDIS_URL: redis.url,
        MCP_SERVERS_FILE: await serversFile({ upstream: { command, args } }),
        MCP_WARM_SPARES: '0',
        MCP_LEARN_LISTS: 'off'
      }
      const [off, on] = await Promise.all(['off', folder].map(async value => {
        const service = await startService({ ...settings, MCP_NODE_COMPILE_CACHE: value })
        const body = { session_id: await openSession(service), tool: 'echo', params }
        return { service, call: () => timed(() => post(`${service.url}/call-tool`, body)) }
      }))
      const runs = { off: off.call, on: on.call }
      await alternate(runs, { rounds: 0 })
      const before = await Promise.all([off, on].map(serversMs))
      const times = await alternate(runs, { rounds, warmUp: 0 })
      const after = await Promise.all([off, on].map(serversMs))
      const [without, kept] = [median(times.off), median(times.on)]
      const [workWithout, workKept] = after.map((total, index) => (total - before[index]) / rounds)
      rows.push([
        name, version, ms(without), ms(kept), ratio(kept / without), ms(workWithout), ms(workKept),
        ratio(workKept / workWithout), `${(sizeOf(folder) / 1e6).toFixed(1)} MB`
      ])
    }
  }
  console.log(`${machine()} · ${rounds} rounds, alternating\n`)
  table([
    'a call that starts its server', 'Node of the server', 'p50: off', 'kept', 'ratio', 'processor time of the server: off',
    'kept', 'ratio', 'kept code'
  ], rows)
})

/** Processor time of all servers that a service has had, once none is alive (ms): see proc(5), cutime and cstime. */
async function serversMs ({ service: { url, pid } }) {
  while ((await (await fetch(`${url}/health`)).json()).processes.alive > 0) await delay(20)
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return (Number(fields[13]) + Number(fields[14])) * 10
}

/** Bytes of all files in a folder. */
function sizeOf (folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)
}
