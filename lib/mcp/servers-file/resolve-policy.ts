import { isJsonObject, type JsonObject } from '../../json.ts'
import { callerOrigin } from '../../value-origin.ts'
import { entryError } from './entry-error.ts'
import type { HostEnvironment } from './host-environment.ts'
import { parseTemplate } from './template.ts'
import {
  type ArgumentSource, type ArgumentValidation, chainPolicy, type Fill, type OperatorSource, type ResultShape,
  type ServerPolicy, type SessionSource, type ToolPolicy
} from './value-policy.ts'

/** What holds where an entry says nothing. */
export interface PolicyDefaults {
  values: 'chain' | 'none'
  validation: ArgumentValidation
}

/** The fields of an entry that say what happens to values, as they were written. */
export interface PolicyFields {
  values?: unknown
  tools?: unknown
  credentials?: readonly string[]
  result?: ResultShape
  validateArguments?: ArgumentValidation
}

export interface PolicyContext {
  host: HostEnvironment
  sensitiveParams: readonly string[]
  defaults: PolicyDefaults
  /** All servers of the file that are not disabled. */
  serverNames: readonly string[]
  /** Credentials that the entry's placeholders name. */
  placeholderNames: readonly string[]
  /** The text of a member within the entry, as it was written; the names lead to it. */
  textAt: (path: readonly string[]) => string
}

const keepWords = ['parameters', 'results', 'both', 'neither'] as const
const fillWords = ['declared', 'required', 'none'] as const

/** The policy of an entry. Throws ConfigError. */
export function resolvePolicy (server: string, fields: PolicyFields, context: PolicyContext): ServerPolicy {
  if (server === callerOrigin) {
    throw entryError(server, 'entry', `must have another name: "${callerOrigin}" stands for what callers give`)
  }
  const base = basePolicy(server, fields, context)
  const tools = new Map(toolEntries(server, fields.tools).map(([name, said]) => {
    return [name, resolveTool(server, name, said, base, context)] as const
  }))
  const named = [...tools.values()].flatMap(({ sources }) =>
    [...sources.values()].flatMap(source => source.kind === 'operator' ? source.credentialNames : []))
  const ownCredentials = checkCredentials(server, fields.credentials, context)
  return {
    ...base,
    acceptsUnknown: base.kind === 'chain' && context.serverNames.length === 1,
    credentials: base.kind === 'chain' && fields.credentials === undefined
      ? 'declared'
      : [...new Set([...context.placeholderNames, ...named, ...ownCredentials])],
    result: fields.result ?? 'default',
    validation: fields.validateArguments ?? context.defaults.validation,
    tools
  }
}

function basePolicy (
  server: string, { values: said }: PolicyFields, context: PolicyContext
): Pick<ServerPolicy, 'kind' | keyof ToolPolicy> {
  const values = said === undefined ? context.defaults.values : said
  const nothing = {
    keepsParameters: false, keepsResults: false, fill: 'none', from: [server], sources: new Map(), filled: []
  } as const
  if (values === 'chain') return chainPolicy(server)
  if (values === 'none') return { kind: 'none', ...nothing }
  if (!isJsonObject(values)) {
    throw entryError(server, 'values', 'must be "chain", "none", or an object of keep, fill and from')
  }
  refuseUnknown(server, 'values', values, ['keep', 'fill', 'from'])
  return { kind: 'custom', ...nothing, ...saidOf(server, 'values', values, context) }
}

/** What an object says of keep, fill and from. */
function saidOf (
  server: string, field: string, said: JsonObject, { serverNames }: PolicyContext
): Partial<Pick<ToolPolicy, 'keepsParameters' | 'keepsResults' | 'fill' | 'from'>> {
  const keep = word(server, `${field}.keep`, said.keep, keepWords)
  const fill: Fill | undefined = word(server, `${field}.fill`, said.fill, fillWords)
  const from = said.from === undefined ? undefined : originsOf(server, `${field}.from`, said.from, serverNames)
  return {
    ...(keep !== undefined && {
      keepsParameters: keep === 'parameters' || keep === 'both',
      keepsResults: keep === 'results' || keep === 'both'
    }),
    ...(fill !== undefined && { fill }),
    ...(from !== undefined && { from })
  }
}

function toolEntries (server: string, tools: unknown): Array<[string, JsonObject]> {
  if (tools === undefined) return []
  if (!isJsonObject(tools)) throw entryError(server, 'tools', 'must be an object with an object for each tool')
  return Object.entries(tools).map(([name, said]) => {
    if (!isJsonObject(said)) throw entryError(server, `tools.${name}`, 'must be an object')
    refuseUnknown(server, `tools.${name}`, said, ['keep', 'fill', 'from', 'filled', 'arguments'])
    return [name, said]
  })
}

