/*
 * Measures a service with 1, 10 and 30 entries in its servers file: the first listing, a later one, a call through a
 * fresh process and through a spare, and the memory. A call and a later listing should not grow with the entries.
 */
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  bench, echoServer, machine, median, openSession, post, ratio, startRedis, startService, table, temporaryFolder, timed
} from './bench.mjs'

const rounds = Number(process.argv[2] ?? 10)
const sizes = [1, 10, 30]

await bench(async () => {
  const redis = await startRedis()
  const rows = []
  const firsts = {}
  for (const size of sizes) {
    const cold = await measure(redis, size, '0')
    const warm = await measure(redis, size, '1')
    const times = [cold.first, cold.later, cold.call, warm.call]
    firsts.times ??= times
    rows.push([
      String(size),
      `${cold.first.toFixed(0)} ms`,
      ...times.slice(1).flatMap((ms, index) => [`${ms.toFixed(1)} ms`, ratio(ms / firsts.times[index + 1])]),
      `${cold.memory} MB`
    ])
  }
  console.log(`${machine()} · ${rounds} rounds, medians; ratios against one entry\n`)
  table([
    'entries', 'first listing', 'later listing', 'ratio', 'call, fresh process', 'ratio', 'call, spare', 'ratio',
    'memory of the service'
  ], rows)
})

async function measure (redis, size, spares) {
  const service = await startService({
    REDIS_URL: redis.url, MCP_SERVERS_FILE: await serversFile(size), MCP_WARM_SPARES: spares
  })
  const session = await openSession(service)
  const list = () => post(`${service.url}/tools`, { session_id: session })
  const tool = size === 1 ? 'echo' : `s${size - 1}__echo`
  const call = () => post(`${service.url}/call-tool`, { session_id: session, tool, params: { text: 'hello' } })
  const first = await timed(list)
  const later = []
  const calls = []
  for (let round = 0; round < rounds; round++) {
    if (spares !== '0') await readySpares(service, size)
    later.push(await timed(list))
    calls.push(await timed(call))
  }
  const memory = Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${service.pid}/status`, 'utf8'))?.[1]) / 1024)
  process.kill(service.pid) // the next one is measured without it
  return { first, later: median(later), call: median(calls), memory }
}

/** Waits until nothing starts any more: what starts takes a core from what is measured. */
async function readySpares ({ url }, size) {
  for (;;) {
    const { processes } = await (await fetch(`${url}/health`)).json()
    if (processes.spares_ready === size && processes.starting === 0) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

async function serversFile (size) {
  const file = join(await temporaryFolder(), 'servers.json')
  const entry = { command: process.execPath, args: [echoServer] }
  const names = Array.from({ length: size }, (_, index) => `s${index}`)
  await writeFile(file, JSON.stringify({ mcpServers: Object.fromEntries(names.map(name => [name, entry])) }))
  return file
}
