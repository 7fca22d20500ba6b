import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'

/** A servers file of these entries, gone when the test is over. */
export async function serversFile (t: Test, mcpServers: Record<string, object>): Promise<string> {
  const file = join(t.testdir({}), 'servers.json')
  await writeFile(file, JSON.stringify({ mcpServers }))
  return file
}
