/*
 * Compares this checkout with another one, by the processor time that a worker takes for each kind of call, and by the
 * memory that megabytes take that only pass through. Both are built. The two take turns in blocks of calls.
 *
 *   node bench/before-after.mjs ../other-checkout [rounds] [part of the name of a kind]
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { bench, echoServer, machine, ms, ratio, root, startRedis, startUpstream, table } from './bench.mjs'
import { compareProcessorTime, makeCalls } from './call-blocks.mjs'
import { startCheckout } from './checkouts.mjs'

const [before, roundsGiven, only = ''] = process.argv.slice(2)
if (before === undefined) throw new Error('usage: node bench/before-after.mjs <other checkout, built> [rounds]')
const rounds = Number(roundsGiven ?? 12)
const echoes = { command: process.execPath, args: [echoServer] }
const echo = { tool: 'echo', params: { text: 'hello' } }

await bench(async () => {
  const redis = await startRedis()
  const http2025 = await startUpstream('http-2025', '--json')
  const http2026 = await startUpstream('http-2026', '--modern-only')
  const manyTools = await startUpstream('raw-http', '--era=2026', '--tools=999')
  const megabytes = {
    command: process.execPath, args: [join(root, 'bench', 'megabytes-server.mjs')], lifecycle: 'shared'
  }
  const pairs = { ...megabytes, args: [...megabytes.args, '--megabytes=8.9', '--pairs'] }
  const kinds = [
    { what: 'a call through a shared server', wanted: '≤ 0.8', calls: 1_000, entry: { ...echoes, lifecycle: 'shared' }, body: echo },
    { what: 'a call, 2025 era over HTTP, resumed', wanted: '≤ 0.8', calls: 500, entry: { url: http2025 }, body: echo },
    { what: 'a call, 2026 era over HTTP', wanted: '≤ 0.8', calls: 500, entry: { url: http2026 }, body: echo },
    {
      what: 'a list of 1,000 tools',
      wanted: '≤ 1',
      calls: 20,
      path: '/tools',
      body: {},
      entry: { url: manyTools },
      settings: { MCP_TOOLS_CACHE_TTL: '0' }
    },
    { what: 'a call, fresh process', wanted: '1', calls: 12, entry: echoes, body: echo },
    { what: '8.9 MB that pass through, shared server', wanted: '≤ 0.33', calls: 3, entry: megabytes, body: { tool: 'rows' } },
    {
      what: 'the same, in the default policy of an entry',
      wanted: '≤ 0.33',
      calls: 3,
      entry: megabytes,
      body: { tool: 'rows' },
      settings: { MCP_VALUES: 'none' }
    },
    { what: '8.9 MB of short lists, shared server', wanted: '≤ 0.33', calls: 3, entry: pairs, body: { tool: 'rows' } }
  ]

  const rows = []
  for (const kind of kinds.filter(({ what }) => what.includes(only))) {
    const services = await Promise.all([resolve(before), root].map(checkout => startCheckout(checkout, redis, kind)))
    const compared = await compareProcessorTime(services, kind, { rounds })
    rows.push([kind.what, ms(compared.old), ms(compared.now), ratio(compared.ratio), kind.wanted])
    if (kind.body.tool === 'rows') await memory(services, kind, rows)
    for (const service of services) await service.stop()
  }
  console.log(`${machine()} · ${rounds} rounds, alternating\n`)
  table(['processor time of the worker', 'before', 'now', 'ratio', 'wanted'], rows)
})

/** Adds the peaks of memory above idle. */
async function memory (services, { body }, rows) {
  const peaks = []
  for (const service of services) {
    const { pid } = service
    const status = name => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1])
    await delay(3_000) // the collector gives memory back a moment after the last call
    const idle = status('VmRSS')
    writeFileSync(`/proc/${pid}/clear_refs`, '5') // resets the peak, see proc(5)
    await makeCalls(service, { calls: 1, body })
    peaks.push((status('VmHWM') - idle) / 1_024)
  }
  const [old, now] = peaks
  rows.push(['8.9 MB that pass through: peak of memory above idle', `${old.toFixed(0)} MB`, `${now.toFixed(0)} MB`, ratio(now / old), '≤ 60 MB'])
}
