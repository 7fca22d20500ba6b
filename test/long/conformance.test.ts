import t from 'tap'
import { runScript } from '../support/scripts.ts'

t.setTimeout(900_000)

t.test('the service passes every client scenario of the official conformance suite that applies to it', async t => {
  const { code, output } = await runScript('conformance.mjs')
  t.comment(output)
  t.equal(code, 0)
  t.match(output, /^[1-9]\d* passed, 0 failed,/m)
})
