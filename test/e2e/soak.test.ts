import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import '../support/without-tap-loader.ts' // so that what is started below runs without tap's loader

/** A short run by default; .ci/run says 500, and `npm run soak` makes 10,000. */
const calls = process.env.SOAK_CALLS ?? '200'

t.test(`after ${calls} calls that succeed, fail, crash, hang, or are left by their caller, nothing is left`, async t => {
  const script = join(import.meta.dirname, '..', '..', 'scripts', 'soak.mjs')
  const { stdout } = await promisify(execFile)(process.execPath, [script, calls, '50'], { timeout: 170_000 }).catch((error: { stdout: string }) => error)
  t.comment(stdout)
  t.match(stdout, /^nothing is left$/m)
})
