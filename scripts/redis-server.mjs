import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { installDebianPackages } from './debian.mjs'
import { isExecutable } from './environment.mjs'

const names = ['redis-server', 'valkey-server']
const folders = ['/usr/bin', '/usr/local/bin', '/opt/homebrew/bin']

/** Three ways to get a Redis, for whoever has none. */
export const waysToGetRedis = `No redis-server or valkey-server was found. There are three ways to get one:
  1. install it: apt-get install redis-server (Debian, Ubuntu), dnf install valkey (Fedora), brew install redis (macOS);
  2. set REDIS_SERVER_BIN to the path of a redis-server or valkey-server binary;
  3. set REDIS_HOST (and REDIS_PORT, REDIS_PASSWORD) to a Redis that runs already.`

/** The server's own binary under another name, which Debian's redis-tools brings without the server's service. */
const bareServer = '/usr/bin/redis-check-rdb'

/** Path of a Redis server binary: REDIS_SERVER_BIN, else on PATH or in the usual folders; `null` when there is none. */
export function findRedisServer (environment = process.env) {
  const { REDIS_SERVER_BIN: binary } = environment
  if (binary) return isExecutable(binary) ? binary : null
  const searched = [...(environment.PATH ?? '').split(delimiter), ...folders]
  const candidates = names.flatMap(name => searched.map(folder => join(folder, name)))
  return [...candidates, bareServer].find(isExecutable) ?? null
}

/** As findRedisServer, but installs Debian's package first where there is none and that is possible without asking. */
export function provideRedisServer () {
  const found = findRedisServer()
  if (found !== null || process.env.REDIS_SERVER_BIN) return found
  // redis-tools, and not redis-server: it holds the same binary, and starts no service on port 6379.
  if (!installDebianPackages(['redis-tools'], 'There is no Redis server.')) return null
  return findRedisServer()
}

/**
 * Starts a private Redis on a unix socket in `folder`: no port that could be taken, nobody else on it.
 * With `persistent`, what is written is kept in that folder (append-only file).
 *
 * On Linux it ends with the process that started it, also when that is killed.
 */
export async function startRedisServer ({ binary, folder, persistent = false, args = [] }) {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const socket = join(folder, 'redis.sock')
  // Two servers on one append-only file would ruin it.
  if (await ping(socket)) { throw new Error(`A Redis is running in ${folder} already: end the program that started it first.`) }
  rmSync(socket, { force: true })
  const settings = [
    '--port',
    '0',
    '--unixsocket',
    socket,
    '--unixsocketperm',
    '700',
    '--dir',
    folder,
    '--daemonize',
    'no',
    '--save',
    '',
    '--appendonly',
    persistent ? 'yes' : 'no',
    '--appendfsync',
    'everysec',
    ...args
  ]
  const child = spawnRedis(binary, settings)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', chunk => {
      output = (output + chunk).slice(-2_000)
    })
  }
  child.once('error', error => {
    output += error.message
  })
  await answers(socket, child, () => output)
  return { socket, pid: child.pid, url: `unix://${encodeURI(socket)}`, stop: () => stopServer(child) }
}

/** The process of a Redis server; on Linux it ends with the process that started it, also when that is killed. */
export function spawnRedis (binary, args) {
  // A process group of its own: Ctrl-C in a terminal goes to the whole group, and Redis must outlive the service.
  const options = { detached: true, stdio: ['ignore', 'pipe', 'pipe'] }
  return isExecutable('/usr/bin/setpriv')
    ? spawn('/usr/bin/setpriv', ['--pdeathsig', 'TERM', ...asRedis(binary), ...args], options)
    : spawn(binary, args, { ...options, argv0: 'redis-server' })
}

/** redis-check-rdb is the server's own binary, which looks at the name it was called by. */
function asRedis (binary) {
  return binary === bareServer ? ['/bin/bash', '-c', 'exec -a redis-server "$0" "$@"', binary] : [binary]
}

/** What a binary runs as, for a person to read. */
export const nameOf = binary => binary === bareServer ? 'redis-server' : binary.split('/').at(-1)

async function answers (socket, child, output) {
  for (let waited = 0; waited < 10_000; waited += 20) {
    if (child.exitCode !== null || child.pid === undefined) throw new Error(`Redis did not start: ${output().trim()}`)
    if (await ping(socket)) return
    await delay(20)
  }
  await stopServer(child)
  throw new Error(`Redis did not answer within 10 s: ${output().trim()}`)
}

function ping (path) {
  return new Promise(resolve => {
    const connection = connect({ path }, () => connection.write('PING\r\n'))
    connection.setTimeout(1_000, () => settle(false))
    connection
      .once('data', data => settle(/^(\+PONG|-NOAUTH)/.test(data.toString())))
      .once('error', () => settle(false))
    function settle (isUp) {
      connection.destroy()
      resolve(isUp)
    }
  })
}

async function stopServer (child) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGCONT') // a test may have stopped it
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await ended
  clearTimeout(timer)
}

/** For a person at the terminal: is anything listening there? */
export function portIsFree (port, host) {
  const { status } = spawnSync(process.execPath, [
    '-e',
    `require('node:net').createServer().once('error',()=>process.exit(1)).listen(${Number(port)},${JSON.stringify(host)},()=>process.exit(0))`
  ])
  return status === 0
}
