/*
 * Measures many parallel calls. It compares 64 cold calls with the same 64 spawns of a bare script, two at a time, and
 * reads the memory of the whole tree. It also counts how many calls per second a shared server answers, for 32 parallel
 * callers with a session each.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import {
  bench, concurrently, echoServer, machine, median, openSession, post, ratio, startFloor, startRedis, startService,
  table, temporaryFolder, timed
} from './bench.mjs'
import { processTree, read } from './processor.mjs'

const rounds = Number(process.argv[2] ?? 5)
const calls = 64
const callers = 32
const many = 4_000

await bench(async () => {
  const redis = await startRedis()
  const limits = { MCP_SESSION_MAX_CONCURRENCY: '1000', MCP_QUEUE_TIMEOUT: '120', MCP_WARM_SPARES: '0' }
  const common = { REDIS_URL: redis.url, ...limits }
  const cold = await startService({ ...common, MCP_SERVER_SCRIPT: echoServer })
  const shared = await startService({ ...common, MCP_SERVERS_FILE: await serversFile() })
  const floor = await startFloor(redis)
  const coldSession = await openSession(cold)
  const sessions = await Promise.all(Array.from({ length: callers }, () => openSession(shared)))
  const echo = { tool: 'echo', params: { text: 'hello' } }
  const call = (service, session) => post(`${service.url}/call-tool`, { session_id: session, ...echo })
  await call(cold, coldSession)
  /** Gives the calls per second of all callers together. */
  const rateOf = async service => {
    const work = () => concurrently(many, callers, caller => call(service, sessions[caller]))
    return many / (await timed(work)) * 1000
  }
  for (const service of [shared, floor]) await rateOf(service) // a service runs for weeks, so its code is compiled

  const rates = { bare: [], service: [], floor: [], shared: [] }
  const burst = () => concurrently(calls, calls, () => call(cold, coldSession))
  for (let round = 0; round < rounds; round++) {
    rates.bare.push(calls / (await timed(() => concurrently(calls, 2, callDirectly))) * 1000)
    rates.service.push(calls / (await timed(burst)) * 1000)
    rates.floor.push(await rateOf(floor))
    rates.shared.push(await rateOf(shared))
  }
  // This burst is not timed, because reading the memory of many processes takes a third of a core.
  let peakMb = 0
  const watch = setInterval(() => { peakMb = Math.max(peakMb, treeMb(cold.pid)) }, 50)
  await burst()
  clearInterval(watch)
  const [bare, service, floorRate, sharedRate] = Object.values(rates).map(median)
  console.log(`${machine()} · ${rounds} rounds, alternating\n`)
  table(['', 'calls/s (median)', 'ratio', 'peak memory of the tree'], [
    [`the same spawns, two at a time, ${calls} of them`, bare.toFixed(1), '', ''],
    [`/call-tool, ${calls} concurrent cold calls`, service.toFixed(1), ratio(service / bare), `${peakMb} MB`],
    [`the floor, ${callers} concurrent`, floorRate.toFixed(0), '', ''],
    [`/call-tool, shared server, ${callers} concurrent`, sharedRate.toFixed(0), ratio(sharedRate / floorRate), '']
  ])
})

async function callDirectly () {
  const transport = new StdioClientTransport({ command: process.execPath, args: [echoServer], stderr: 'ignore' })
  const client = new Client({ name: 'bare', version: '1.0.0' })
  await client.connect(transport)
  await client.callTool({ name: 'echo', arguments: { text: 'hello' } })
  await client.close()
}

/** Gives the memory of a process and all its descendants, with shared pages counted once (Pss, MB). */
function treeMb (root) {
  const kilobytes = processTree(root).map(pid => Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0))
  return Math.round(kilobytes.reduce((sum, value) => sum + value, 0) / 1024)
}

async function serversFile () {
  const file = join(await temporaryFolder(), 'servers.json')
  const echo = { command: process.execPath, args: [echoServer], lifecycle: 'shared' }
  await writeFile(file, JSON.stringify({ mcpServers: { echo } }))
  return file
}
