/*
 * What metrics cost: calls of a shared server through a worker that counts, and through one that does not. The two take
 * turns in blocks of calls. Somebody asks for the metrics every second, which is more often than any Prometheus.
 *
 *   node bench/metrics.mjs [rounds] [another checkout, built, that is measured as well]
 */
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { freePort } from '../scripts/ports.mjs'
import {
  atEnd, bench, echoServer, machine, median, ms, openSession, post, ratio, root, startRedis, table,
  temporaryFolder, timed
} from './bench.mjs'

const [roundsGiven = '20', other] = process.argv.slice(2)
const rounds = Number(roundsGiven)
const calls = 600
const concurrency = 16
/** Ticks of the processor's clock in a second, as Linux counts them for programs. */
const ticksPerSecond = 100

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
      const before = ticksOf(service)
      const wall = await timed(() => block(service))
      if (round < 0) continue
      measured[name].wall.push(wall)
      measured[name].processor.push((ticksOf(service) - before) / ticksPerSecond * 1_000 / calls)
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

async function start (checkout, redis, settings = {}) {
  const { startService } = await import(join(checkout, 'scripts', 'private-service.mjs'))
  const file = join(await temporaryFolder(), 'servers.json')
  const echo = { command: process.execPath, args: [echoServer], lifecycle: 'shared' }
  await writeFile(file, JSON.stringify({ mcpServers: { echo } }))
  const { child, exited, listening } = startService({
    cwd: tmpdir(),
    environment: {
      REDIS_URL: redis.url,
      MCP_SESSION_KEY_PREFIX: `bench${Math.random().toString(36).slice(2)}`,
      MCP_SERVERS_FILE: file,
      MCP_SESSION_MAX_CONCURRENCY: '1000',
      ...settings
    }
  })
  atEnd(async () => {
    child.kill('SIGTERM')
    await exited
  })
  const service = { url: await listening, pid: child.pid }
  return { ...service, session: await openSession(service) }
}

async function block ({ url, session }) {
  let left = calls
  const body = { session_id: session, tool: 'echo', params: { text: 'hello' } }
  await Promise.all(Array.from({ length: concurrency }, async () => {
    while (left-- > 0) await post(`${url}/call-tool`, body)
  }))
}

function ticksOf ({ pid }) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return Number(fields[11]) + Number(fields[12]) // utime and stime, see proc(5)
}
