import t from 'tap'
import { runScript } from '../support/scripts.ts'

t.setTimeout(900_000)

/** `npm run load` has 10,000 for 5 minutes, and judges times and memory, too. */
const { LOAD_SESSIONS = '10000', LOAD_SECONDS = '30', LOAD_RATE = '200' } = process.env

t.test(`${LOAD_SESSIONS} live sessions are used for ${LOAD_SECONDS} s through nginx without an error`, async t => {
  const { code, output } = await runScript('../bench/load.mjs', [
    '--errors-only', `--sessions=${LOAD_SESSIONS}`, `--seconds=${LOAD_SECONDS}`, `--rate=${LOAD_RATE}`
  ])
  t.comment(output)
  t.equal(code, 0)
  t.match(output, /^held: no request of \d+ fails/m)
  t.match(output, new RegExp(`^held: ${LOAD_SESSIONS} sessions are open to the end`, 'm'))
  t.match(output, /^held: no process is left/m)
})
