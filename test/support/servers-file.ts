import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { makeFolder } from './folders.ts'

/** Entries of a servers file, by name. */
export type Entries = Record<string, Record<string, unknown>>

/** Placeholders of the servers file: for a credential of the session, and for a variable of the operator's. */
export const credential = (name: string) => `\${session.${name}}`
export const variable = (name: string) => `\${env.${name}}`

/** What holds where an entry says nothing of values, as the service has it without settings. */
export const policyDefaults = { values: 'none', validation: 'warn' } as const

/** A servers file of these entries. */
export async function serversFile (t: Test, mcpServers: Entries): Promise<string> {
  const file = join(await makeFolder(t), 'servers.json')
  await writeFile(file, JSON.stringify({ mcpServers }))
  return file
}
