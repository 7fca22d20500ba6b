import { resolve } from 'node:path'
import { mapValues } from '../../json.ts'
import { entryError } from './entry-error.ts'
import { findExecutable, isDirectory, isExecutable } from './executables.ts'
import { parseTemplate, parseUrlTemplate, type Template, type TemplateOptions } from './template.ts'
import type { HttpEntry, ServerEntry, StdioEntry } from './entry-schema.ts'
import { type CommonSpec, credentialNames, type HostEnvironment, type HttpSpec, inheritedEnvironment, type ServerSpec, type StdioSpec } from './server-spec.ts'
import { defaultPrefix } from './tool-names.ts'

export interface EntryContext {
  host: HostEnvironment
  sensitiveParams: readonly string[]
  /** Where the servers file is. A relative `cwd` counts from there. */
  folder: string
}

/** What an entry means on this machine: its command found, its placeholders read. Throws ConfigError. */
export function specFromEntry (name: string, entry: ServerEntry, context: EntryContext): ServerSpec {
  if (name.trim() === '') throw entryError(name, 'entry', 'must have a name')
  return entry.kind === 'stdio' ? stdioSpec(name, entry, context) : httpSpec(name, entry, context)
}

function commonSpec (name: string, { prefix, timeouts = {}, includeTools, excludeTools }: ServerEntry): CommonSpec {
  const { start, list, call } = timeouts
  return {
    name,
    prefix: prefix ?? defaultPrefix(name),
    timeouts: {
      ...(start !== undefined && { startMs: start * 1000 }),
      ...(list !== undefined && { listMs: list * 1000 }),
      ...(call !== undefined && { callMs: call * 1000 })
    },
    ...(includeTools && { includeTools }),
    ...(excludeTools && { excludeTools })
  }
}

function stdioSpec (name: string, entry: StdioEntry, context: EntryContext): StdioSpec {
  const { args = [], env = {}, lifecycle = 'request', warmSpares } = entry
  if (entry.stateful && lifecycle === 'request') {
    throw entryError(name, 'stateful', 'cannot be true with "lifecycle": "request", where each request has a fresh process: declare it "lifecycle": "shared" if all callers may share it, or run it as an HTTP server, whose MCP session is kept per session')
  }
  if (warmSpares !== undefined && lifecycle === 'shared') throw entryError(name, 'warmSpares', 'is for a server with "lifecycle": "request": a shared one needs none')
  if (!Object.keys(env).every(isVariableName)) throw entryError(name, 'env', 'must have names without =, spaces and control characters')

  const options = optionsFor(name, context)
  const templates = {
    args: args.map((arg, index) => parseTemplate(arg, context.host, options(`args[${index}]`))),
    env: { ...inheritedEnvironment(context.host), ...mapValues(env, (value, variable) => parseTemplate(value, context.host, options(`env.${variable}`))) }
  }
  const spec: StdioSpec = {
    kind: 'stdio',
    ...commonSpec(name, entry),
    ...templates,
    ...resolveAddress(name, entry, templates.env.PATH, context),
    lifecycle,
    ...(warmSpares !== undefined && { warmSpares })
  }
  const [credential] = credentialNames(spec)
  if (credential !== undefined && lifecycle === 'shared') throw entryError(name, 'lifecycle', `must be "request": one process for all cannot have the credential ${credential} of each session`)
  if (credential !== undefined && warmSpares) throw entryError(name, 'warmSpares', `must be 0: a spare belongs to nobody, and the server needs the credential ${credential} of a session`)
  return spec
}

const isVariableName = (name: string) => /^[\x21-\x3c\x3e-\x7e]+$/.test(name)

function resolveAddress (name: string, entry: StdioEntry, path: Template | undefined, { folder }: EntryContext): Pick<StdioSpec, 'command' | 'cwd'> {
  if (path?.sessionNames.length) throw entryError(name, 'env.PATH', 'must be the same for every session: it says which command is meant')
  const cwd = resolve(folder, entry.cwd ?? '.')
  if (entry.cwd !== undefined && !isDirectory(cwd)) throw entryError(name, 'cwd', `must be a folder, but there is none at ${cwd}`)
  const isPath = entry.command.includes('/')
  const command = isPath ? resolve(cwd, entry.command) : findExecutable(entry.command, path?.fill({}) ?? '')
  if (command === null || !isExecutable(command)) {
    throw entryError(name, 'command', `must be an executable, but ${JSON.stringify(entry.command)} was not found${isPath ? '' : ' on PATH'}`)
  }
  return { command, cwd: entry.cwd === undefined ? process.cwd() : cwd }
}

function httpSpec (name: string, entry: HttpEntry, context: EntryContext): HttpSpec {
  const { kind, headers = {}, session = kind === 'sse' ? 'request' : 'kept' } = entry
  if (entry.stateful && session === 'request') {
    throw entryError(name, 'stateful', `cannot be true ${kind === 'sse' ? 'with "type": "sse"' : 'with "session": "request"'}, where each request has a fresh MCP session: let it be "type": "http" with "session": "kept"`)
  }
  checkHeaderNames(name, Object.keys(headers))
  const options = optionsFor(name, context)
  const url = parseUrlTemplate(entry.url, context.host, options('url'))
  checkUrl(name, url)
  return {
    kind,
    ...commonSpec(name, entry),
    url,
    label: entry.url.replace(/\?.*/s, ''),
    headers: mapValues(headers, (value, header) => parseTemplate(value, context.host, { ...options(`headers.${header}`), use: 'header' })),
    session
  }
}

function checkUrl (name: string, template: Template): void {
  const text = template.fill(Object.fromEntries(template.sessionNames.map(credential => [credential, 'x'])))
  const url = !/\s/.test(text) && URL.canParse(text) ? new URL(text) : null
  if (url === null || !['http:', 'https:'].includes(url.protocol)) throw entryError(name, 'url', 'must be an http(s) URL')
  if (url.username !== '' || url.password !== '') throw entryError(name, 'url', 'must not hold a user or a password: put them into headers')
  if (text.includes('#')) throw entryError(name, 'url', 'must not have a fragment (#), which no server is sent')
}

/** Those that the transport sets, and those that say where a message ends. */
const ownHeaders = /^(host|content-type|content-length|accept|connection|keep-alive|transfer-encoding|upgrade|expect|last-event-id|mcp-(session-id|protocol-version|method|name|param-.*))$/i

function checkHeaderNames (server: string, names: readonly string[]): void {
  // A name that is none is not repeated: people write "Authorization: Bearer …" into it.
  if (!names.every(name => /^[\w!#$%&'*+.^`|~-]+$/.test(name))) throw entryError(server, 'headers', 'must have names of letters, digits and !#$%&\'*+-.^_`|~')
  const own = names.find(name => ownHeaders.test(name))
  if (own !== undefined) throw entryError(server, `headers.${own}`, 'cannot be set: it belongs to the protocol')
  const lowerCase = names.map(name => name.toLowerCase())
  const twice = names.find((name, index) => lowerCase.indexOf(name.toLowerCase()) !== index)
  if (twice !== undefined) throw entryError(server, `headers.${twice}`, 'is there twice, in different spellings')
}

function optionsFor (server: string, { sensitiveParams }: EntryContext) {
  return (field: string): TemplateOptions => ({ server, field, sensitiveParams })
}
