/* What the benchmarks share: a service on a Redis of its own, both private, and alternating runs compared by their medians. */
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { startListening, startService as startPrivateService } from '../scripts/private-service.mjs'
import { provideRedisServer, startRedisServer, waysToGetRedis } from '../scripts/redis-server.mjs'

export const root = join(import.meta.dirname, '..')
export const echoServer = join(root, 'bench', 'echo-server.mjs')

const cleanUps = []

/** Does something when the benchmark is over, last first. */
export const atEnd = cleanUp => cleanUps.push(cleanUp)

/** Runs a benchmark, and ends whatever it started, also when it fails. */
export async function bench (run) {
  try {
    await run()
  } finally {
    await agent.destroy()
    for (const cleanUp of cleanUps.reverse()) await cleanUp()
  }
}

export async function temporaryFolder () {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-bench-'))
  cleanUps.push(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export async function startRedis () {
  const binary = provideRedisServer()
  if (binary === null) throw new Error(waysToGetRedis)
  const redis = await startRedisServer({ binary, folder: await temporaryFolder() })
  cleanUps.push(redis.stop)
  return redis
}

/** The built service, as `npm start` starts it, on a free port. */
export function startService (environment) {
  return untilTheEnd(startPrivateService({ cwd: tmpdir(), environment }))
}

/** The least that a tool call through Fastify, Redis and the SDK costs; see floor-service.mjs. Calls one echo server, kept open. */
export function startFloor (redis) {
  return untilTheEnd(startListening([join(root, 'bench', 'floor-service.mjs'), redis.socket, echoServer], { cwd: tmpdir() }))
}

async function untilTheEnd ({ child, exited, listening }) {
  cleanUps.push(async () => {
    child.kill('SIGTERM')
    await exited
  })
  return { url: await listening, pid: child.pid }
}

const agent = new Agent()

/**
 * POSTs JSON and reads the answer to its end; anything but a 200 ends the benchmark. By undici, because the client's time counts
 * as the service's here: node:http takes twice as much of the processor, and fetch six times.
 */
export async function post (url, body) {
  const response = await request(url, { method: 'POST', dispatcher: agent, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  const answer = await response.body.text()
  if (response.statusCode !== 200) throw new Error(`${url} answered ${response.statusCode}: ${answer}`)
  return answer
}

export async function openSession (service) {
  const id = `bench-${Math.random().toString(36).slice(2)}`
  await post(`${service.url}/init`, { session_id: id, apiUrl: 'https://api.example.com', jwtToken: 'not.a-real.token' })
  return id
}

/** How long each of `runs` takes (ms), in turn, `rounds` times after `warmUp` rounds that do not count. */
export async function alternate (runs, { rounds, warmUp = 3 }) {
  const times = Object.fromEntries(Object.keys(runs).map(name => [name, []]))
  for (let round = -warmUp; round < rounds; round++) {
    for (const [name, run] of Object.entries(runs)) {
      const time = await run()
      if (round >= 0) times[name].push(time)
    }
  }
  return times
}

/** Time that `work` takes (ms). */
export async function timed (work) {
  const start = performance.now()
  await work()
  return performance.now() - start
}

export const median = values => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]

export const machine = () => `Node ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ${process.arch}`

/** Prints rows of a Markdown table. */
export function table (head, rows) {
  const line = cells => `| ${cells.join(' | ')} |`
  console.log([line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n'))
}

export const ms = value => `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`
export const ratio = value => value.toFixed(2)
