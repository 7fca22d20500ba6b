import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createSocketServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Redis } from 'ioredis'
import processOnSpawn from 'process-on-spawn'
import type { Test } from 'tap'
import app, { options } from '../app.ts'
import type { ToolAnswer } from '../lib/mcp/client/server-client.ts'
import { findRedisServer, type RedisServer, startRedisServer, waysToGetRedis } from '../scripts/redis-server.mjs'

/**
 * tap gives every process that is started its loader, for coverage. The services and servers that are started here run as
 * in production instead: the loader would more than double their start.
 */
processOnSpawn.addListener(spawned => {
  const { env } = spawned as { env: Record<string, string> }
  spawned.env = Object.fromEntries(Object.entries(env).filter(([name]) => name !== 'NODE_OPTIONS' && !name.startsWith('_TAPJS')))
})

export type Environment = Record<string, string | undefined>

const root = join(import.meta.dirname, '..')

export const fixture = (name: string) => join(root, 'test', 'fixtures', name)
export const apiUrl = 'https://api.example.com'
/** Three parts, as a token must have; the middle one says what it is. */
export const jwtToken = 'test.not-a-real-token.signature'

/** A Redis of the test's own. */
export async function startRedis (t: Test, args: string[] = []): Promise<RedisServer> {
  const binary = findRedisServer()
  if (binary === null) throw new Error(waysToGetRedis)
  const folder = await mkdtemp(join(tmpdir(), 'mcp-test-redis-'))
  const server = await startRedisServer({ binary, folder, args })
  t.teardown(async () => {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  })
  return server
}

let shared: Promise<RedisServer> | undefined

/** The Redis that the tests of one file share, each with a key prefix of its own. `t` is the file's root test. */
function sharedRedis (t: Test): Promise<RedisServer> {
  shared ??= startRedis(rootOf(t))
  return shared
}

function rootOf (t: Test): Test {
  let test = t
  while (test.parent !== undefined) test = test.parent as Test
  return test
}

/** Variables of a service that works: the test's Redis and a prefix of its own, the tiny server, no validation. */
export async function environment (t: Test, env: Environment = {}): Promise<Environment> {
  const redis = await sharedRedis(t)
  return {
    REDIS_URL: redis.url,
    MCP_SESSION_KEY_PREFIX: `test-${randomUUID()}`,
    MCP_SKIP_VALIDATION: 'true',
    MCP_SERVER_SCRIPT: env.MCP_SERVERS_FILE === undefined ? fixture('tiny-server.mjs') : undefined,
    MCP_STOP_STEP_MS: '200',
    // Tests of spares turn them on; to the others a process that nobody asked for is only in the way.
    MCP_WARM_SPARES: '0',
    MCP_LOG_LEVEL: undefined,
    ...env
  }
}

/** The app as production builds it, in this process. */
export async function build (t: Test, env: Environment = {}): Promise<FastifyInstance> {
  // A busy machine may need longer than the usual 10 s to read the sources, which tap compiles on the way.
  const service = Fastify({ ...options, logger: false })
  // Last registered, first run: the service closes before its Redis goes.
  t.teardown(() => service.close())
  await service.register(fp(app), { env: await environment(t, env) })
  await service.ready()
  return service
}

/** A client beside the service, to look at what it wrote. */
export async function redisClient (t: Test, url?: string): Promise<Redis> {
  const client = new Redis((url ?? (await sharedRedis(t)).url).replace('unix://', ''))
  t.teardown(() => client.disconnect())
  return client
}

/** Opens a session and gives its id. */
export async function initSession (service: FastifyInstance, fields: Record<string, unknown> = {}): Promise<string> {
  const id = randomUUID()
  const response = await service.inject({ method: 'POST', url: '/init', payload: { session_id: id, apiUrl, jwtToken, ...fields } })
  if (response.statusCode !== 200) throw new Error(`/init answered ${response.statusCode}: ${response.body}`)
  return id
}

export function call (service: FastifyInstance, session: string, tool: string, params: unknown = {}) {
  return service.inject({ method: 'POST', url: '/call-tool', payload: { session_id: session, tool, params } as object })
}

/** The text of a tool's answer that is one. */
export function textOf (answer: ToolAnswer): string {
  const [block] = 'result' in answer ? answer.result.content : []
  if (block?.type !== 'text') throw new Error(`the tool answered ${JSON.stringify(answer)}`)
  return block.text
}

/** The body of every failure. */
export const failure = (code: string, error: string, { retryable = false } = {}) => ({ status: 'error', error, code: `MCPC_ERR_${code}`, retryable })

export interface Api {
  url: string
  /** Bodies of the requests that came, oldest first. */
  requests: unknown[]
}

