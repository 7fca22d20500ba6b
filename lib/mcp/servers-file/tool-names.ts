import { createHash } from 'node:crypto'
import { ConfigError } from '../../errors.ts'
import type { CommonSpec } from './server-spec.ts'

type NamedServer = Pick<CommonSpec, 'name' | 'prefix'>

/** Names of tools, and of prompts, as callers know them. */
export interface ToolNames {
  /**
   * The name under which callers know a server's tool: the tool's own when there is one server, else `<prefix>__<tool>`, at
   * most 64 characters of [A-Za-z0-9_-]. One that had to be changed for that ends in a hash, which stays the same over
   * restarts and keeps it from being another's.
   */
  exposedName: (server: string, tool: string) => string
  /** The only server that can have a tool of that exposed name; `null` when none can. Asks nobody whether it has. */
  serverOf: (exposedName: string) => string | null
}

const maxLength = 64
const hashLength = 8
const maxPrefixLength = 32
const separator = '__'

const withAllowedCharacters = (name: string) => name.replace(/[^A-Za-z0-9_-]/gu, '_')
const beginningOf = (prefix: string) => prefix === '' ? '' : `${prefix}${separator}`

/** What the names of a server's tools begin with unless its entry says otherwise: its name, made of allowed characters. */
export const defaultPrefix = (server: string) => withAllowedCharacters(server).slice(0, maxPrefixLength)

/** Throws ConfigError when the names of two servers' tools could be the same. */
export function checkPrefixes (specs: readonly NamedServer[]): void {
  for (const one of specs) {
    for (const other of specs) {
      if (one === other || !clash(one.prefix, other.prefix)) continue
      const [names, prefixes] = [`${JSON.stringify(one.name)} and ${JSON.stringify(other.name)}`, `${JSON.stringify(one.prefix)} and ${JSON.stringify(other.prefix)}`]
      throw new ConfigError(`MCP_SERVERS_FILE: servers ${names}: prefix must tell their tools apart, but ${prefixes} do not`)
    }
  }
}

/** `a` and `a__b` do, by the tool `b__x` of the first; `a` and `a_` do, by its tool `_x`. */
function clash (prefix: string, other: string): boolean {
  return prefix === '' ? other === '' : beginningOf(other).startsWith(beginningOf(prefix))
}

/** Prefixes must have passed checkPrefixes. */
export function createToolNames (specs: readonly NamedServer[]): ToolNames {
  const [first, ...others] = specs
  if (first !== undefined && others.length === 0) return { exposedName: (_, tool) => tool, serverOf: () => first.name }

  const prefixes = new Map(specs.map(({ name, prefix }) => [name, prefix]))
  const prefixed = specs.filter(({ prefix }) => prefix !== '')
  const unprefixed = specs.find(({ prefix }) => prefix === '')
  const ownerOf = (name: string) => prefixed.find(({ prefix }) => name.startsWith(beginningOf(prefix)))

  return {
    exposedName (server, tool) {
      const prefix = prefixes.get(server)
      if (prefix === undefined) throw new Error(`there is no server ${server}`)
      const beginning = beginningOf(prefix)
      const allowed = withAllowedCharacters(tool)
      const isKept = allowed === tool && tool !== '' && beginning.length + tool.length <= maxLength
      const hashed = () => `${allowed.slice(0, maxLength - beginning.length - hashLength - 1)}_${hashOf(server, tool)}`
      const name = beginning + (isKept ? tool : hashed())
      // Without a prefix a tool may be called as if it were another server's: a name without __ is nobody's else.
      return prefix === '' && ownerOf(name) !== undefined ? hashed().replace(/_{2,}/g, '_') : name
    },

    serverOf: name => (ownerOf(name) ?? unprefixed)?.name ?? null
  }
}

function hashOf (server: string, tool: string): string {
  return createHash('sha256').update(`${server}\0${tool}`).digest('hex').slice(0, hashLength)
}
