import { readFileSync } from 'node:fs'
import { ConfigError } from '../../errors.ts'
import { isJsonObject, type JsonObject } from '../../json.ts'
import { memberOf, readJson, textOf } from '../../json-text.ts'
import { JsoncError, parseJsonc } from '../../jsonc.ts'
import { wordsOf } from './name-words.ts'
import type { MemberNote } from './other-hosts.ts'
import { restricts } from './unknown-members.ts'

/** What is in a servers file, not yet checked. */
export interface EntriesFile {
  /** In the order of the file, without those that the file itself leaves out. */
  entries: Array<[server: string, entry: unknown]>
  /** The text of a member within an entry, as it was written; the names lead to it. */
  textAt: (server: string, path: readonly string[]) => string
  /** What is said beside the entries, and is not used. */
  notes: MemberNote[]
}

const fault = (path: string, what: string) => new ConfigError(`MCP_SERVERS_FILE: ${path} ${what}`)

/** Reads a servers file: JSON, with comments and trailing commas. Throws ConfigError. */
export function readEntriesFile (path: string): EntriesFile {
  const { text, value } = readFile(path)
  const file = isJsonObject(value) ? value : {}
  const { member, servers } = entriesMember(path, file)
  const choice = readChoice(path, file)
  const names = Object.keys(servers)
  if (names.length === 0) {
    throw new ConfigError(`MCP_SERVERS_FILE must name a server, but "${member}" in ${path} is empty`)
  }
  return {
    entries: Object.entries(servers).filter(([name]) => choice.takes(name)),
    textAt: (server, names) => textOfMember(text, [member, server, ...names]),
    notes: [...choice.notes(names), ...judgeFile(path, file, [member, ...choice.members])]
  }
}

function readFile (path: string) {
  let text: string
  try {
    text = readFileSync(path, 'utf8').replace(/^\ufeff/, '') // editors on Windows write it
  } catch {
    throw new ConfigError(`MCP_SERVERS_FILE must be a JSON file with mcpServers, but ${path} cannot be read`)
  }
  try {
    return parseJsonc(text)
  } catch (error) {
    if (!(error instanceof JsoncError)) throw error
    throw new ConfigError(
      `MCP_SERVERS_FILE must be a JSON file with mcpServers, but ${path} is not valid JSON: ${error.message}`
    )
  }
}

/** Members in which other files have their servers, in a form that differs. */
const otherForms = ['context_servers', 'mcp', 'mcp_servers', 'mcpServer', 'mcp.servers']

/** The member that holds the entries: `mcpServers`, or `servers` as in VS Code. */
function entriesMember (path: string, file: JsonObject): { member: string, servers: JsonObject } {
  const { mcpServers, servers } = file
  if (mcpServers !== undefined && servers !== undefined) {
    throw fault(path, 'has both "mcpServers" and "servers": keep the one that is meant')
  }
  if (isJsonObject(mcpServers)) return { member: 'mcpServers', servers: mcpServers }
  if (isJsonObject(servers)) return { member: 'servers', servers }
  const other = otherForms.find(name => isJsonObject(file[name]))
  const hint = other === undefined ? '' : `; its "${other}" is another form`
  throw new ConfigError(`MCP_SERVERS_FILE must hold an object "mcpServers" or "servers", but ${path} does not${hint}`)
}

/** Lists of servers that are left out, or that alone are taken, as Gemini CLI, Cline and Claude Code have them. */
const excluding =
  [['mcp', 'excluded'], ['excludeMCPServers'], ['disabledMcpServers'], ['disabledMcpjsonServers']] as const
const including = [['mcp', 'allowed'], ['allowMCPServers']] as const

function readChoice (path: string, file: JsonObject) {
  const read = (members: readonly string[]) => {
    const said = members.reduce<unknown>((value, name) => isJsonObject(value) ? value[name] : undefined, file)
    if (said === undefined) return []
    const isList = Array.isArray(said) && said.every(name => typeof name === 'string')
    if (!isList) throw fault(path, `must have an array of names in "${members.join('.')}"`)
    return [{ member: members.join('.'), names: said as string[] }]
  }
  const excluded = excluding.flatMap(read)
  const included = including.flatMap(read)
  const refusalOf = (name: string) =>
    excluded.find(({ names }) => names.includes(name)) ?? included.find(({ names }) => !names.includes(name))
  return {
    members: [...excluded, ...included].map(({ member }) => member),
    takes: (name: string) => refusalOf(name) === undefined,
    notes: (names: readonly string[]) => names.flatMap((name): MemberNote[] => {
      const refusal = refusalOf(name)
      return refusal === undefined
        ? []
        : [{ member: refusal.member, why: `it leaves out the server ${JSON.stringify(name)}` }]
    })
  }
}

const knownBeside: ReadonlyMap<string, string> = new Map([
  ['inputs', 'a person would type these; an entry that uses one is not run'],
  ['sandbox', 'it is for entries with "sandboxEnabled", which are not run']
])

/**
 * What becomes of members beside the entries. Files of some hosts hold all of their settings: a setting that may
 * restrict servers or tools makes the file unusable, any other is told of.
 */
function judgeFile (path: string, file: JsonObject, taken: readonly string[]): MemberNote[] {
  return Object.entries(file).flatMap(([member, value]): MemberNote[] => {
    if (member === '$schema' || taken.includes(member)) return []
    const why = knownBeside.get(member)
    if (why !== undefined) return [{ member, why }]
    const said = isJsonObject(value) && Object.keys(value).length > 0
      ? Object.entries(value).map(([name, inner]) => [`${member}.${name}`, inner] as const)
      : [[member, value] as const]
    const unknown = said.filter(([name]) => !taken.includes(name))
    const restriction = unknown.find(([name, inner]) => speaksOfServers(name) && restricts(name, inner))?.[0]
    if (restriction !== undefined) {
      const what = 'may restrict servers or tools in a way that this service does not know: see docs/servers-file.md'
      throw fault(path, `has "${restriction}", which ${what}`)
    }
    return unknown.length === 0 ? [] : [{ member, why: 'this service does not know it' }]
  })
}

const speaksOfServers = (name: string) => wordsOf(name).some(word => /^(mcp|server|tool|permission)/.test(word))

/** The text of a value that JSON.parse would give without its digits. The names lead to a member that is there. */
function textOfMember (text: string, path: readonly string[]): string {
  const document = readJson(text, path.length + 1)
  let node = document?.root ?? null
  for (const name of path) node = memberOf(node, name)
  return document === null || node === null ? 'null' : textOf(document, node)
}
