import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** An empty folder that nobody else knows. The test's end removes it. */
export async function makeFolder (t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}