/** A validation API on loopback that answers as the handler says. */
export async function startApi (t: Test, handle: (body: unknown, response: ServerResponse, request: IncomingMessage) => void): Promise<Api> {
  const requests: unknown[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString() || 'null')
    requests.push(body)
    handle(body, response, request)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => new Promise(resolve => {
    server.close(resolve)
    server.closeAllConnections()
  }))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}

export const answer = (status: number, body: unknown) => (_: unknown, response: ServerResponse) => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(typeof body === 'string' ? body : JSON.stringify(body))
}

export interface Service {
  url: string
  pid: number
  /** Everything that it wrote, to stdout and stderr. */
  output: () => string
  kill: (signal: NodeJS.Signals) => void
  exited: Promise<{ code: number | null, signal: NodeJS.Signals | null }>
}

export interface SpawnOptions {
  /** What Node runs; as `npm start` when left out. */
  command?: string[]
  /** Files of the working folder by name, which is empty when left out. */
  files?: Record<string, string>
}

/** The service as `npm start` starts it, in a process of its own, on a port of its own. */
export async function startService (t: Test, env: Environment = {}, options: SpawnOptions = {}): Promise<Service> {
  const { child, output, exited } = await spawnService(t, { MCP_CLIENT_HOST: '127.0.0.1', MCP_CLIENT_PORT: '0', ...await environment(t, env) }, options)
  const listening = /"msg":"Server listening at (http:[^"]+)"/
  await until(() => {
    if (child.exitCode !== null) throw new Error(`the service did not start: ${output()}`)
    return listening.test(output())
  }, 'the service listens')
  return {
    url: listening.exec(output())?.[1] ?? '',
    pid: child.pid ?? 0,
    output,
    kill: signal => { child.kill(signal) },
    exited
  }
}

/** A start that may fail: the process, and what it writes. */
export async function spawnService (t: Test, env: Environment, { command = [join(root, 'scripts', 'start.mjs')], files = {} }: SpawnOptions = {}) {
  // A folder of its own: a .env of whoever runs the tests is none of the tests' business.
  const cwd = await mkdtemp(join(tmpdir(), 'mcp-test-service-'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(cwd, name), text)
  const child: ChildProcess = spawn(process.execPath, command, {
    cwd,
    env: cleanEnvironment(env),
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let written = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => { written += chunk.toString() })
  const exited = new Promise<{ code: number | null, signal: NodeJS.Signals | null }>(resolve => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
    await rm(cwd, { recursive: true, force: true })
  })
  return { child, output: () => written, exited }
}

/** A port that nobody listens on. */
export async function freePort (): Promise<number> {
  const server = createSocketServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** The environment of this process without what tap put there for its own loader. */
function cleanEnvironment (env: Environment): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(NODE_OPTIONS|TAP|_TAPJS|_TAP|MCP_|REDIS_|FASTIFY_)/.test(name))
  return Object.fromEntries([...inherited, ...Object.entries(env).filter(([, value]) => value !== undefined)])
}

export interface Answer { status: number, body: unknown, headers: Headers }

/** POSTs JSON over a real socket. */
export async function post (url: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })
  return { status: response.status, body: await response.json(), headers: response.headers }
}

/** Waits for a condition of the world outside, which no event tells of. */
export async function until (condition: () => boolean | Promise<boolean>, what: string, milliseconds = 15_000): Promise<void> {
  const deadline = Date.now() + milliseconds
  while (!await condition()) {
    if (Date.now() > deadline) throw new Error(`it did not come to pass in ${milliseconds} ms that ${what}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

/** Whether a process runs; one that has ended and waits for its parent to notice does not. */
export function isAlive (pid: number): boolean {
  return processes().some(process => process.pid === pid)
}

export interface RunningProcess { pid: number, parent: number, group: number, command: string }

/** The processes of this machine as the kernel knows them now, without those that have ended. */
export function processes (): RunningProcess[] {
  const lines = execFileSync('ps', ['-e', '-o', 'pid=,ppid=,pgid=,stat=,args='], { encoding: 'utf8' }).trim().split('\n')
  return lines.flatMap(line => {
    const [pid, parent, group, state, ...command] = line.trim().split(/\s+/)
    return state?.startsWith('Z') ? [] : [{ pid: Number(pid), parent: Number(parent), group: Number(group), command: command.join(' ') }]
  })
}

/** The MCP servers that a worker has started: its children without its reaper. */
export function serversOf (pid: number): number[] {
  return processes().filter(({ parent, command }) => parent === pid && !command.startsWith('/bin/sh -c')).map(process => process.pid)
}
