/*
 * Measures what MCP_NODE_COMPILE_CACHE gains: a call that starts its server, with the code of the server kept and
 * without, in turns. The servers run on each version of Node; only the newer ones keep code.
 *
 *   node bench/compile-cache.mjs 20    # rounds
 */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
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
        return () => timed(() => post(`${service.url}/call-tool`, body))
      }))
      const times = await alternate({ off, on }, { rounds })
      const [without, kept] = [median(times.off), median(times.on)]
      rows.push([name, version, ms(without), ms(kept), ratio(kept / without), `${(sizeOf(folder) / 1e6).toFixed(1)} MB`])
    }
  }
  console.log(`${machine()} · ${rounds} rounds, alternating\n`)
  table(['p50 of a call that starts its server', 'Node of the server', 'off', 'kept', 'ratio', 'kept code'], rows)
})

/** Bytes of all files in a folder. */
function sizeOf (folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)
}
