import { readFileSync } from 'node:fs'
import { basename, delimiter, extname, join, resolve } from 'node:path'
import { ConfigError } from '../../errors.ts'
import { mapValues } from '../../json.ts'
import { findExecutable, isExecutable, isFile } from './executables.ts'
import { compileCacheVariable, type HostEnvironment, inheritedEnvironment } from './host-environment.ts'
import { identityOf, type StdioSpec } from './server-spec.ts'
import { literal } from './template.ts'
import { defaultPrefix } from './tool-names.ts'
import { type ArgumentValidation, chainPolicy } from './value-policy.ts'

export interface ScriptContext {
  host: HostEnvironment
  validation: ArgumentValidation
  /** The folder where servers keep compiled code; absent or `null`: the service gives them none. */
  compileCache?: string | null
}

/**
 * The server of `MCP_SERVER_SCRIPT`.
 *
 * A `.py` file runs as `mcp run SCRIPT` where the Python SDK's command is installed, else with python3. A `.js`,
 * `.mjs` or `.cjs` file runs with this Node. Any other file must be executable. Throws ConfigError.
 */
export function resolveScript (script: string, { host, validation, compileCache }: ScriptContext): StdioSpec {
  const path = resolve(script)
  if (!isFile(path)) throw new ConfigError(`MCP_SERVER_SCRIPT must be a file, but there is none at ${path}`)
  const name = basename(path, extname(path))
  const [command, ...args] = commandLine(path, host)
  const said = {
    kind: 'stdio' as const,
    name,
    prefix: defaultPrefix(name),
    timeouts: {},
    policy: { ...chainPolicy(name), validation },
    command,
    args: args.map(literal),
    // The service that this one replaced did the same: a script finds its data relative to where the service was
    // started.
    cwd: process.cwd(),
    lifecycle: 'request' as const
  }
  const identity = identityOf({ ...said, env: {} })
  const env = { ...inheritedEnvironment(host), ...compileCacheVariable(compileCache, { identity }) }
  return { ...said, env: mapValues(env, literal), identity }
}

function commandLine (script: string, host: HostEnvironment): [command: string, ...args: string[]] {
  switch (extname(script)) {
    case '.py': return pythonCommandLine(script, host)
    case '.js': case '.mjs': case '.cjs': return [process.execPath, script]
  }
  if (isExecutable(script)) return [script]
  throw new ConfigError(
    `MCP_SERVER_SCRIPT must be a .py, .js, .mjs or .cjs file or an executable, but ${script} is none of these`
  )
}

function pythonCommandLine (script: string, host: HostEnvironment): [command: string, ...args: string[]] {
  const path = [host.VIRTUAL_ENV && join(host.VIRTUAL_ENV, 'bin'), host.PATH].filter(Boolean).join(delimiter)
  const mcp = findExecutable('mcp', path, isPythonEntryPoint)
  if (mcp) return [mcp, 'run', script]
  const python = findExecutable('python3', path) ?? findExecutable('python', path)
  if (python) return [python, script]
  const where = 'in VIRTUAL_ENV/bin or on PATH'
  throw new ConfigError(
    `MCP_SERVER_SCRIPT is the Python script ${script}, but neither mcp nor python3 was found ${where}`
  )
}

/**
 * Compiled programs and npm packages are called `mcp`, too. The Python SDK's command is a script that Python runs, or a
 * shim (pyenv, a wrapper) that leads to one.
 */
function isPythonEntryPoint (path: string): boolean {
  const firstLine = readFileSync(path).subarray(0, 256).toString('latin1').split('\n', 1)[0] ?? ''
  return firstLine.startsWith('#!') && !/\b(node|bun|deno)\b/.test(firstLine)
}
