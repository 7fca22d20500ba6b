import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { makeFolder } from './folders.ts'
import { fixture } from './paths.ts'

export interface State {
  version?: string
  tools?: string[]
  resources?: string[]
  prompts?: string[]
  instructions?: string
  ttlMs?: number
  hangs?: string
  fails?: boolean
  announces?: boolean
}

/** A server that becomes what the test says, at its next start; see test/fixtures/upgraded-server.mjs. */
export async function makeUpgradedServer (t: Test, state: State = {}) {
  const file = join(await makeFolder(t), 'state.json')
  const become = async (state: State) => await writeFile(file, JSON.stringify(state))
  await become(state)
  const linesOf = async (kind: string) =>
    (await readFile(`${file}.${kind}`, 'utf8').catch(() => '')).split('\n').slice(0, -1)
  return {
    /** Its entry in a servers file. */
    entry: { command: process.execPath, args: [fixture('upgraded-server.mjs'), file] },
    become,
    /** Lets it answer what it hangs at. */
    goOn: async () => await writeFile(`${file}.goes-on`, ''),
    starts: async () => (await linesOf('starts')).length,
    /** The requests that it got, by method. */
    asked: async (method: string) => (await linesOf('asked')).filter(line => line === method).length
  }
}
