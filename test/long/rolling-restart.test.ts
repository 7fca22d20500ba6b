import t from 'tap'
import { runScript } from '../support/scripts.ts'

t.setTimeout(900_000)

const { ROLLING_RATE = '60', ROLLING_SESSIONS = '300' } = process.env

t.test('workers that are restarted one after the other behind nginx fail no request and lose no session', async t => {
  const { code, output } = await runScript('../bench/rolling-restart.mjs', [
    `--rate=${ROLLING_RATE}`, `--sessions=${ROLLING_SESSIONS}`
  ])
  t.comment(output)
  t.equal(code, 0)
  t.equal(output.match(/^worker \d+ was restarted in \d+ ms, exit code 0$/mg)?.length, 4)
  t.match(output, /^held: no request of \d+ fails/m)
  t.match(output, new RegExp(`^held: no session of ${ROLLING_SESSIONS} is lost`, 'm'))
  t.match(output, /^held: no process is left/m)
})
