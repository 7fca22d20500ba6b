import { readFileSync } from 'node:fs'
import { basename, delimiter, extname, join, resolve } from 'node:path'
import { digestOf } from '../../digest.ts'
import { ConfigError } from '../../errors.ts'
import { type JsonObject, mapValues } from '../../json.ts'
import { findExecutable, isExecutable, isFile } from './executables.ts'
import { literal, type Template } from './template.ts'
import { defaultPrefix } from './tool-names.ts'

export interface CommonSpec {
  readonly name: string
  /** Stands before `__` in the names of its tools when there are several servers; '' leaves its names as they are. */
  readonly prefix: string
  /** Where they differ from the service's own. */
  readonly timeouts: { readonly startMs?: number, readonly listMs?: number, readonly callMs?: number }
  /** Tools that are offered; absent: all. `*` stands for any characters. */
  readonly includeTools?: readonly string[]
  /** Tools that are not offered, although they are included. */
  readonly excludeTools?: readonly string[]
}

/** A server that is started as a process. What its operator wrote, secrets included, is in templates only. */
export interface StdioSpec extends CommonSpec {
  readonly kind: 'stdio'
  /** Absolute path of the executable. */
  readonly command: string
  readonly args: readonly Template[]
  /** The child's whole environment. */
  readonly env: Readonly<Record<string, Template>>
  readonly cwd: string
  /** `request`: a fresh process for each request. `shared`: one process a worker, which all requests go through. */
  readonly lifecycle: 'request' | 'shared'
  /** How many a worker starts ahead of demand; absent: as many as the service's own setting says. */
  readonly warmSpares?: number
}

/** A server that is reached over HTTP: streamable HTTP, or the older transport with server-sent events. */
export interface HttpSpec extends CommonSpec {
  readonly kind: 'http' | 'sse'
  readonly url: Template
  /** The url as it was written, without its query: for people. Holds no value of a placeholder. */
  readonly label: string
  readonly headers: Readonly<Record<string, Template>>
  /** `kept`: one MCP session of the server for each of our sessions. `request`: one for each request. `sse` knows only that. */
  readonly session: 'kept' | 'request'
}

/** How to reach one MCP server. */
export type ServerSpec = StdioSpec | HttpSpec

/** What a process is started with: a StdioSpec filled for one session. Holds secrets: never log it, log `name`. */
export interface StdioCommand {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** What of it is the operator's secret, as far as can be told: no sentence and no log line may hold it. */
  readonly secrets?: readonly string[]
}

/** Where requests go: an HttpSpec filled for one session. Holds secrets, in the url, too: never log it, log `name`. */
export interface HttpEndpoint {
  readonly name: string
  readonly kind: 'http' | 'sse'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** What of it is secret, whoever's it is: no sentence and no log line may hold it. */
  readonly secrets: readonly string[]
}

export type HostEnvironment = Readonly<Record<string, string | undefined>>

/** Throws MissingCredentialError. */
export function fillCommand ({ name, command, args, env, cwd }: StdioSpec, credentials: JsonObject): StdioCommand {
  const filled = fillAll(env, credentials)
  const named = Object.entries(filled).filter(([name]) => soundsSecret.test(name)).map(([, value]) => value)
  const secrets = [...[...args, ...Object.values(env)].flatMap(template => template.operatorValues()), ...named]
  return { name, command, args: args.map(arg => arg.fill(credentials)), env: filled, cwd, secrets }
}

/** A variable of such a name holds what its operator would not see in an answer, although it is written in the file as it is. */
const soundsSecret = /key|token|secret|passw|credential|auth/i

/** Throws MissingCredentialError. */
export function fillEndpoint ({ name, kind, url, headers }: HttpSpec, credentials: JsonObject): HttpEndpoint {
  const filled = { name, kind, url: url.fill(credentials), headers: fillAll(headers, credentials) }
  return { ...filled, secrets: [...[url, ...Object.values(headers)].flatMap(template => template.operatorValues()), ...secretsIn(filled)] }
}

/** Shorter values of a query are settings. */
const minQuerySecretLength = 8

/** Whatever goes in a header or in the query may be a secret: a header's value, also without its scheme, and those of the query as they are sent. */
function secretsIn ({ url, headers }: Pick<HttpEndpoint, 'url' | 'headers'>): string[] {
  const { search, searchParams } = new URL(url)
  const sent = search.slice(1).split('&').map(pair => pair.slice(pair.indexOf('=') + 1))
  return [
    ...Object.values(headers).flatMap(value => [value, value.slice(value.indexOf(' ') + 1)]),
    ...[...sent, ...searchParams.values()].filter(value => value.length >= minQuerySecretLength)
  ]
}

