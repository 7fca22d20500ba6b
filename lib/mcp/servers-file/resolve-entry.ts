import { mapValues } from '../../json.ts'
import { transportKinds } from '../transports/transport-kinds.ts'
import type { EntryContext } from './entry-context.ts'
import { entryError } from './entry-error.ts'
import type { HttpEntry, ServerEntry, StdioEntry } from './entry-schema.ts'
import { checkUser, userOf } from './entry-user.ts'
import { compileCacheVariable, inheritedEnvironment } from './host-environment.ts'
import { checkVariableNames, readEnvFile } from './read-env-file.ts'
import { resolveCommand } from './resolve-command.ts'
import { resolvePolicy } from './resolve-policy.ts'
import { credentialNames, type HttpSpec, identityOf, type ServerSpec, type StdioSpec } from './server-spec.ts'
import { literal, parseTemplate, parseUrlTemplate, type Template, type TemplateOptions } from './template.ts'
import { defaultPrefix } from './tool-names.ts'
import type { ServerPolicy } from './value-policy.ts'

/** The spec of an entry on this machine: its command found, its placeholders read. Throws ConfigError. */
export function resolveEntry (name: string, entry: ServerEntry, context: EntryContext): ServerSpec {
  if (name.trim() === '') throw entryError(name, 'entry', 'must have a name')
  return entry.kind === 'stdio' ? resolveStdioEntry(name, entry, context) : resolveHttpEntry(name, entry, context)
}

function commonFields (name: string, entry: ServerEntry) {
  const { prefix, timeouts = {}, includeTools, excludeTools, baggage, stateful } = entry
  const { start, list, call, inactivity } = timeouts
  return {
    name,
    prefix: prefix ?? defaultPrefix(name),
    ...(baggage === true && { baggage: true as const }),
    ...(stateful === true && { stateful: true as const }),
    timeouts: {
      ...(start !== undefined && { startMs: start * 1000 }),
      ...(list !== undefined && { listMs: list * 1000 }),
      ...(call !== undefined && { callMs: call * 1000 }),
      ...(inactivity !== undefined && { inactivityMs: inactivity * 1000 })
    },
    ...(includeTools && { includeTools }),
    ...(excludeTools && { excludeTools })
  }
}

function policyOf (
  name: string, entry: ServerEntry, placeholderNames: readonly string[], context: EntryContext
): ServerPolicy {
  const { policyDefaults: defaults, textAt, ...common } = context
  return resolvePolicy(name, entry, { ...common, defaults, placeholderNames, textAt: path => textAt(name, path) })
}

function resolveStdioEntry (name: string, entry: StdioEntry, context: EntryContext): StdioSpec {
  const { args = [], env = {}, lifecycle = 'request', warmSpares } = entry
  checkLifecycle(name, entry)
  checkVariableNames(name, 'env', env)
  const parse = (field: string, text: string, use: TemplateOptions['use'] = 'process') =>
    parseTemplate(text, context.host, { ...optionsFor(name, field, context), use })
  const user = userOf(name, entry)
  const inherited = mapValues(inheritedEnvironment(context.host, user), literal)
  const ownEnv = {
    ...readEnvFile(name, entry, context),
    ...mapValues(env, (value, variable) => parse(`env.${variable}`, value))
  }
  const said = {
    kind: 'stdio' as const,
    ...commonFields(name, entry),
    args: args.map((arg, index) => parse(`args[${index}]`, arg, 'argument')),
    env: ownEnv,
    ...resolveCommand(name, entry, ownEnv.PATH ?? inherited.PATH, context),
    ...(user && { user }),
    lifecycle,
    ...(warmSpares !== undefined && { warmSpares })
  }
  checkSharing(name, said)
  checkUser(name, said)
  const policy = policyOf(name, entry, credentialNames(said), context)
  const identity = identityOf({ ...said, policy })
  const compileCache = mapValues(compileCacheVariable(context.compileCache, { ...said, identity }), literal)
  return { ...said, policy, env: { ...inherited, ...compileCache, ...ownEnv }, identity }
}

