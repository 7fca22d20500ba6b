import t from 'tap'
import { runScript } from '../support/scripts.ts'

t.setTimeout(900_000)

const { CHAOS_SECONDS = '30', CHAOS_KILL_EVERY = '8' } = process.env

t.test('workers that are killed under load lose no session, and fail no call but their own', async t => {
  const { code, output } = await runScript('chaos.mjs', [], { CHAOS_SECONDS, CHAOS_KILL_EVERY })
  t.comment(output)
  t.equal(code, 0)
  t.match(output, /^kills: [1-9]/m)
  t.match(output, /^failed on a worker that was killed: [1-9]/m, 'calls were running')
  t.match(output, /^no session is lost, nothing is left$/m)
})
