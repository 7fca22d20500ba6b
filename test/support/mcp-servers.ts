import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { makeFolder } from './folders.ts'
import { fixture } from './paths.ts'
import { freePort, listens } from './ports.ts'
import { stopper } from './processes.ts'
import type { Environment } from './service.ts'
import { until } from './wait.ts'

export interface Stats {
  pid: number
  requests: number
  /** By HTTP method, by JSON-RPC method, and by tool. */
  http: Record<string, number>
  methods: Record<string, number>
  calls: Record<string, number>
  initialize: number
  /** MCP sessions that live now. */
  sessions: number
  /** Calls that ended because their client cancelled them, or left. */
  cancelled: number
  /** Connections that carried MCP. */
  sockets: number
}

export interface SeenRequest {
  http: string
  url: string
  /** Of the JSON-RPC message, and the name or the URI that it asks for. */
  method: string | null
  name: string | null
  /** Of the answer, once it has ended. */
  status: number | null
  headers: Record<string, string>
  body: unknown
}

export interface Upstream {
  url: string
  pid: number
  stats: () => Promise<Stats>
  /** What came to the MCP endpoint, oldest first, the last thousand. */
  requests: () => Promise<SeenRequest[]>
  control: (orders: Record<string, unknown>) => Promise<void>
  stop: () => Promise<void>
}

/**
 * An upstream server of test/fixtures by its name without `-server.mjs`, in a process of its own, which the test's end
 * ends.
 */
export async function startUpstream (
  t: Test,
  name: string,
  args: string[] = [],
  env: Environment = {}
): Promise<Upstream> {
  const child = spawn(process.execPath, [fixture(`${name}-server.mjs`), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env }
  })
  const stop = stopper(child)
  t.teardown(stop)
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', code => reject(new Error(`${name} ended with ${code} before it listened`)))
    createInterface({ input: child.stdout }).once('line', line => resolve((JSON.parse(line) as { url: string }).url))
  })
  const ask = async (path: string, orders?: unknown): Promise<unknown> => {
    const response = await fetch(
      new URL(path, url),
      orders === undefined ? {} : { method: 'POST', body: JSON.stringify(orders) }
    )
    if (!response.ok) throw new Error(`${name} answered ${path} with ${response.status}: ${await response.text()}`)
    return await response.json()
  }
  return {
    url,
    pid: child.pid ?? 0,
    stats: async () => (await ask('/stats')) as Stats,
    requests: async () => (await ask('/requests')) as SeenRequest[],
    control: async orders => {
      await ask('/control', orders)
    },
    stop
  }
}

const everything = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/dist/index.js')

/**
 * The official server that has a bit of everything, over a transport of its choice, in a process that the test's end
 * ends.
 */
export async function startEverything (
  t: Test,
  transport: 'streamableHttp' | 'sse',
  attempts = 3
): Promise<{ url: string; pid: number; stop: () => Promise<void> }> {
  const port = await freePort()
  const child = spawn(process.execPath, [everything, transport], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { ...process.env, PORT: String(port) }
  })
  const stop = stopper(child)
  t.teardown(stop)
  // It cannot be asked for any free port, so somebody else may have taken this one.
  await until(async () => child.exitCode !== null || (await listens(port)), 'server-everything listens')
  if (child.exitCode !== null) {
    if (attempts === 1) throw new Error(`server-everything ended with ${child.exitCode} before it listened`)
    return await startEverything(t, transport, attempts - 1)
  }
  return { url: `http://127.0.0.1:${port}/${transport === 'sse' ? 'sse' : 'mcp'}`, pid: child.pid ?? 0, stop }
}

/**
 * A server on stdio whose tool `act` answers when the test opens its gate: calls run for as long as a test needs them
 * to, whatever the speed of the machine.
 */
export async function createGatedServer (t: Test) {
  const file = join(await makeFolder(t), 'calls')
  return {
    /** Of a servers file. */
    entry: { command: process.execPath, args: [fixture('counting-server.mjs'), file] },
    /** The names that its calls gave, one a line. */
    calls: async () => await readFile(file, 'utf8').catch(() => ''), // there is no file before the first call
    open: async () => await writeFile(`${file}.go`, '')
  }
}
