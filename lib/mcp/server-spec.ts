import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { basename, delimiter, dirname, extname, isAbsolute, join, resolve } from 'node:path'
import { ConfigError } from '../errors.ts'

/** How to start one stdio MCP server. Holds what the operator wrote, secrets in `env` included: never log it, log `name`. */
export interface ServerSpec {
  readonly name: string
  /** Absolute path of the executable. */
  readonly command: string
  readonly args: readonly string[]
  /** The child's whole environment. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** `request`: a fresh process for each request. `shared`: one process a worker, which all requests go through. */
  readonly lifecycle: 'request' | 'shared'
}

export type HostEnvironment = Readonly<Record<string, string | undefined>>

/**
 * What a server inherits from the service: enough to find programs, certificates, and its user's files, and nothing that
 * could be a secret of ours (REDIS_PASSWORD). The first six are those that the official SDKs pass on.
 */
const inheritedNames = [
  'HOME', 'LOGNAME', 'PATH', 'SHELL', 'TERM', 'USER',
  'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'VIRTUAL_ENV', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS'
]

function inheritedEnvironment (host: HostEnvironment): Record<string, string> {
  const env: Record<string, string> = {}
  for (const name of inheritedNames) {
    const value = host[name]
    if (value !== undefined) env[name] = value
  }
  return env
}

/**
 * The server that a script is.
 *
 * `.py` runs as `mcp run SCRIPT` where the Python SDK's command is installed, else with python3; `.js`, `.mjs` and `.cjs`
 * with this Node; anything else must be executable. Throws ConfigError.
 */
export function specFromScript (script: string, host: HostEnvironment): ServerSpec {
  const path = resolve(script)
  if (!isFile(path)) throw new ConfigError(`MCP_SERVER_SCRIPT must be a file, but there is none at ${path}`)
  const base = {
    name: basename(path, extname(path)),
    env: inheritedEnvironment(host),
    // As the replaced service: a script finds its data relative to where the service was started.
    cwd: process.cwd(),
    lifecycle: 'request' as const
  }
  switch (extname(path)) {
    case '.py': return { ...base, ...pythonCommand(path, host) }
    case '.js': case '.mjs': case '.cjs': return { ...base, command: process.execPath, args: [path] }
    default:
      if (!isExecutable(path)) throw new ConfigError(`MCP_SERVER_SCRIPT must be a .py, .js, .mjs or .cjs file or an executable, but ${path} is none of these`)
      return { ...base, command: path, args: [] }
  }
}

function pythonCommand (script: string, host: HostEnvironment): Pick<ServerSpec, 'command' | 'args'> {
  const path = [host.VIRTUAL_ENV && join(host.VIRTUAL_ENV, 'bin'), host.PATH].filter(Boolean).join(delimiter)
  const mcp = findExecutable('mcp', path, isPythonEntryPoint)
  if (mcp) return { command: mcp, args: ['run', script] }
  const python = findExecutable('python3', path) ?? findExecutable('python', path)
  if (python) return { command: python, args: [script] }
  throw new ConfigError(`MCP_SERVER_SCRIPT is the Python script ${script}, but neither mcp nor python3 was found in VIRTUAL_ENV/bin or on PATH`)
}

/**
 * Other tools are called `mcp`, too: compiled ones, and npm packages. The Python SDK's is a script that Python runs, or a
 * shim (pyenv, a wrapper) that leads to one.
 */
function isPythonEntryPoint (path: string): boolean {
  const firstLine = readFileSync(path).subarray(0, 256).toString('latin1').split('\n', 1)[0] ?? ''
  return firstLine.startsWith('#!') && !/\b(node|bun|deno)\b/.test(firstLine)
}

interface ServerEntry { command: string, args: string[], env: Record<string, string>, lifecycle: ServerSpec['lifecycle'], cwd?: string }

