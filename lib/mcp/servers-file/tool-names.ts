import { createHash } from 'node:crypto'

export interface NamedServer {
  readonly name: string
  /** Stands before `__` in the names of its tools; '' leaves them as they are. */
  readonly prefix: string
}

/** Names of tools, and of prompts, as callers know them. */
export interface ToolNames {
  /**
   * The name under which callers know a server's tool. With one server it is the tool's own name. With several it is
   * `<prefix>__<tool>`, at most 64 characters of [A-Za-z0-9_-]. A name that had to be changed for that ends in a hash,
   * which stays the same over restarts and keeps the name from being another tool's.
   */
  exposedName: (server: string, tool: string) => string
  /**
   * The only server that can have a tool of that exposed name; `null` when none can. Says nothing of whether it has.
   */
  serverOf: (exposedName: string) => string | null
}

const maxLength = 64
const hashLength = 8
const maxPrefixLength = 32
const separator = '__'

const withAllowedCharacters = (name: string) => name.replace(/[^A-Za-z0-9_-]/gu, '_')
const beginningOf = (prefix: string) => prefix === '' ? '' : `${prefix}${separator}`

/** The prefix of a server whose entry says none: its name, made of allowed characters. */
export const defaultPrefix = (server: string) => withAllowedCharacters(server).slice(0, maxPrefixLength)

/** The prefixes that an entry may have. */
export const prefixPattern = `^[A-Za-z0-9_-]{0,${maxPrefixLength}}$`
export const isPrefix = (value: unknown): value is string =>
  typeof value === 'string' && new RegExp(prefixPattern).test(value)

/** Two servers whose tools could have the same names; `null` when all can be told apart. */
export function findClash<Server extends NamedServer> (servers: readonly Server[]): readonly [Server, Server] | null {
  for (const [index, one] of servers.entries()) {
    const other = servers.slice(index + 1).find(({ prefix }) => clash(one.prefix, prefix) || clash(prefix, one.prefix))
    if (other !== undefined) return [one, other]
  }
  return null
}

/** `a` and `a__b` clash by the tool `b__x` of the first; `a` and `a_` clash by the tool `_x` of the first. */
function clash (prefix: string, other: string): boolean {
  return prefix === '' ? other === '' : beginningOf(other).startsWith(beginningOf(prefix))
}

/** There must be no clash between the servers. */
export function createToolNames (servers: readonly NamedServer[]): ToolNames {
  const [first, ...others] = servers
  if (first !== undefined && others.length === 0) return { exposedName: (_, tool) => tool, serverOf: () => first.name }

  const prefixes = new Map(servers.map(({ name, prefix }) => [name, prefix]))
  const prefixed = servers.filter(({ prefix }) => prefix !== '')
  const unprefixed = servers.find(({ prefix }) => prefix === '')
  const ownerOf = (name: string) => prefixed.find(({ prefix }) => name.startsWith(beginningOf(prefix)))

  return {
    exposedName (server, tool) {
      const prefix = prefixes.get(server)
      if (prefix === undefined) throw new Error(`there is no server ${server}`)
      const beginning = beginningOf(prefix)
      const allowed = withAllowedCharacters(tool)
      const isKept = allowed === tool && tool !== '' && beginning.length + tool.length <= maxLength
      const shortened = allowed.slice(0, maxLength - beginning.length - hashLength - 1)
      const hashed = () => `${shortened}_${hashOf(server, tool)}`
      const name = beginning + (isKept ? tool : hashed())
      // A tool without a prefix may be called as if it were another server's. No other server has a name without `__`.
      return prefix === '' && ownerOf(name) !== undefined ? hashed().replace(/_{2,}/g, '_') : name
    },

    serverOf: name => (ownerOf(name) ?? unprefixed)?.name ?? null
  }
}

function hashOf (server: string, tool: string): string {
  return createHash('sha256').update(`${server}\0${tool}`).digest('hex').slice(0, hashLength)
}
