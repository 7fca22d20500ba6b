import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import '../support/without-tap-loader.ts' // so that what is started below runs without tap's loader

const { CHAOS_SECONDS = '8', CHAOS_KILL_EVERY = '3' } = process.env

t.test('workers that are killed under load lose no session, and fail no call but their own', async t => {
  const script = join(import.meta.dirname, '..', '..', 'scripts', 'chaos.mjs')
  const env = { ...process.env, CHAOS_SECONDS, CHAOS_KILL_EVERY }
  const { stdout } = await promisify(execFile)(process.execPath, [script], { env, timeout: 170_000 }).catch((error: { stdout: string }) => error)
  t.comment(stdout)
  t.match(stdout, /^kills: [1-9]/m)
  t.match(stdout, /^failed on a worker that was killed: [1-9]/m, 'calls were running')
  t.match(stdout, /^no session is lost, nothing is left$/m)
})