/**
 * The servers of a `mcpServers` JSON file, in its order: the format that Claude Desktop and other hosts share.
 *
 * A relative `cwd` counts from the file's folder. Throws ConfigError that names the entry and the field.
 */
export function specsFromFile (file: string, host: HostEnvironment): ServerSpec[] {
  const path = resolve(file)
  const servers = readServers(path)
  return servers.map(([name, value]) => {
    const entry = checkEntry(name, value)
    const env = { ...inheritedEnvironment(host), ...entry.env }
    const cwd = resolve(dirname(path), entry.cwd ?? '.')
    if (entry.cwd !== undefined && !isDirectory(cwd)) throw fault(name, 'cwd', `must be a folder, but there is none at ${cwd}`)
    const command = isPath(entry.command) ? resolve(cwd, entry.command) : findExecutable(entry.command, env.PATH ?? '')
    if (command === null || !isExecutable(command)) {
      throw fault(name, 'command', `must be an executable, but ${JSON.stringify(entry.command)} was not found${isPath(entry.command) ? '' : ' on PATH'}`)
    }
    return { name, command, args: entry.args, env, lifecycle: entry.lifecycle, cwd: entry.cwd === undefined ? process.cwd() : cwd }
  })
}

function readServers (path: string): Array<[string, unknown]> {
  let document: unknown
  try {
    document = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    const why = error instanceof SyntaxError ? 'is not valid JSON' : 'cannot be read'
    throw new ConfigError(`MCP_SERVERS_FILE must be a JSON file with mcpServers, but ${path} ${why}`)
  }
  const servers = isObject(document) ? document.mcpServers : undefined
  if (!isObject(servers)) throw new ConfigError(`MCP_SERVERS_FILE must hold an object "mcpServers", but ${path} does not`)
  const entries = Object.entries(servers)
  if (entries.length === 0) throw new ConfigError(`MCP_SERVERS_FILE must name a server, but "mcpServers" in ${path} is empty`)
  return entries
}

function checkEntry (name: string, entry: unknown): ServerEntry {
  if (!isObject(entry)) throw fault(name, 'entry', 'must be an object')
  const { command, args = [], env = {}, cwd, lifecycle = 'request' } = entry
  if (typeof command !== 'string' || command === '') throw fault(name, 'command', 'must be a non-empty string: only stdio servers are supported')
  if (!Array.isArray(args) || !args.every(arg => typeof arg === 'string')) throw fault(name, 'args', 'must be an array of strings')
  if (!isObject(env) || !Object.values(env).every(value => typeof value === 'string')) throw fault(name, 'env', 'must be an object of strings')
  if (cwd !== undefined && typeof cwd !== 'string') throw fault(name, 'cwd', 'must be a string')
  if (lifecycle !== 'request' && lifecycle !== 'shared') throw fault(name, 'lifecycle', 'must be "request" or "shared"')
  return { command, args, lifecycle, env: env as Record<string, string>, ...(cwd !== undefined && { cwd }) }
}

const fault = (server: string, field: string, rule: string) =>
  new ConfigError(`MCP_SERVERS_FILE: server ${JSON.stringify(server)}: ${field} ${rule}`)

function findExecutable (name: string, path: string, accepts: (path: string) => boolean = () => true): string | null {
  for (const folder of path.split(delimiter)) {
    const candidate = join(folder, name)
    if (isAbsolute(candidate) && isExecutable(candidate) && accepts(candidate)) return candidate
  }
  return null
}

const isPath = (command: string) => command.includes('/')
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
const isFile = (path: string) => stat(path)?.isFile() ?? false
const isDirectory = (path: string) => stat(path)?.isDirectory() ?? false

function stat (path: string) {
  try {
    return statSync(path)
  } catch {
    return undefined // missing, or in a folder we may not enter: not there for us
  }
}

function isExecutable (path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return isFile(path)
  } catch {
    return false // not there or not executable: for the caller of a search both are "no"
  }
}
