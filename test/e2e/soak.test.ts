import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import '../helper.ts' // so that what is started below runs without tap's loader

t.test('after 500 calls that succeed, fail, crash, hang, or are left by their caller, nothing is left', async t => {
  const script = join(import.meta.dirname, '..', '..', 'scripts', 'soak.mjs')
  const { stdout } = await promisify(execFile)(process.execPath, [script, '500', '50'], { timeout: 170_000 }).catch((error: { stdout: string }) => error)
  t.comment(stdout)
  t.match(stdout, /^nothing is left$/m)
})
