import { dirname, resolve } from 'node:path'
import { ConfigError } from '../../errors.ts'
import { isJsonObject } from '../../json.ts'
import { readJsonFile } from '../../json-file.ts'
import { memberOf, readJson, textOf } from '../../json-text.ts'
import { checkEntry } from './entry-schema.ts'
import { type EntryContext, resolveEntry } from './resolve-entry.ts'
import type { ServerSpec } from './server-spec.ts'
import { checkPrefixes } from './tool-names.ts'

export type ServersFileOptions = Omit<EntryContext, 'folder' | 'serverNames' | 'textAt'>

/**
 * The servers of a `mcpServers` JSON file, in its order, without the disabled ones. The format is the one that Claude
 * Desktop and other hosts share, with fields of our own on top.
 *
 * Their prefixes tell their tools apart. Throws ConfigError that names the entry and the field, and repeats nothing
 * that could be a secret.
 */
export function readServersFile (file: string, options: ServersFileOptions): ServerSpec[] {
  const path = resolve(file)
  const { entries, textAt } = readEntries(path)
  const enabled = entries.flatMap(([name, value]) => {
    const entry = checkEntry(name, value)
    return entry === null ? [] : [[name, entry] as const]
  })
  const context = { ...options, folder: dirname(path), serverNames: enabled.map(([name]) => name), textAt }
  const specs = enabled.map(([name, entry]) => resolveEntry(name, entry, context))
  if (specs.length === 0) {
    throw new ConfigError(
      `MCP_SERVERS_FILE must name a server that is not disabled, but "mcpServers" in ${path} does not`
    )
  }
  checkPrefixes(specs)
  return specs
}

function readEntries (path: string): Pick<EntryContext, 'textAt'> & { entries: Array<[string, unknown]> } {
  let file: { text: string, value: unknown }
  try {
    file = readJsonFile(path)
  } catch (error) {
    // The error's own sentence could quote a secret of the file.
    const why = error instanceof SyntaxError ? 'is not valid JSON' : 'cannot be read'
    throw new ConfigError(`MCP_SERVERS_FILE must be a JSON file with mcpServers, but ${path} ${why}`)
  }
  const { text, value } = file
  const servers = isJsonObject(value) ? value.mcpServers : undefined
  if (!isJsonObject(servers)) {
    throw new ConfigError(`MCP_SERVERS_FILE must hold an object "mcpServers", but ${path} does not`)
  }
  const entries = Object.entries(servers)
  if (entries.length === 0) {
    throw new ConfigError(`MCP_SERVERS_FILE must name a server, but "mcpServers" in ${path} is empty`)
  }
  return { entries, textAt: (server, path) => textOfMember(text, ['mcpServers', server, ...path]) }
}

/** The text of a value that JSON.parse would give without its digits. The names lead to a member that is there. */
function textOfMember (text: string, path: readonly string[]): string {
  const document = readJson(text, path.length + 1)
  let node = document?.root ?? null
  for (const name of path) node = memberOf(node, name)
  return document === null || node === null ? 'null' : textOf(document, node)
}
