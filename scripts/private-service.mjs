/* What the long runs share: a folder, a Redis and services of their own, which nobody else is on. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build, checkNodeVersion, installDependencies, root, stop } from './environment.mjs'
import { provideRedisServer, startRedisServer, waysToGetRedis } from './redis-server.mjs'

/** The built service, and a new folder with a Redis in it. Whoever asked ends the Redis and removes the folder. */
export async function prepareRun (name) {
  checkNodeVersion()
  installDependencies()
  build()
  const binary = provideRedisServer()
  if (binary === null) stop(waysToGetRedis)
  const folder = mkdtempSync(join(tmpdir(), `mcp-${name}-`))
  return { folder, redis: await startRedisServer({ binary, folder: join(folder, 'redis') }) }
}

/** The service as `npm start` starts it, on a free port of loopback, and with no variable but those that are given. */
export function startService ({ cwd, nodeOptions = [], environment }) {
  return startListening([...nodeOptions, join(root, 'scripts', 'start.mjs')], {
    cwd,
    environment: { MCP_CLIENT_HOST: '127.0.0.1', MCP_CLIENT_PORT: '0', MCP_SKIP_VALIDATION: 'true', MCP_LOG_LEVEL: 'info', ...environment }
  })
}

/** A process of Node that says where it listens, as Fastify does. `listening` gives its URL, and rejects when it ends before. */
export function startListening (args, { cwd, environment = {} }) {
  const child = spawn(process.execPath, args, {
    cwd,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment }
  })
  const exited = once(child, 'exit')
  const listening = new Promise((resolve, reject) => {
    child.stdout.on('data', chunk => {
      const [, url] = /Server listening at (http:[^"]+)"/.exec(chunk) ?? []
      if (url) resolve(url)
    })
    exited.then(() => reject(new Error('the service ended')), reject)
  })
  listening.catch(() => {}) // for those who wait for the exit only
  return { child, exited, listening }
}

/** How many processes are alive whose command line has this text in it; arguments end with NUL. */
export function countProcesses (text) {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).filter(pid => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text)
    } catch {
      return false // it ended while we looked
    }
  }).length
}
