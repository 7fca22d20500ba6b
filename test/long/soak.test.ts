import t from 'tap'
import { runScript } from '../support/scripts.ts'

t.setTimeout(900_000)

/** `npm run soak` makes 10,000. */
const calls = process.env.SOAK_CALLS ?? '500'

t.test(
  `after ${calls} calls that succeed, fail, crash, hang, or are left by their caller, nothing is left`,
  async t => {
    const { code, output } = await runScript('soak.mjs', [calls, '50'])
    t.comment(output)
    t.equal(code, 0)
    t.match(output, /^nothing is left$/m)
  }
)
