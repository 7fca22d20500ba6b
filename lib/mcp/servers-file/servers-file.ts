import { dirname, resolve } from 'node:path'
import { ConfigError } from '../../errors.ts'
import { isJsonObject } from '../../json.ts'
import { readEntriesFile } from './entries-file.ts'
import type { EntryContext } from './entry-context.ts'
import { EntryError, entryError } from './entry-error.ts'
import { checkEntry, knownFields } from './entry-schema.ts'
import { createFaultySpec, settlePrefixes } from './faulty-entry.ts'
import { isSwitchedOff, type MemberNote, translateEntry } from './other-hosts.ts'
import { resolveEntry } from './resolve-entry.ts'
import type { ServerSpec } from './server-spec.ts'

/** Something of the file that is not used. Without `server` it stands beside the entries. */
export interface ServersFileNote extends MemberNote { server?: string }

export interface ServersFileOptions extends Omit<EntryContext, 'folder' | 'serverNames' | 'textAt'> {
  /** An entry with a fault makes the whole file one that cannot be used. */
  isStrict?: boolean
  /** Gets what is not used of entries that are. */
  tell?: (note: ServersFileNote) => void
}

/** An entry that is not disabled. `resolve` throws EntryError. */
interface ReadEntry {
  name: string
  value: unknown
  notes: readonly MemberNote[]
  resolve: (context: EntryContext) => ServerSpec
}

/**
 * The servers of a `mcpServers` JSON file, in its order, without the disabled ones. The format is the one that Claude
 * Desktop and other hosts share, with fields of our own on top.
 *
 * An entry with a fault is a spec of the kind `faulty`. Throws ConfigError when every entry has one, and for a fault of
 * the whole file. It names the entry and the field, and repeats nothing that could be a secret.
 */
export function readServersFile (file: string, options: ServersFileOptions): ServerSpec[] {
  const path = resolve(file)
  const { entries, textAt, notes } = readEntriesFile(path)
  const { isStrict = false, tell = () => {}, ...rest } = options
  const read = entries.flatMap(([name, value]) => readEntry(name, value, names => textAt(name, names)) ?? [])
  if (read.length === 0) {
    throw new ConfigError(`MCP_SERVERS_FILE must name a server that is not disabled, but ${path} does not`)
  }
  const context = { ...rest, folder: dirname(path), serverNames: read.map(({ name }) => name), textAt }
  const faults = new Map<string, EntryError>()
  const specs = settlePrefixes(
    read.map(entry => resolveOrFault(entry, context, fault => faults.set(fault.server, fault))),
    fault => faults.set(fault.server, fault)
  )
  const [first, ...others] = read.flatMap(({ name }) => faults.get(name) ?? [])
  if (first !== undefined && (isStrict || faults.size === specs.length)) {
    throw others.length === 0 ? first : new ConfigError([first, ...others].map(({ message }) => message).join('; '))
  }
  notes.forEach(tell)
  for (const { name: server, notes } of read) {
    if (!faults.has(server)) notes.forEach(note => tell({ server, ...note }))
  }
  return specs
}

/** `null` for an entry that is disabled. */
function readEntry (name: string, value: unknown, textAt: (path: readonly string[]) => string): ReadEntry | null {
  try {
    if (!isJsonObject(value)) throw entryError(name, 'entry', 'must be an object')
    if (isSwitchedOff(name, value)) return null
    const { entry, notes, writtenAs } = translateEntry(name, value, { ours: knownFields, textAt })
    const checked = asWritten(writtenAs, () => checkEntry(name, entry))
    return { name, value, notes, resolve: context => asWritten(writtenAs, () => resolveEntry(name, checked, context)) }
  } catch (error) {
    if (!(error instanceof EntryError)) throw error
    return { name, value, notes: [], resolve: () => { throw error } }
  }
}

function resolveOrFault (
  { name, value, resolve }: ReadEntry, context: EntryContext, onFault: (fault: EntryError) => void
): ServerSpec {
  try {
    return resolve(context)
  } catch (error) {
    if (!(error instanceof EntryError)) throw error
    onFault(error)
    return createFaultySpec(name, value, error.reason, context)
  }
}

/** Does `work`. Its EntryError names the field as the operator has written it. */
function asWritten<Value> (writtenAs: ReadonlyMap<string, string>, work: () => Value): Value {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof EntryError)) throw error
    const [name = ''] = /^\w+/.exec(error.field) ?? []
    throw entryError(error.server, `${writtenAs.get(name) ?? name}${error.field.slice(name.length)}`, error.rule)
  }
}
