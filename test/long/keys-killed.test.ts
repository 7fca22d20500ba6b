import t from 'tap'
import { runScript } from '../support/scripts.ts'

t.setTimeout(900_000)

/** Each step of a call once. `npm run keys-soak` has 200. */
const { KEYS_KILLS = '7' } = process.env

t.test('a call whose worker is killed at any of its steps is not made again by the same request', async t => {
  const { code, output } = await runScript('keys-soak.mjs', [], { KEYS_KILLS })
  t.comment(output)
  t.equal(code, 0)
  t.match(output, /^killed when the tool acts: the tool acted [1-9]/m)
  t.match(output, /^sent again: MCPC_ERR_OUTCOME_UNKNOWN, [1-9]/m)
  t.match(output, /^no call was made twice$/m)
})
