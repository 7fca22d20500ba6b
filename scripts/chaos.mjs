/*
 * Kills workers under load, and looks for lost sessions: `npm run chaos`, with CHAOS_SECONDS (180), CHAOS_KILL_EVERY
 * (20 s), CHAOS_WORKERS (3) and CHAOS_SESSIONS (200). This script is also the load balancer: it sends a request again
 * only when no worker listened. It prints figures. It ends with exit code 1 when a session or a value is lost, a
 * request failed on a living worker, or a process is left. It uses this machine only.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { root } from './environment.mjs'
import { countProcesses, prepareRun, startService } from './private-service.mjs'

const number = (name, usual) => Number(process.env[name] || usual)
const seconds = number('CHAOS_SECONDS', 180)
const killEverySeconds = number('CHAOS_KILL_EVERY', 20)
const workerCount = number('CHAOS_WORKERS', 3)
const sessionCount = number('CHAOS_SESSIONS', 200)

const { folder, redis } = await prepareRun('chaos')
const server = { command: process.execPath, args: [join(root, 'test', 'fixtures', 'tiny-server.mjs'), folder] }
const chain = { ...server, values: 'chain' }
// Values of both servers are checked by a tool of one.
const recall = { from: ['shared', 'fresh'] }
const mcpServers = { shared: { ...chain, lifecycle: 'shared', tools: { recall } }, fresh: chain }
writeFileSync(join(folder, 'servers.json'), JSON.stringify({ mcpServers }))

/** Workers that take requests, in turn. */
const workers = []
/** Every process that was started. */
const processes = new Set()
const figures = {
  calls: 0,
  kills: 0,
  'failed on a worker that was killed': 0,
  'sent again, because no worker listened': 0
}
const faults = []
const state = { isOver: false, turn: 0 }

const giveUp = setTimeout(() => end(`the run was not done ${seconds + 150} s after its start`), (seconds + 150) * 1_000)
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => end(`the run was stopped by ${signal}`))

try {
  await Promise.all(Array.from({ length: workerCount }, startWorker))
  const newSession = (_, index) => ({ id: `chaos-${index}`, acknowledged: 0, sent: 0 })
  const sessions = Array.from({ length: sessionCount }, newSession)
  await inPortions(sessions, async session => {
    const credentials = { apiUrl: 'https://api.example.com', jwtToken: 'not.a-real.token' }
    const { status } = await post('/init', { session_id: session.id, ...credentials })
    if (status !== 200) throw new Error(`/init answered ${status}`)
  })
  const kills = `one killed every ${killEverySeconds} s, for ${seconds} s`
  console.log(`${sessionCount} sessions, ${workerCount} workers, ${kills}`)

  const load = Promise.all(sessions.map(use))
  const startedAt = Date.now()
  const endsAt = startedAt + seconds * 1_000
  for (let at = startedAt + killEverySeconds * 1_000; at < endsAt; at += killEverySeconds * 1_000) {
    await delay(Math.max(0, at - Date.now()))
    await killWorker()
  }
  await delay(Math.max(0, endsAt - Date.now()))
  state.isOver = true
  await load
  await inPortions(sessions, check)
  await end()
} catch (error) {
  await end(error.stack)
}

async function startWorker () {
  const { child, exited, listening } = startService({
    cwd: folder,
    environment: {
      REDIS_URL: redis.url,
      MCP_SERVERS_FILE: join(folder, 'servers.json'),
      MCP_QUEUE_TIMEOUT: '120',
      MCP_WARM_SPARES: '0',
      MCP_STOP_STEP_MS: '200'
    }
  })
  processes.add(child)
  exited.then(() => processes.delete(child))
  const { port } = new URL(await listening)
  const worker = { child, exited, port, isKilled: false, agent: new Agent({ keepAlive: true }) }
  workers.push(worker)
  exited.then(() => {
    if (!worker.isKilled && !state.isOver) faults.push('a worker ended by itself')
  })
}

/** Kills a worker. It still gets requests until it is known to be gone, as behind a load balancer. */
async function killWorker () {
  const worker = workers[figures.kills++ % workers.length]
  worker.isKilled = true
  worker.child.kill('SIGKILL')
  await worker.exited
  await delay(100)
  workers.splice(workers.indexOf(worker), 1)
  worker.agent.destroy()
  await startWorker()
}

