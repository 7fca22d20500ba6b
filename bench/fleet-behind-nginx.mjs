/* Several workers behind nginx, with one Redis and MCP servers of three kinds. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { root, stop } from '../scripts/environment.mjs'
import { provideNginx, startNginx, waysToGetNginx } from '../scripts/nginx-server.mjs'
import { freePort } from '../scripts/ports.mjs'
import { countProcesses, prepareRun, startService } from '../scripts/private-service.mjs'

const fixture = name => join(root, 'test', 'fixtures', name)

/**
 * Starts Redis, the MCP servers, the workers and nginx. The MCP servers are `kept` and `shared` (a process lives on
 * in each worker), `fresh` (a process for each call) and `remote` (over HTTP). The last
 * one is a server without sessions; `remoteServer` names another fixture with its arguments, and `remoteValues` the
 * policy of its entry.
 */
export async function startFleet ({ name, workerCount, environment = {}, remoteServer, remoteValues = 'none' }) {
  if (provideNginx() === null) stop(waysToGetNginx)
  const { folder, redis } = await prepareRun(name)
  const remote = await startRemote(remoteServer ?? ['siege-server.mjs', 'good', folder])
  const tiny = { command: process.execPath, args: [fixture('tiny-server.mjs'), folder] }
  const mcpServers = {
    kept: { ...tiny, lifecycle: 'shared', values: 'chain' },
    shared: { ...tiny, lifecycle: 'shared' },
    fresh: tiny,
    remote: { url: remote.url, values: remoteValues }
  }
  writeFileSync(join(folder, 'servers.json'), JSON.stringify({ mcpServers }))

  const ports = []
  while (ports.length < workerCount) ports.push(await freePort())
  const start = port => startWorker({ folder, port, redis, environment })
  const workers = await Promise.all(ports.map(start))
  const nginxFolder = mkdtempSync(join(tmpdir(), 'mcp-nginx-'))
  const nginx = await startNginx({ folder: nginxFolder, ports })
  const client = new Redis(redis.socket)

  return {
    url: nginx.url,
    nginx,
    folder,
    workers,
    /** Who takes part beside the workers. */
    pids: { nginx: nginx.pid, redis: redis.pid, remote: remote.pid },
    /** What Redis says of itself, by the name of a figure. */
    async redisInfo (figure) {
      const [, value] = new RegExp(`^${figure}:(.*?)\r?$`, 'm').exec(await client.info()) ?? []
      return Number(value)
    },
    redisClient: client,
    redisMb: () => residentMb(redis.pid),
    /** The memory of all workers, after a collection (MB). */
    async settledMb () {
      for (let second = 0; second < 4; second++) {
        for (const { child } of workers) child.kill('SIGWINCH')
        await delay(1_000)
      }
      return workers.map(({ child }) => residentMb(child.pid))
    },
    workersMb: () => workers.map(({ child }) => residentMb(child.pid)),
    /** Ends a worker as a supervisor does, and starts it again at its port. Gives its exit code. */
    async restart (index) {
      const worker = workers[index]
      worker.child.kill('SIGTERM')
      const [code] = await worker.exited
      workers[index] = await start(worker.port)
      return code
    },
    /** Ends everything. Gives the exit codes of the workers, and how many processes of the run are left. */
    async stop () {
      const codes = await Promise.all(workers.map(async ({ child, exited }) => {
        child.kill('SIGTERM')
        const killing = setTimeout(() => child.kill('SIGKILL'), 45_000)
        const [code] = await exited
        clearTimeout(killing)
        return code
      }))
      await nginx.stop()
      remote.stop()
      await delay(500) // a reaper needs milliseconds
      const left = countProcesses(`\0${folder}\0`)
      client.disconnect()
      await redis.stop()
      rmSync(folder, { recursive: true, force: true })
      rmSync(nginxFolder, { recursive: true, force: true })
      return { codes, left }
    }
  }
}

/** Ends a fleet and its client, and says whether the workers ended well. */
export async function endFleet ({ client, fleet, verdict }) {
  await client.close()
  const { codes, left } = await fleet.stop()
  verdict(codes.every(code => code === 0), `the workers end well, exit codes ${codes}`)
  verdict(left === 0, `no process is left, ${left}`)
}

async function startWorker ({ folder, port, redis, environment }) {
  const worker = startService({
    cwd: folder,
    nodeOptions: ['--expose-gc', '--import', 'data:text/javascript,process.on("SIGWINCH", () => gc())'],
    environment: {
      MCP_CLIENT_PORT: String(port),
      REDIS_URL: redis.url,
      MCP_SERVERS_FILE: join(folder, 'servers.json'),
      MCP_STOP_STEP_MS: '200',
      ...environment
    }
  })
  const url = await worker.listening
  await isReady(url)
  return { ...worker, port, url }
}

async function isReady (url) {
  for (let waited = 0; waited < 60_000; waited += 50) {
    const response = await fetch(`${url}/readyz`).catch(() => null)
    await response?.arrayBuffer()
    if (response?.status === 200) return
    await delay(50)
  }
  throw new Error('a worker did not become ready')
}

async function startRemote ([script, ...args]) {
  const child = spawn(process.execPath, [fixture(script), ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  return { url: JSON.parse(line).url, pid: child.pid, stop: () => child.kill('SIGKILL') }
}

export function residentMb (pid) {
  try {
    const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return Math.round(Number(kilobytes) / 1024)
  } catch {
    return NaN // it has ended
  }
}
