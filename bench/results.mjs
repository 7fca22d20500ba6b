/*
 * What a result of 5 MB costs a worker in memory: sent through its caller, as before, and kept and referred to. Each
 * way has a worker of its own, and the ways take turns. A figure is the peak above the worker's memory at rest.
 *
 *   node bench/results.mjs [rounds] [megabytes]
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import {
  bench, machine, median, ms, openSession, post, root, startRedis, startService, table, temporaryFolder, timed
} from './bench.mjs'

const rounds = Number(process.argv[2] ?? 5)
const megabytes = Number(process.argv[3] ?? 5)
/** Readers at once of the last row. */
const readers = 20

const make = (service, options = {}) => post(`${service.url}/call-tool`, {
  session_id: service.session, tool: 'make', params: { bytes: megabytes * 1e6 }, result: 'json', ...options
})
const take = (service, rows) =>
  post(`${service.url}/call-tool`, { session_id: service.session, tool: 'take', params: { rows }, reference: false })

async function read ({ url, session, ref }, query = '') {
  const response = await fetch(`${url}/results/${ref}${query}`, { headers: { 'x-session-id': session } })
  let bytes = 0
  for await (const chunk of response.body) bytes += chunk.length
  if (response.status !== 200) throw new Error(`it was answered ${response.status}`)
  return bytes
}

const ways = {
  'control: the result is sent to its caller': service => make(service),
  'control: its caller sends it to the next tool': service => take(service, service.rows),
  'the result is kept, and referred to': service => make(service, { reference: true }),
  'a reference is sent to the next tool': service => take(service, { $result: service.ref, pointer: '/rows' }),
  'it is read whole': service => read(service),
  'one value of it is read': service => read(service, '?pointer=/rows/70000/id'),
  'one field of all rows is read': service => read(service, '?fields=/rows/*/id'),
  [`${readers} read it whole at once`]: service => Promise.all(Array.from({ length: readers }, () => read(service)))
}

const status = (pid, name) =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1_024

await bench(async () => {
  const redis = await startRedis()
  const file = join(await temporaryFolder(), 'servers.json')
  const args = [join(root, 'test', 'fixtures', 'results-server.mjs')]
  await writeFile(file, JSON.stringify({
    mcpServers: { up: { command: process.execPath, args, lifecycle: 'shared', values: 'none' } }
  }))
  const measured = []
  for (const [name, run] of Object.entries(ways)) {
    const service = await startService({
      REDIS_URL: redis.url,
      MCP_SERVERS_FILE: file,
      MCP_SESSION_KEY_PREFIX: `bench${measured.length}`,
      MCP_ENCRYPTION_KEYS: `k1:${Buffer.alloc(32).toString('base64')}`
    })
    service.session = await openSession(service)
    service.ref = JSON.parse(await make(service, { reference: true })).ref
    if (name.startsWith('control: its caller')) service.rows = JSON.parse(await make(service)).rows
    measured.push({ name, run, service, peaks: [], times: [] })
  }
  for (let round = 0; round < rounds; round++) {
    for (const { run, service, peaks, times } of measured) {
      await delay(2_000) // the collector gives memory back a moment after the last call
      const idle = status(service.pid, 'VmRSS')
      writeFileSync(`/proc/${service.pid}/clear_refs`, '5') // resets the peak, see proc(5)
      times.push(await timed(() => run(service)))
      peaks.push(status(service.pid, 'VmHWM') - idle)
    }
  }
  console.log(`${machine()} · ${megabytes} MB, sealed, ${rounds} rounds, alternating\n`)
  table(['', 'peak above rest: p50', 'most', 'time: p50'], measured.map(({ name, peaks, times }) =>
    [name, `${median(peaks).toFixed(0)} MB`, `${Math.max(...peaks).toFixed(0)} MB`, ms(median(times))]))
})
