/* Gives each benchmark a private service and Redis, and compares alternating runs by their medians. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Agent, request } from 'undici'
import { startListening, startService as startPrivateService } from '../scripts/private-service.mjs'
import { provideRedisServer, startRedisServer, waysToGetRedis } from '../scripts/redis-server.mjs'

export const root = join(import.meta.dirname, '..')
export const echoServer = join(root, 'bench', 'echo-server.mjs')

const cleanUps = []

/** Registers a clean-up for the end of the benchmark. The last one runs first. */
export const atEnd = cleanUp => cleanUps.push(cleanUp)

/** Runs a benchmark, and cleans up after it, also when it fails. */
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

/** Starts the built service as `npm start` does, on a free port; `node` is another Node's binary. */
export function startService (environment, { node } = {}) {
  // The tools of the benches declare a credential, and the chain is what costs most.
  return untilTheEnd(startPrivateService({ cwd: tmpdir(), node, environment: { MCP_VALUES: 'chain', ...environment } }))
}

/** Writes a servers file for the length of the benchmark. */
export async function serversFile (mcpServers) {
  const file = join(await temporaryFolder(), 'servers.json')
  await writeFile(file, JSON.stringify({ mcpServers }))
  return file
}

/** Starts floor-service.mjs, the least that a tool call through Fastify and Redis costs. `era`: for one over HTTP. */
export function startFloor (redis, { target = echoServer, era = 'stdio', isWriteAcknowledged = true } = {}) {
  const script = join(root, 'bench', 'floor-service.mjs')
  const args = [script, redis.socket, target, String(era), ...isWriteAcknowledged ? ['acknowledged'] : []]
  return untilTheEnd(startListening(args, { cwd: tmpdir() }))
}

/** Starts one of the test servers over HTTP on a free port, and gives its URL. */
export async function startUpstream (name, ...flags) {
  const script = join(root, 'test', 'fixtures', `${name}-server.mjs`)
  const child = spawn(process.execPath, [script, ...flags], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  cleanUps.push(async () => {
    child.kill('SIGTERM')
    await exited
  })
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  return JSON.parse(line).url
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
 * POSTs JSON and reads the whole answer. Any status but 200 ends the benchmark.
 *
 * It uses undici, because the client's time counts as the service's here. node:http takes twice as much of the
 * processor, and fetch six times as much.
 */
export async function post (url, body) {
  const headers = { 'content-type': 'application/json' }
  const response = await request(url, { method: 'POST', dispatcher: agent, headers, body: JSON.stringify(body) })
  const answer = await response.body.text()
  if (response.statusCode !== 200) throw new Error(`${url} answered ${response.statusCode}: ${answer}`)
  return answer
}

export async function openSession (service) {
  const id = `bench-${Math.random().toString(36).slice(2)}`
  await post(`${service.url}/init`, { session_id: id, apiUrl: 'https://api.example.com', jwtToken: 'not.a-real.token' })
  return id
}

/** Times each of `runs` in turn (ms), for `rounds` rounds, after `warmUp` rounds that do not count. */
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

/** Times `work` (ms). */
export async function timed (work) {
  const start = performance.now()
  await work()
  return performance.now() - start
}

/** Does `work` `count` times, `atOnce` at a time. It gets the number of its caller. */
export async function concurrently (count, atOnce, work) {
  let next = 0
  await Promise.all(Array.from({ length: atOnce }, async (_, caller) => { while (next++ < count) await work(caller) }))
}

export const median = values => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]

export function machine () {
  const cores = `${cpus().length} × ${cpus()[0]?.model.trim()}`
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`
  return `Node ${process.versions.node}, ${cores}, ${memory}, ${process.platform} ${process.arch}`
}

/** Rows of a Markdown table. */
export function tableText (head, rows) {
  const line = cells => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

/** Prints rows of a Markdown table. */
export const table = (head, rows) => console.log(tableText(head, rows))

export const ms = value => `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`
export const ratio = value => value.toFixed(2)
