/*
 * Measures the cost of the service beyond that of its MCP server. It calls one echo server directly through the SDK,
 * and through /call-tool: with a fresh process, with a warm spare, and shared. It compares the last also with the
 * floor.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import {
  alternate, atEnd, bench, echoServer, machine, median, ms, openSession, post, ratio, root, startFloor, startRedis,
  startService, table, temporaryFolder, timed
} from './bench.mjs'

const rounds = Number(process.argv[2] ?? 60)
const echo = { tool: 'echo', params: { text: 'hello' } }

await bench(async () => {
  const redis = await startRedis()
  const service = (settings) => startService({ REDIS_URL: redis.url, ...settings })
  const cold = await callThrough(await service({ MCP_SERVER_SCRIPT: echoServer, MCP_WARM_SPARES: '0' }))
  const warmService = await service({ MCP_SERVER_SCRIPT: echoServer, MCP_WARM_SPARES: '1' })
  const warm = await callThrough(warmService)
  const entry = { command: process.execPath, args: [echoServer], lifecycle: 'shared' }
  const sharedSettings = { MCP_SERVERS_FILE: await serversFile(entry), MCP_SESSION_MAX_CONCURRENCY: '100' }
  const shared = await callThrough(await service(sharedSettings))
  const ending = (name) => service({
    MCP_SERVER_SCRIPT: join(root, 'bench', `${name}-server.mjs`),
    MCP_WARM_SPARES: '0',
    MCP_STOP_STEP_MS: '2000'
  })
  const endsAtOnce = await callThrough(await ending('tiny'))
  const endsLate = await callThrough(await ending('stubborn'))
  const kept = await keepOpen()
  const { url: floorUrl } = await startFloor(redis)
  const floor = () => timed(() => post(`${floorUrl}/call-tool`, { session_id: 'floor', ...echo }))

  const warmReady = async () => {
    await spareReady(warmService)
    return await warm()
  }
  const starts = await alternate({ direct: callDirectly, cold, warm: warmReady }, { rounds })
  // A service runs for weeks, so its code is compiled. That takes some thousand calls.
  const calls = await alternate({ kept, floor, shared }, { rounds: rounds * 20, warmUp: 3_000 })
  const ends = await alternate({ endsAtOnce, endsLate }, { rounds })

  const times = { ...starts, ...calls, ...ends }
  const p50 = Object.fromEntries(Object.entries(times).map(([name, values]) => [name, median(values)]))
  console.log(`${machine()} · ${rounds} rounds, alternating\n`)
  table(['p50', 'time', 'against', 'ratio'], [
    ['direct SDK: spawn + connect + call', ms(p50.direct), '', ''],
    ['/call-tool, fresh process', ms(p50.cold), 'direct', ratio(p50.cold / p50.direct)],
    ['/call-tool, warm spare ready', ms(p50.warm), 'direct', ratio(p50.warm / p50.direct)],
    ['direct SDK: call on a client that is kept open', ms(p50.kept), '', ''],
    [
      'the floor: Fastify, two round trips to Redis, that call',
      ms(p50.floor), 'kept open', ratio(p50.floor / p50.kept)
    ],
    ['/call-tool, shared server', ms(p50.shared), 'kept open', ratio(p50.shared / p50.kept)],
    ['', '', 'the floor', ratio(p50.shared / p50.floor)],
    ['/call-tool, server ends at once', ms(p50.endsAtOnce), '', ''],
    ['/call-tool, server takes 4 s to end', ms(p50.endsLate), 'ends at once', ratio(p50.endsLate / p50.endsAtOnce)]
  ])
})

/** Times the start of a process and a client, and one call. The end of the process does not count. */
async function callDirectly () {
  const transport = new StdioClientTransport({ command: process.execPath, args: [echoServer], stderr: 'ignore' })
  const client = new Client({ name: 'direct', version: '1.0.0' })
  const time = await timed(async () => {
    await client.connect(transport)
    await client.callTool({ name: 'echo', arguments: { text: 'hello' } })
  })
  await client.close()
  return time
}

async function keepOpen () {
  const client = new Client({ name: 'kept', version: '1.0.0' })
  await client.connect(new StdioClientTransport({ command: process.execPath, args: [echoServer], stderr: 'ignore' }))
  atEnd(() => client.close())
  return () => timed(() => client.callTool({ name: 'echo', arguments: { text: 'hello' } }))
}

async function callThrough (service) {
  const session = await openSession(service)
  const body = { session_id: session, ...echo }
  return () => timed(() => post(`${service.url}/call-tool`, body))
}

async function spareReady (service) {
  for (;;) {
    const { processes } = await (await fetch(`${service.url}/health`)).json()
    if (processes.spares_ready > 0) return
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

async function serversFile (entry) {
  const file = join(await temporaryFolder(), 'servers.json')
  await writeFile(file, JSON.stringify({ mcpServers: { echo: entry } }))
  return file
}
