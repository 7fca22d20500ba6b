/* A service beside hostile servers: who calls what, how long it takes, and what the service holds of it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { root } from '../scripts/environment.mjs'
import { startService } from '../scripts/private-service.mjs'

const program = join(root, 'test', 'fixtures', 'siege-server.mjs')
/** How a server is reached, by what it does. See test/fixtures/siege-server.mjs. */
const hostile = { garbage: 'stdio', pages: 'http', comment: 'http', pings: 'stdio', silent: 'http' }
export const hostileKinds = Object.keys(hostile)

/** How long a client waits before it counts a request as one that hangs (ms): longer than all limits together. */
const hangsMs = 120_000
const limits = { MCP_SESSION_START_TIMEOUT: '5', MCP_API_DEFAULT_TIMEOUT: '5', MCP_API_LONG_TIMEOUT: '5' }

/** Starts the servers that are no children of the service. `folder` marks all processes, so that they can be found. */
async function startServers (folder, kinds) {
  const children = []
  const entries = {}
  for (const kind of ['good', ...kinds]) {
    if (hostile[kind] === 'stdio') {
      entries[kind] = { command: process.execPath, args: [program, kind, folder] }
      continue
    }
    const child = spawn(process.execPath, [program, kind, folder], { stdio: ['pipe', 'pipe', 'inherit'] })
    children.push(child)
    const [line] = await once(createInterface({ input: child.stdout }), 'line')
    entries[kind] = { url: JSON.parse(line).url }
  }
  const stop = () => children.forEach(child => child.kill('SIGKILL'))
  return { entries, stop }
}

/** Starts the good server, hostile ones of some kinds, and the service that reaches them all. */
export async function startBesieged ({ folder, redis, kinds, environment = {}, nodeOptions = [] }) {
  const servers = await startServers(folder, kinds)
  const file = join(folder, 'event-loop.jsonl')
  writeFileSync(file, '')
  writeFileSync(join(folder, 'servers.json'), JSON.stringify({ mcpServers: servers.entries }))
  const { child, exited, listening } = startService({
    cwd: folder,
    nodeOptions: ['--expose-gc', '--import', join(root, 'bench', 'event-loop.mjs'), ...nodeOptions],
    environment: {
      REDIS_URL: redis.url,
      MCP_SERVERS_FILE: join(folder, 'servers.json'),
      MCP_SESSION_MAX_CONCURRENCY: '100',
      EVENT_LOOP_FILE: file,
      ...limits,
      ...environment
    }
  })
  const url = await listening
  return {
    url,
    goodUrl: servers.entries.good.url,
    // Where there is one server only, its tools keep their names.
    goodTool: kinds.length === 0 ? 'act' : 'good__act',
    isAlive: () => child.exitCode === null && child.signalCode === null,
    /** The longest that the event loop was held up since a time (ms). */
    longestDelay (since) {
      const lines = readFileSync(file, 'utf8').trim().split('\n').filter(Boolean).map(line => JSON.parse(line))
      return Math.max(0, ...lines.filter(({ at }) => at >= since).map(({ longestMs }) => longestMs))
    },
    /** The memory of the service, after a collection (MB). */
    async settledMb () {
      for (let second = 0; second < 5; second++) {
        child.kill('SIGWINCH')
        await delay(1_000)
      }
      return statusMb(child.pid, 'VmRSS')
    },
    peakMb: () => statusMb(child.pid, 'VmHWM'),
    /** Ends the service and the servers. Gives the service's exit code. */
    async stop () {
      child.kill('SIGTERM')
      const killing = setTimeout(() => child.kill('SIGKILL'), 45_000)
      const [code] = await exited
      clearTimeout(killing)
      servers.stop()
      return code
    }
  }
}

function statusMb (pid, field) {
  try {
    const [, kilobytes] = new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return Math.round(Number(kilobytes) / 1024)
  } catch {
    return NaN // it has ended
  }
}

const agent = new Agent({ connections: 200 })

/** The status and the code of an answer; status 0 for a request that got none. */
async function send (url, { method = 'POST', body } = {}) {
  try {
    const response = await request(url, {
      method,
      dispatcher: agent,
      headers: { 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
      headersTimeout: hangsMs,
      bodyTimeout: hangsMs
    })
    const text = await response.body.text()
    return { status: response.statusCode, code: response.statusCode === 200 ? '' : JSON.parse(text).code }
  } catch (error) {
    return { status: 0, code: error.code ?? error.message }
  }
}

/** Opens a session of a user of its own. */
export async function openSession ({ url }, id) {
  const credentials = { apiUrl: 'https://api.example.com', jwtToken: 'not.a-real.token' }
  const { status } = await send(`${url}/init`, { body: { session_id: id, ...credentials } })
  if (status !== 200) throw new Error(`/init answered ${status}`)
  return id
}

/**
 * Requests at a steady rate (a second) until `isOver`, whether the earlier ones are answered or not. A time runs from
 * when a request was due, so a service that stands still cannot hide it.
 */
export async function askSteadily ({ rate, isOver, ask }) {
  const times = []
  const failures = {}
  const asked = []
  const startedAt = performance.now()
  for (let turn = 0; !isOver(); turn++) {
    const due = startedAt + turn * 1_000 / rate
    await delay(Math.max(0, due - performance.now()))
    asked.push(ask().then(({ status, code }) => {
      times.push(performance.now() - due)
      if (status !== 200) count(failures, `${status} ${code}`)
    }))
  }
  await Promise.all(asked)
  return { times: times.sort((a, b) => a - b), failures }
}

export const callGood = ({ url, goodTool }, session) => () =>
  send(`${url}/call-tool`, { body: { session_id: session, tool: goodTool, params: {} } })

/** Asks the good server without the service: what it takes longer then is the machine's doing. */
export const callGoodDirectly = ({ goodUrl }) => () =>
  send(goodUrl, { body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'act', arguments: {} } } })

export const askAlive = ({ url }) => () => send(`${url}/livez`, { method: 'GET' })

/** Calls hostile servers, so many at once, until `isOver`. Counts the outcomes, by server, status and code. */
export async function attack ({ url }, { session, kinds, atOnce, isOver }) {
  const outcomes = {}
  let next = 0
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (!isOver()) {
      const kind = kinds[next++ % kinds.length]
      const body = { session_id: session, tool: `${kind}__act`, params: {} }
      const { status, code } = await send(`${url}/call-tool`, { body })
      count(outcomes, `${kind} ${status} ${code}`)
      if (status === 0) await delay(1_000) // it may have ended
    }
  }))
  return outcomes
}

function count (counts, name) {
  counts[name] = (counts[name] ?? 0) + 1
}

export const closeClient = () => agent.destroy()

/** The time that a share of the requests took at most; `sorted` is in ascending order. */
export const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