function checkLifecycle (name: string, { lifecycle, warmSpares }: StdioEntry): void {
  if (warmSpares !== undefined && lifecycle === 'shared') {
    throw entryError(name, 'warmSpares', 'is for a server with "lifecycle": "request": a shared one needs none')
  }
}

/**
 * A process that serves more than one session, or that is started before its request, can have no session's
 * credential.
 */
function checkSharing (name: string, spec: Omit<StdioSpec, 'identity' | 'policy'>): void {
  const [credential] = credentialNames(spec)
  if (credential === undefined) return
  if (spec.lifecycle === 'shared') {
    const rule = `must be "request": one process for all cannot have the credential ${credential} of each session`
    throw entryError(name, 'lifecycle', rule)
  }
  if (spec.warmSpares) {
    const reason = 'a spare starts before its session is known'
    throw entryError(
      name, 'warmSpares', `must be 0: ${reason}, and the server needs the credential ${credential} of one`
    )
  }
}

function resolveHttpEntry (name: string, entry: HttpEntry, context: EntryContext): HttpSpec {
  const { kind, headers = {} } = entry
  const { resumesSessions } = transportKinds[kind]
  const session = entry.session ?? (resumesSessions ? 'kept' : 'request')
  checkHeaderNames(name, Object.keys(headers))
  const url = parseUrlTemplate(entry.url, context.host, optionsFor(name, 'url', context))
  checkUrl(name, url)
  const said = {
    kind,
    ...commonFields(name, entry),
    url,
    label: entry.url.replace(/:-[^{}]*\}/g, ':-…}').replace(/\?.*/s, ''),
    headers: mapValues(headers, (value, header) => {
      return parseTemplate(value, context.host, { ...optionsFor(name, `headers.${header}`, context), use: 'header' })
    }),
    session
  }
  const policy = policyOf(name, entry, credentialNames(said), context)
  return { ...said, policy, identity: identityOf({ ...said, policy }) }
}

function checkUrl (name: string, template: Template): void {
  const text = template.fill(Object.fromEntries(template.sessionNames.map(credential => [credential, 'x'])))
  const url = !/\s/.test(text) && URL.canParse(text) ? new URL(text) : null
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw entryError(name, 'url', 'must be an http(s) URL')
  }
  if (url.username !== '' || url.password !== '') {
    throw entryError(name, 'url', 'must not hold a user or a password: put them into headers')
  }
  if (text.includes('#')) throw entryError(name, 'url', 'must not have a fragment (#), which no server is sent')
}

/** Headers that the transport sets, and headers that say where a message ends. */
const protocolHeaders = new RegExp(`^(${[
  'host', 'content-type', 'content-length', 'accept', 'connection', 'keep-alive', 'transfer-encoding', 'upgrade',
  'expect', 'last-event-id', 'mcp-(session-id|protocol-version|method|name|param-.*)'
].join('|')})$`, 'i')

function checkHeaderNames (server: string, names: readonly string[]): void {
  // The sentence does not repeat a bad name: people write "Authorization: Bearer …" there.
  if (!names.every(name => /^[\w!#$%&'*+.^`|~-]+$/.test(name))) {
    throw entryError(server, 'headers', 'must have names of letters, digits and !#$%&\'*+-.^_`|~')
  }
  const reserved = names.find(name => protocolHeaders.test(name))
  if (reserved !== undefined) {
    throw entryError(server, `headers.${reserved}`, 'cannot be set: it belongs to the protocol')
  }
  const lowerCase = names.map(name => name.toLowerCase())
  const twice = names.find((name, index) => lowerCase.indexOf(name.toLowerCase()) !== index)
  if (twice !== undefined) throw entryError(server, `headers.${twice}`, 'is there twice, in different spellings')
}

function optionsFor (server: string, field: string, { sensitiveParams }: EntryContext): TemplateOptions {
  return { server, field, sensitiveParams }
}