/** Counts up in one session. Some calls are long enough to be cut off, and some have a server of their own. */
async function use (session, index) {
  await delay(index * 5)
  for (let turn = index; !state.isOver; turn++) {
    const tool = turn % 40 === 0 ? 'fresh__keep' : 'shared__keep'
    session.sent++
    const params = { name: 'value0', value: session.sent }
    const { status, headers } = await post('/call-tool', { session_id: session.id, tool, params })
    if (status === 200 && headers['x-mcp-not-cached'] === undefined) session.acknowledged = session.sent
    expectAnswer(status, session)
    if (turn % 3 === 0) {
      const slow = await post('/call-tool', { session_id: session.id, tool: 'shared__wait', params: { ms: 200 } })
      expectAnswer(slow.status, session)
    }
    if (turn % 10 === 0) await check(session)
    await delay(400)
  }
}

function expectAnswer (status, { id }) {
  if (status !== 200 && status !== 'cut off') faults.push(`session ${id} was answered ${status}`)
}

/** Checks that the session has the last acknowledged value, or one that was sent after it. */
async function check (session) {
  const { acknowledged, sent } = session
  const { status, body } = await post('/call-tool', { session_id: session.id, tool: 'shared__recall', params: {} })
  if (status === 'cut off') return await check(session)
  const value = JSON.parse(body).values?.value0 ?? 0
  if (status !== 200) {
    faults.push(`session ${session.id} is lost: ${status} ${body}`)
  } else if (value < acknowledged || value > sent) {
    faults.push(`session ${session.id} has ${value}; ${acknowledged} was acknowledged, ${sent} sent`)
  }
}

async function post (path, body) {
  figures.calls++
  for (;;) {
    const worker = workers[state.turn++ % workers.length]
    try {
      return await send(worker, path, JSON.stringify(body))
    } catch (error) {
      if (error.code === 'ECONNREFUSED' && worker.isKilled) {
        figures['sent again, because no worker listened']++
        await delay(20)
        continue
      }
      if (worker.isKilled) figures['failed on a worker that was killed']++
      else faults.push(`a request failed on a worker that lives: ${error.code} ${error.message}`)
      return { status: 'cut off', headers: {}, body: '{}' }
    }
  }
}

function send ({ port, agent }, path, text) {
  return new Promise((resolve, reject) => {
    const headers = { 'content-length': Buffer.byteLength(text) }
    const call = request({ host: '127.0.0.1', port, path, method: 'POST', agent, headers }, response => {
      const { statusCode: status, headers } = response
      let body = ''
      response.setEncoding('utf8').on('data', chunk => { body += chunk })
      response.once('end', () => resolve({ status, headers, body })).once('error', reject)
    })
    call.once('error', reject).end(text)
  })
}

async function inPortions (items, act) {
  const left = [...items]
  await Promise.all(Array.from({ length: 20 }, async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await act(item)
  }))
}

async function end (fault) {
  state.isOver = true
  clearTimeout(giveUp)
  if (fault !== undefined) faults.push(fault)
  for (const child of processes) child.kill('SIGTERM')
  for (let waited = 0; processes.size > 0 && waited < 15_000; waited += 50) await delay(50)
  if (processes.size > 0) faults.push(`${processes.size} workers did not end`)
  for (const child of processes) child.kill('SIGKILL')
  await delay(500) // a reaper needs milliseconds
  const left = servers()
  if (left > 0) faults.push(`${left} MCP servers are left`)
  await redis.stop()
  rmSync(folder, { recursive: true, force: true })
  console.log(Object.entries(figures).map(([name, count]) => `${name}: ${count}`).join('\n'))
  for (const line of new Set(faults.slice(0, 20))) console.log(`NOT RIGHT: ${line}`)
  if (faults.length === 0) console.log('no session is lost, nothing is left')
  process.exit(faults.length === 0 ? 0 : 1)
}

/** Counts the living MCP servers of this run. They have the folder as an argument, to be found by it. */
function servers () {
  return countProcesses(`tiny-server.mjs\0${folder}\0`)
}
