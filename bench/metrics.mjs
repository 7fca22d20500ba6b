/*
 * What metrics cost: calls of a shared server through a worker that counts, and through one that does not. The two take
 * turns in blocks of calls. Somebody asks for the metrics every second, which is more often than any Prometheus.
 *
 *   node bench/metrics.mjs [rounds] [another checkout, built, that is measured as well]
 */
import { resolve } from 'node:path'
import { freePort } from '../scripts/ports.mjs'
import { atEnd, bench, echoServer, machine, median, ms, ratio, root, startRedis, table, timed } from './bench.mjs'
import { makeCalls } from './call-blocks.mjs'
import { startCheckout } from './checkouts.mjs'
import { processorMs } from './processor.mjs'

const [roundsGiven = '20', other] = process.argv.slice(2)
const rounds = Number(roundsGiven)
const calls = 600
const concurrency = 16
const block = { calls, callers: concurrency, body: { tool: 'echo', params: { text: 'hello' } } }

await bench(async () => {
  const redis = await startRedis()
  const port = await freePort()
  const services = {
    ...(other !== undefined && { [other]: await start(resolve(other), redis) }),
    'metrics off': await start(root, redis),
    'metrics on': await start(root, redis, { MCP_METRICS_PORT: String(port) })
  }
  const timer = setInterval(() => fetch(`http://127.0.0.1:${port}/metrics`).then(response => response.text()), 1_000)
  atEnd(() => clearInterval(timer))

  const measured = Object.fromEntries(Object.keys(services).map(name => [name, { wall: [], processor: [] }]))
  for (let round = -2; round < rounds; round++) {
    for (const [name, service] of Object.entries(services)) {
      const before = processorMs(service.pid)
      const wall = await timed(() => makeCalls(service, block))
      if (round < 0) continue
      measured[name].wall.push(wall)
      measured[name].processor.push((processorMs(service.pid) - before) / calls)
    }
  }
  console.log(`${machine()} · ${rounds} rounds of ${calls} calls, ${concurrency} at once, alternating\n`)
  const [first] = Object.values(measured)
  table(['a call of a shared server', 'calls/s', 'ratio', 'processor time of the worker', 'ratio'],
    Object.entries(measured).map(([name, { wall, processor }]) => [
      name, Math.round(calls / median(wall) * 1_000), ratio(median(first.wall) / median(wall)),
      ms(median(processor)), ratio(median(processor) / median(first.processor))
    ]))
})

function start (checkout, redis, settings = {}) {
  const entry = { command: process.execPath, args: [echoServer], lifecycle: 'shared' }
  return startCheckout(checkout, redis, { entry, settings: { MCP_VALUES: 'none', ...settings } })
}
