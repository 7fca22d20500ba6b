import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import fp from 'fastify-plugin'
import type { Test } from 'tap'
import app, { options } from '../../app.ts'
import { nodeOptions } from '../../scripts/environment.mjs'
import { makeFolder } from './folders.ts'
import { fixture, root } from './paths.ts'
import { sharedRedisUrl } from './redis.ts'
import { type Entries, serversFile } from './servers-file.ts'
import { until } from './wait.ts'

export type Environment = Record<string, string | undefined>

/** Variables of a service that works: the run's Redis and a prefix of its own, the tiny server, no validation. */
export async function environment (t: Test, env: Environment = {}): Promise<Environment> {
  return {
    // The Redis of all tests is never in trouble, only slow on a busy machine. The test of a trouble has its own.
    ...(env.REDIS_URL === undefined
      ? { REDIS_URL: await sharedRedisUrl(t), REDIS_COMMAND_TIMEOUT_MS: '10000' }
      : { REDIS_COMMAND_TIMEOUT_MS: '1500' }),
    MCP_SESSION_KEY_PREFIX: `test-${randomUUID()}`,
    MCP_SKIP_VALIDATION: 'true',
    MCP_SERVER_SCRIPT: env.MCP_SERVERS_FILE === undefined ? fixture('tiny-server.mjs') : undefined,
    MCP_STOP_STEP_MS: '200',
    // A busy machine needs longer than a person would wait.
    MCP_QUEUE_TIMEOUT: '120',
    // A machine that is busy with other tests refuses nothing. The test of saturation sets a bound.
    MCP_MAX_LOOP_DELAY_MS: '0',
    MCP_API_VALIDATION_TIMEOUT: '60',
    // Tests of spares turn them on; to the others a process that nobody asked for is only in the way.
    MCP_WARM_SPARES: '0',
    // Beside other tests a server that stands back would be late for its own. The test of niceness sets it.
    MCP_SERVER_NICENESS: '0',
    // The same as of spares holds for processes that learn what servers offer.
    MCP_LEARN_LISTS: 'off',
    // Most tests are about calls that the session fills. Those of the default policy say so.
    MCP_VALUES: 'chain',
    MCP_LOG_LEVEL: undefined,
    ...env
  }
}

/** The app as production builds it, in this process. */
export const build = async (t: Test, env: Environment = {}): Promise<FastifyInstance> => await load(t, env, false)

async function load (
  t: Test,
  env: Environment,
  logger: NonNullable<FastifyServerOptions['logger']>
): Promise<FastifyInstance> {
  const service = Fastify({ ...options, logger })
  // Last registered, first run: the service closes before its Redis goes.
  t.teardown(() => close(service))
  await service.register(fp(app), { env: await environment(t, env) })
  await service.ready()
  return service
}

/** Closes at once: the connection of a client in this process would hold up the end for as long as it is kept. */
async function close (service: FastifyInstance): Promise<void> {
  service.server.closeAllConnections()
  await service.close()
}

export interface ListeningService {
  url: string
  pid: number
  /** Everything that it wrote: of a service in a process of its own, to stdout and stderr. */
  output: () => string
}

/**
 * The service on a port of its own in this process, with its log in memory.
 *
 * For tests of requests and of logs. It starts in a tenth of the time that startService takes, which is for tests of
 * what a process does: its start, its signals, its end.
 */
export async function listen (t: Test, env: Environment = {}): Promise<ServiceInProcess> {
  let written = ''
  const stream = {
    write: (line: string) => {
      written += line
    }
  }
  const app = await load(t, env, { ...(typeof options.logger === 'object' && options.logger), level: 'info', stream })
  return {
    url: await app.listen({ host: '127.0.0.1', port: 0 }),
    pid: process.pid,
    output: () => written,
    close: () => close(app)
  }
}

export interface ServiceInProcess extends ListeningService {
  close: () => Promise<void>
}

export const serviceOn = async (t: Test, mcpServers: Entries, env: Environment = {}) =>
  await build(t, { MCP_SERVERS_FILE: await serversFile(t, mcpServers), ...env })

/** Workers that share their sessions. */
export async function workersOn (
  t: Test,
  count: number,
  mcpServers: Entries,
  env: Environment = {}
): Promise<[FastifyInstance, ...FastifyInstance[]]> {
  const shared = {
    MCP_SERVERS_FILE: await serversFile(t, mcpServers),
    MCP_SESSION_KEY_PREFIX: `test-${crypto.randomUUID()}`,
    ...env
  }
  const first = await build(t, shared)
  const others: FastifyInstance[] = []
  while (others.length < count - 1) others.push(await build(t, shared))
  return [first, ...others]
}

export interface Service extends ListeningService {
  kill: (signal: NodeJS.Signals) => void
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

export interface SpawnOptions {
  /** What Node runs; as `npm start` when left out. */
  command?: string[]
  /** Files of the working folder by name, which is empty when left out. */
  files?: Record<string, string>
}

/** The service as `npm start` starts it, in a process of its own, on a port of its own. */
export async function startService (t: Test, env: Environment = {}, options: SpawnOptions = {}): Promise<Service> {
  const { child, output, exited } = await spawnService(
    t,
    { MCP_CLIENT_HOST: '127.0.0.1', MCP_CLIENT_PORT: '0', ...(await environment(t, env)) },
    options
  )
  const listening = /"msg":"Server listening at (http:[^"]+)"/
  await until(() => {
    if (child.exitCode !== null) throw new Error(`the service did not start: ${output()}`)
    return listening.test(output())
  }, 'the service listens')
  return {
    url: listening.exec(output())?.[1] ?? '',
    pid: child.pid ?? 0,
    output,
    kill: signal => {
      child.kill(signal)
    },
    exited
  }
}

/** A start that may fail: the process, and what it writes. */
export async function spawnService (
  t: Test,
  env: Environment,
  { command = [...nodeOptions, join(root, 'scripts', 'start.mjs')], files = {} }: SpawnOptions = {}
) {
  // A folder of its own: a .env of whoever runs the tests is none of the tests' business.
  const cwd = await makeFolder(t)
  for (const [name, text] of Object.entries(files)) await writeFile(join(cwd, name), text)
  const child: ChildProcess = spawn(process.execPath, command, {
    cwd,
    env: cleanEnvironment(env),
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let written = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      written += chunk.toString()
    })
  }
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>(resolve => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
  })
  return { child, output: () => written, exited }
}

/** The environment of this process without the settings of tap and of a service. */
function cleanEnvironment (env: Environment): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(TAP|TEST_REDIS|MCP_|REDIS_|FASTIFY_)/.test(name)
  )
  return Object.fromEntries([...inherited, ...Object.entries(env).filter(([, value]) => value !== undefined)])
}