function resolveTool (
  server: string, name: string, said: JsonObject, base: ToolPolicy, context: PolicyContext
): ToolPolicy {
  const field = `tools.${name}`
  const filled = said.filled === undefined ? [] : textsOf(server, `${field}.filled`, said.filled)
  const sources = said.arguments ?? {}
  if (!isJsonObject(sources)) throw entryError(server, `${field}.arguments`, 'must be an object with a source for each')
  const policy = {
    ...base,
    ...saidOf(server, field, said, context),
    filled,
    sources: new Map(Object.entries(sources).map(([argument, source]) => {
      const path = ['tools', name, 'arguments', argument]
      return [argument, resolveSource(server, path, source, context)] as const
    }))
  }
  if (filled.length > 0 && policy.fill === 'none') {
    throw entryError(server, `${field}.filled`, 'names what the session fills, and the tool has "fill": "none"')
  }
  return {
    keepsParameters: policy.keepsParameters,
    keepsResults: policy.keepsResults,
    fill: policy.fill,
    from: policy.from,
    filled: policy.filled,
    sources: policy.sources
  }
}

const sourceRule = 'must be a constant (a text, a number, true, false, null, an array, or {"constant": …}), ' +
  'or {"value": "<name>", "from": "<server>", "pointer": "/…", "optional": true, "writable": true}'

function resolveSource (
  server: string, path: readonly string[], source: unknown, context: PolicyContext
): ArgumentSource {
  const field = path.join('.')
  if (typeof source === 'string') return parseText(server, field, source, context)
  if (!isJsonObject(source)) return constant(context.textAt(path))
  if (Object.hasOwn(source, 'constant') && Object.keys(source).length === 1) {
    return constant(context.textAt([...path, 'constant']))
  }
  if (typeof source.value !== 'string') throw entryError(server, field, sourceRule)
  refuseUnknown(server, field, source, ['value', 'from', 'pointer', 'optional', 'writable'])
  return parseSessionSource(server, field, source, context)
}

function parseSessionSource (
  server: string, field: string, source: JsonObject, { serverNames, sensitiveParams }: PolicyContext
): SessionSource {
  const { value: name, from = server, pointer = '', optional = false, writable = false } = source
  if (sensitiveParams.includes(String(name))) {
    throw entryError(server, field, `names the credential ${String(name)}: write "\${session.${String(name)}}" for it`)
  }
  if (typeof optional !== 'boolean') throw entryError(server, `${field}.optional`, 'must be true or false')
  if (typeof writable !== 'boolean') throw entryError(server, `${field}.writable`, 'must be true or false')
  if (typeof pointer !== 'string' || !/^(\/([^~]|~[01])*)?$/.test(pointer)) {
    throw entryError(server, `${field}.pointer`, 'must be a JSON Pointer: empty, or names that each follow a /')
  }
  if (typeof from !== 'string') throw entryError(server, `${field}.from`, 'must be the name of a server, or "caller"')
  const [origin = server] = originsOf(server, `${field}.from`, [from], serverNames)
  return { kind: 'session', name: String(name), from: origin, pointer, isOptional: optional, isWritable: writable }
}

const constant = (text: string): OperatorSource =>
  ({ kind: 'operator', credentialNames: [], content: () => text, fill: () => text })

/** A text that is one placeholder and nothing else is the credential as it was sent, whatever its type. */
function parseText (server: string, field: string, text: string, context: PolicyContext): OperatorSource {
  const { host, sensitiveParams } = context
  const template = parseTemplate(text, host, { server, field, sensitiveParams, use: 'json' })
  const [only] = /^\$\{session\.[^\s{}]+\}$/.test(text) ? template.sessionNames : []
  return {
    kind: 'operator',
    credentialNames: template.sessionNames,
    content: template.content,
    fill: (credentials, texts) => {
      const filled = only === undefined ? template.fill(credentials) : texts.get(only)
      if (only !== undefined && filled !== undefined && filled !== 'null') return filled
      return JSON.stringify(filled ?? template.fill(credentials))
    }
  }
}

function checkCredentials (
  server: string, names: readonly string[] = [], { sensitiveParams }: PolicyContext
): readonly string[] {
  const unknown = names.find(name => !sensitiveParams.includes(name))
  if (unknown === undefined) return names
  throw entryError(server, 'credentials', `names ${JSON.stringify(unknown)}, which is not among MCP_SENSITIVE_PARAMS`)
}

function originsOf (server: string, field: string, said: unknown, serverNames: readonly string[]): readonly string[] {
  const known = [...serverNames, callerOrigin]
  const names = textsOf(server, field, said)
  const unknown = names.find(name => !known.includes(name))
  if (unknown === undefined) return names
  throw entryError(
    server, field, `names ${JSON.stringify(unknown)}, which is neither "${callerOrigin}" nor an enabled server`
  )
}

function textsOf (server: string, field: string, said: unknown): readonly string[] {
  if (Array.isArray(said) && said.every(each => typeof each === 'string')) return said
  throw entryError(server, field, 'must be an array of strings')
}

function word<Word extends string> (
  server: string, field: string, said: unknown, words: readonly Word[]
): Word | undefined {
  const known = words.find(each => each === said)
  if (said === undefined || known !== undefined) return known
  throw entryError(server, field, `must be one of ${words.map(each => JSON.stringify(each)).join(', ')}`)
}

/** A field of ours that is misspelled would change what is sent to a tool, and nobody would notice. */
function refuseUnknown (server: string, field: string, said: JsonObject, known: readonly string[]): void {
  const unknown = Object.keys(said).find(name => !known.includes(name))
  if (unknown === undefined) return
  throw entryError(server, field, `has no ${JSON.stringify(unknown)}: it takes ${known.join(', ')}`)
}
