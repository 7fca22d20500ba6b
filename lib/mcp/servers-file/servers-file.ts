import { dirname, resolve } from 'node:path'
import { ConfigError } from '../../errors.ts'
import { isJsonObject } from '../../json.ts'
import { readJsonFile } from '../../json-file.ts'
import { checkEntry } from './entry-schema.ts'
import { type EntryContext, resolveEntry } from './resolve-entry.ts'
import type { ServerSpec } from './server-spec.ts'
import { checkPrefixes } from './tool-names.ts'

/**
 * The servers of a `mcpServers` JSON file, in its order, without the disabled ones. The format is the one that Claude
 * Desktop and other hosts share, with fields of our own on top.
 *
 * Their prefixes tell their tools apart. Throws ConfigError that names the entry and the field, and repeats nothing
 * that could be a secret.
 */
export function readServersFile (file: string, options: Omit<EntryContext, 'folder'>): ServerSpec[] {
  const path = resolve(file)
  const context = { ...options, folder: dirname(path) }
  const specs = readEntries(path).flatMap(([name, value]) => {
    const entry = checkEntry(name, value)
    return entry === null ? [] : [resolveEntry(name, entry, context)]
  })
  if (specs.length === 0) {
    throw new ConfigError(
      `MCP_SERVERS_FILE must name a server that is not disabled, but "mcpServers" in ${path} does not`
    )
  }
  checkPrefixes(specs)
  return specs
}

function readEntries (path: string): Array<[name: string, entry: unknown]> {
  let document: unknown
  try {
    document = readJsonFile(path)
  } catch (error) {
    // The error's own sentence could quote a secret of the file.
    const why = error instanceof SyntaxError ? 'is not valid JSON' : 'cannot be read'
    throw new ConfigError(`MCP_SERVERS_FILE must be a JSON file with mcpServers, but ${path} ${why}`)
  }
  const servers = isJsonObject(document) ? document.mcpServers : undefined
  if (!isJsonObject(servers)) {
    throw new ConfigError(`MCP_SERVERS_FILE must hold an object "mcpServers", but ${path} does not`)
  }
  const entries = Object.entries(servers)
  if (entries.length === 0) {
    throw new ConfigError(`MCP_SERVERS_FILE must name a server, but "mcpServers" in ${path} is empty`)
  }
  return entries
}
