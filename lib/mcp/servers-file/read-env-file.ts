import { resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { mapValues } from '../../json.ts'
import { readTextFile } from '../../secret-file.ts'
import type { EntryContext } from './entry-context.ts'
import { entryError } from './entry-error.ts'
import type { StdioEntry } from './entry-schema.ts'
import { sameForAll } from './resolve-command.ts'
import { secretLiteral, type Template } from './template.ts'

/**
 * The variables in the file that `envFile` names, in the form of a `.env` as Node reads it. Placeholders in it stand
 * for themselves. All of its values are taken for secrets. Throws EntryError, which repeats nothing of the file.
 */
export function readEnvFile (
  name: string, { envFile }: StdioEntry, context: Pick<EntryContext, 'host' | 'sensitiveParams' | 'folder'>
): Record<string, Template> {
  if (envFile === undefined) return {}
  const read = readTextFile(resolve(context.folder, sameForAll(name, 'envFile', envFile, context)))
  if ('fault' in read) {
    const written = JSON.stringify(resolve(context.folder, envFile))
    const rule = `must be a text file with lines of the form NAME=value, but ${written} ${read.fault}`
    throw entryError(name, 'envFile', rule)
  }
  const variables = parseEnv(read.value) as Record<string, string>
  checkVariableNames(name, 'envFile', variables)
  return mapValues(variables, secretLiteral)
}

/** Throws EntryError, which does not repeat the name: who forgets a line break writes a secret there. */
export function checkVariableNames (server: string, field: string, variables: Readonly<Record<string, string>>): void {
  if (Object.keys(variables).every(name => /^[\x21-\x3c\x3e-\x7e]+$/.test(name))) return
  throw entryError(server, field, 'must have names without =, spaces and control characters')
}
