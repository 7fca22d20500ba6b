import { resolve } from 'node:path'
import type { EntryContext } from './entry-context.ts'
import { entryError } from './entry-error.ts'
import type { StdioEntry } from './entry-schema.ts'
import { findExecutable, isDirectory, isExecutable } from './executables.ts'
import type { StdioSpec } from './server-spec.ts'
import { parseTemplate, type Template } from './template.ts'

type PathContext = Pick<EntryContext, 'host' | 'sensitiveParams' | 'folder'>

/** The program of an entry and the folder where it runs. `path` is the server's own PATH. Throws EntryError. */
export function resolveCommand (
  name: string, entry: StdioEntry, path: Template | undefined, context: PathContext
): Pick<StdioSpec, 'command' | 'cwd'> {
  const program = sameForAll(name, 'command', entry.command, context)
  const said = entry.cwd === undefined ? undefined : sameForAll(name, 'cwd', entry.cwd, context)
  if (path?.sessionNames.length) {
    throw entryError(name, 'env.PATH', 'must be the same for every session: it says which command is meant')
  }
  const cwd = resolve(context.folder, said ?? '.')
  // Sentences show paths as they were written: a variable in them may be a secret.
  if (said !== undefined && !isDirectory(cwd)) {
    const written = resolve(context.folder, entry.cwd ?? '.')
    throw entryError(name, 'cwd', `must be a folder, but there is none at ${written}`)
  }
  const isPath = program.includes('/')
  const command = isPath ? resolve(cwd, program) : findExecutable(program, path?.fill({}) ?? '')
  if (command === null || !isExecutable(command)) {
    const where = isPath ? '' : ' on PATH'
    const rule = `must be an executable, but ${JSON.stringify(entry.command)} was not found${where}`
    throw entryError(name, 'command', rule)
  }
  return { command, cwd: said === undefined ? process.cwd() : cwd }
}

/** A path of the entry, its variables filled in. No session chooses what runs, or where. */
export function sameForAll (
  name: string, field: string, text: string, { host, sensitiveParams }: Omit<PathContext, 'folder'>
): string {
  const template = parseTemplate(text, host, { server: name, field, sensitiveParams })
  if (template.sessionNames.length > 0) throw entryError(name, field, 'must be the same for every session')
  return template.fill({})
}