function fillAll (templates: Readonly<Record<string, Template>>, credentials: JsonObject): Record<string, string> {
  return mapValues(templates, template => template.fill(credentials))
}

/** Credentials that the server cannot be reached without; none: it is the same for every session. */
export function credentialNames (spec: ServerSpec): readonly string[] {
  const templates = spec.kind === 'stdio'
    ? [...spec.args, ...Object.values(spec.env)]
    : [spec.url, ...Object.values(spec.headers)]
  return [...new Set(templates.flatMap(({ sessionNames }) => sessionNames))]
}

/** The same for specs that say the same, in whatever process; a hash, which tells nothing of what they say. */
export function specIdentity (spec: ServerSpec): string {
  return digestOf(spec)
}

/** Whether the operator lets callers have a tool, by the name that its server gives it. */
export function offersTool ({ includeTools = ['*'], excludeTools = [] }: Pick<CommonSpec, 'includeTools' | 'excludeTools'>, tool: string): boolean {
  const isAmong = (patterns: readonly string[]) => patterns.some(pattern => matches(pattern, tool))
  return isAmong(includeTools) && !isAmong(excludeTools)
}

/** Piece by piece instead of by a RegExp: a name that a server chose must not make one backtrack. */
function matches (pattern: string, name: string): boolean {
  const [first = '', ...pieces] = pattern.split('*')
  const last = pieces.pop()
  if (last === undefined) return name === pattern
  const end = name.length - last.length
  if (!name.startsWith(first) || !name.endsWith(last) || end < first.length) return false
  let index = first.length
  for (const piece of pieces) {
    const found = name.indexOf(piece, index)
    if (found === -1 || found + piece.length > end) return false
    index = found + piece.length
  }
  return true
}

/**
 * What a server inherits from the service: enough to find programs, certificates, and its user's files, and nothing that
 * could be a secret of ours (REDIS_PASSWORD). The first six are those that the official SDKs pass on.
 */
const inheritedNames = [
  'HOME', 'LOGNAME', 'PATH', 'SHELL', 'TERM', 'USER',
  'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'VIRTUAL_ENV', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS', 'NODE_COMPILE_CACHE'
]

export function inheritedEnvironment (host: HostEnvironment): Record<string, Template> {
  const env: Record<string, Template> = {}
  for (const name of inheritedNames) {
    const value = host[name]
    if (value !== undefined) env[name] = literal(value)
  }
  return env
}

/**
 * The server that a script is.
 *
 * `.py` runs as `mcp run SCRIPT` where the Python SDK's command is installed, else with python3; `.js`, `.mjs` and `.cjs`
 * with this Node; anything else must be executable. Throws ConfigError.
 */
export function specFromScript (script: string, host: HostEnvironment): StdioSpec {
  const path = resolve(script)
  if (!isFile(path)) throw new ConfigError(`MCP_SERVER_SCRIPT must be a file, but there is none at ${path}`)
  const name = basename(path, extname(path))
  const [command, ...args] = commandLine(path, host)
  return {
    kind: 'stdio',
    name,
    prefix: defaultPrefix(name),
    timeouts: {},
    command,
    args: args.map(literal),
    env: inheritedEnvironment(host),
    // As the replaced service: a script finds its data relative to where the service was started.
    cwd: process.cwd(),
    lifecycle: 'request'
  }
}

function commandLine (script: string, host: HostEnvironment): [command: string, ...args: string[]] {
  switch (extname(script)) {
    case '.py': return pythonCommandLine(script, host)
    case '.js': case '.mjs': case '.cjs': return [process.execPath, script]
    default:
      if (!isExecutable(script)) throw new ConfigError(`MCP_SERVER_SCRIPT must be a .py, .js, .mjs or .cjs file or an executable, but ${script} is none of these`)
      return [script]
  }
}

function pythonCommandLine (script: string, host: HostEnvironment): [command: string, ...args: string[]] {
  const path = [host.VIRTUAL_ENV && join(host.VIRTUAL_ENV, 'bin'), host.PATH].filter(Boolean).join(delimiter)
  const mcp = findExecutable('mcp', path, isPythonEntryPoint)
  if (mcp) return [mcp, 'run', script]
  const python = findExecutable('python3', path) ?? findExecutable('python', path)
  if (python) return [python, script]
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
