/*
 * Makes ten thousand calls of every kind at concurrency 50, and looks for leftovers:
 * `npm run soak [calls] [concurrency]`. It prints figures. It ends with exit code 1 when a process, memory, or file
 * descriptors are left. It uses this machine only.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { root } from './environment.mjs'
import { countProcesses, prepareRun, startService } from './private-service.mjs'

const calls = Number(process.argv[2] ?? 10_000)
const concurrency = Number(process.argv[3] ?? 50)

const { folder, redis } = await prepareRun('soak')
const soak = {
  command: process.execPath, args: [join(root, 'test', 'fixtures', 'soak-server.mjs'), folder], values: 'chain'
}
writeFileSync(join(folder, 'servers.json'), JSON.stringify({ mcpServers: { soak } }))
const { child: service, exited, listening } = startService({
  cwd: folder,
  // A collection comes before each reading. Without it, memory shows the time of the last one: 121 to 147 MB for a
  // service without a leak.
  nodeOptions: ['--expose-gc', '--import', 'data:text/javascript,process.on("SIGWINCH", () => gc())'],
  environment: {
    REDIS_URL: redis.url,
    MCP_SERVERS_FILE: join(folder, 'servers.json'),
    MCP_SESSION_MAX_CONCURRENCY: '1000',
    MCP_QUEUE_TIMEOUT: '120',
    MCP_STOP_STEP_MS: '200'
  }
})
const url = await listening

const agent = new Agent({ keepAlive: true, maxSockets: concurrency })
const outcomes = {}
const kinds = ['ok', 'ok', 'ok', 'ok', 'fails', 'ok', 'crashes', 'ok', 'leaves', 'ok', 'ok', 'hangs']

let failure = null
try {
  const credentials = { apiUrl: 'https://api.example.com', jwtToken: 'not.a-real.token' }
  const status = await post('/init', { session_id: 'soak', ...credentials })
  if (status !== 200) throw new Error(`/init answered ${status}`)
  // These calls warm the caches, the compiler and the heap.
  await run(Math.max(100, Math.floor(calls / 5)))
  const before = await settled()
  await run(calls)
  const after = await settled()
  console.log(`outcomes: ${JSON.stringify(outcomes)}`)
  console.log(`after the warm start: ${describe(before)}\nafter ${calls} calls more:  ${describe(after)}`)
  failure = faultOf(before, after)
} catch (error) {
  failure = error.message
}

service.kill('SIGTERM')
const [exitCode] = await exited
await redis.stop()
agent.destroy()
rmSync(folder, { recursive: true, force: true })
if (failure === null && exitCode !== 0) failure = `the service ended with exit code ${exitCode}`
console.log(failure === null ? 'nothing is left' : `NOT CLEAN: ${failure}`)
process.exitCode = failure === null ? 0 : 1

async function run (count) {
  let next = 0
  await Promise.all(Array.from({ length: concurrency }, async () => {
    while (next < count) {
      const kind = kinds[next++ % kinds.length]
      // Only a call that hangs is ended by its time: on a slow machine a good one takes long, too.
      const call = { session_id: 'soak', tool: 'act', params: { kind }, ...(kind === 'hangs' && { timeout: 1 }) }
      const outcome = `${kind} ${await post('/call-tool', call, kind === 'leaves' ? 150 : 0)}`
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    }
  }))
}

function post (path, body, leaveAfterMs = 0) {
  return new Promise((resolve, reject) => {
    const text = JSON.stringify(body)
    const headers = { 'content-length': Buffer.byteLength(text) }
    const call = request(url + path, { method: 'POST', agent, headers }, response => {
      response.resume().once('end', () => resolve(response.statusCode)).once('error', () => resolve('broken off'))
    })
    call.once('error', error => call.destroyed && leaveAfterMs > 0 ? resolve('left') : reject(error))
    if (leaveAfterMs > 0) setTimeout(() => call.destroy(), leaveAfterMs)
    call.end(text)
  })
}

/** Reads the use of resources, five seconds after the last call. */
async function settled () {
  for (let second = 0; second < 5; second++) {
    service.kill('SIGWINCH')
    await delay(1_000)
  }
  return { processes: servers(), memoryMb: residentMb(), descriptors: readdirSync(`/proc/${service.pid}/fd`).length }
}

/**
 * Counts the living MCP servers of this run, without the one spare for the next call. They have the folder as an
 * argument, to be found by it.
 */
function servers () {
  return Math.max(0, countProcesses(`soak-server.mjs\0${folder}\0`) - 1)
}

function residentMb () {
  return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${service.pid}/status`, 'utf8'))?.[1]) / 1024)
}

function describe ({ processes, memoryMb, descriptors }) {
  return `${processes} processes, ${memoryMb} MB, ${descriptors} file descriptors`
}

function faultOf (before, after) {
  if (after.processes > 0) return `${after.processes} processes are left`
  // In a short run the heap still grows to its size.
  const slackMb = calls < 5_000 ? 24 : 0
  if (after.memoryMb > before.memoryMb * 1.1 + slackMb) {
    return `memory grew from ${before.memoryMb} to ${after.memoryMb} MB`
  }
  if (after.descriptors > before.descriptors + 2) {
    return `file descriptors grew from ${before.descriptors} to ${after.descriptors}`
  }
  const expected = ['ok 200', 'fails 200', 'crashes 502', 'hangs 504', 'leaves left', 'leaves 200']
  const wrong = Object.keys(outcomes).filter(outcome => !expected.includes(outcome))
  return wrong.length > 0 ? `some answers are not as expected: ${wrong}` : null
}
