import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { ConfigError } from '../../errors.ts'
import { isJsonObject } from '../../json.ts'
import { checkEntry } from './entry-schema.ts'
import type { HostEnvironment, ServerSpec } from './server-spec.ts'
import { specFromEntry } from './resolve-entry.ts'
import { checkPrefixes } from './tool-names.ts'

export interface ServersFileOptions {
  host: HostEnvironment
  /** Fields of a session that are credentials: those that `${session.NAME}` may name. */
  sensitiveParams: readonly string[]
}

/**
 * The servers of a `mcpServers` JSON file, in its order, without those that are disabled: the format that Claude Desktop
 * and other hosts share, with fields of our own on top.
 *
 * Their prefixes tell their tools apart. Throws ConfigError that names the entry and the field, and repeats nothing that
 * could be a secret.
 */
export function specsFromFile (file: string, options: ServersFileOptions): ServerSpec[] {
  const path = resolve(file)
  const specs = readServers(path).flatMap(([name, value]) => {
    const entry = checkEntry(name, value)
    return entry === null ? [] : [specFromEntry(name, entry, { ...options, folder: dirname(path) })]
  })
  if (specs.length === 0) throw new ConfigError(`MCP_SERVERS_FILE must name a server that is not disabled, but "mcpServers" in ${path} does not`)
  checkPrefixes(specs)
  return specs
}

function readServers (path: string): Array<[string, unknown]> {
  let document: unknown
  try {
    document = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    const why = error instanceof SyntaxError ? 'is not valid JSON' : 'cannot be read'
    throw new ConfigError(`MCP_SERVERS_FILE must be a JSON file with mcpServers, but ${path} ${why}`)
  }
  const servers = isJsonObject(document) ? document.mcpServers : undefined
  if (!isJsonObject(servers)) throw new ConfigError(`MCP_SERVERS_FILE must hold an object "mcpServers", but ${path} does not`)
  const entries = Object.entries(servers)
  if (entries.length === 0) throw new ConfigError(`MCP_SERVERS_FILE must name a server, but "mcpServers" in ${path} is empty`)
  return entries
}
