/*
 * Many at once: 64 cold calls against the same 64 spawns run two at a time by a bare script, with the memory of the whole tree;
 * and how many calls a shared server answers per second, for 32 callers at once, each with a session of its own.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { bench, echoServer, machine, median, openSession, post, ratio, startFloor, startRedis, startService, table, temporaryFolder, timed } from './bench.mjs'

const rounds = Number(process.argv[2] ?? 5)
const calls = 64
const callers = 32
const many = 4_000

await bench(async () => {
  const redis = await startRedis()
  const common = { REDIS_URL: redis.url, MCP_SESSION_MAX_CONCURRENCY: '1000', MCP_QUEUE_TIMEOUT: '120', MCP_WARM_SPARES: '0' }
  const cold = await startService({ ...common, MCP_SERVER_SCRIPT: echoServer })
  const shared = await startService({ ...common, MCP_SERVERS_FILE: await serversFile() })
  const floor = await startFloor(redis)
  const coldSession = await openSession(cold)
  const sessions = await Promise.all(Array.from({ length: callers }, () => openSession(shared)))
  const call = (service, session) => post(`${service.url}/call-tool`, { session_id: session, tool: 'echo', params: { text: 'hello' } })
  await call(cold, coldSession)
  /** Calls that all callers together make per second. */
  const rateOf = async service => many / (await timed(() => concurrently(many, callers, caller => call(service, sessions[caller])))) * 1000
  for (const service of [shared, floor]) await rateOf(service) // a service runs for weeks: what counts is compiled code

  const rates = { bare: [], service: [], floor: [], shared: [] }
  const burst = () => concurrently(calls, calls, () => call(cold, coldSession))
  for (let round = 0; round < rounds; round++) {
    rates.bare.push(calls / (await timed(() => concurrently(calls, 2, callDirectly))) * 1000)
    rates.service.push(calls / (await timed(burst)) * 1000)
    rates.floor.push(await rateOf(floor))
    rates.shared.push(await rateOf(shared))
  }
  // A burst of its own, that is not timed: looking at the memory of many processes takes a third of a core.
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

async function concurrently (count, atOnce, work) {
  let next = 0
  await Promise.all(Array.from({ length: atOnce }, async (_, worker) => { while (next++ < count) await work(worker) }))
}

/** Memory of a process and all below it, shared pages once (Pss, MB). */
function treeMb (root) {
  const parents = new Map()
  for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    const stat = read(`/proc/${pid}/stat`)
    if (stat !== '') parents.set(Number(pid), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
  }
  const below = pid => [pid, ...[...parents].filter(([, parent]) => parent === pid).flatMap(([child]) => below(child))]
  const kilobytes = below(root).map(pid => Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0))
  return Math.round(kilobytes.reduce((sum, value) => sum + value, 0) / 1024)
}

function read (file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '' // it ended while we looked
  }
}

async function serversFile () {
  const file = join(await temporaryFolder(), 'servers.json')
  await writeFile(file, JSON.stringify({ mcpServers: { echo: { command: process.execPath, args: [echoServer], lifecycle: 'shared' } } }))
  return file
}
