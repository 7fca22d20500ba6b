/* Gives each long run a private folder, Redis and services. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build, checkNodeVersion, installDependencies, nodeOptions, root, stop } from './environment.mjs'
import { provideRedisServer, startRedisServer, waysToGetRedis } from './redis-server.mjs'

/** Builds the service, and makes a folder with a running Redis. The caller ends the Redis and removes the folder. */
export async function prepareRun (name) {
  checkNodeVersion()
  installDependencies()
  build()
  const binary = provideRedisServer()
  if (binary === null) stop(waysToGetRedis)
  const folder = mkdtempSync(join(tmpdir(), `mcp-${name}-`))
  return { folder, redis: await startRedisServer({ binary, folder: join(folder, 'redis') }) }
}

/** Starts the service as `npm start` does, on a free port of loopback, with the given variables alone, on any Node. */
export function startService ({ cwd, node, nodeOptions: others = [], environment }) {
  return startListening([...nodeOptions, ...others, join(root, 'scripts', 'start.mjs')], {
    cwd,
    node,
    environment: {
      MCP_CLIENT_HOST: '127.0.0.1',
      MCP_CLIENT_PORT: '0',
      MCP_SKIP_VALIDATION: 'true',
      MCP_LOG_LEVEL: 'info',
      // The Redis of a run is never in trouble, only slow on a busy machine.
      REDIS_COMMAND_TIMEOUT_MS: '10000',
      // A run that is about refused requests sets a bound.
      MCP_MAX_LOOP_DELAY_MS: '0',
      ...environment
    }
  })
}

/**
 * Starts a Node process that logs its address, as Fastify does. `listening` resolves with its URL, and rejects when the
 * process ends first.
 */
export function startListening (args, { cwd, node = process.execPath, environment = {} }) {
  const child = spawn(node, args, {
    cwd,
    // It ends when this process is gone, however that ended.
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
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
  listening.catch(() => {}) // a caller may wait for the exit only
  return { child, exited, listening }
}

/** Counts the living processes whose command line has this text. Arguments end with NUL. */
export function countProcesses (text) {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).filter(pid => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text)
    } catch {
      return false // it has just ended
    }
  }).length
}
