import t from 'tap'
import { withoutItsMessage } from '../../../lib/tools/long-result.ts'

const resultOf = (body: string, outputs: Array<[string, string]> = []) => ({
  body, outcome: 'ok' as const, form: 'json' as const, leftOut: [], outputs: new Map(outputs), tooMany: []
})

t.test('a long body is given as its bytes in UTF-8, whatever it is made of', async t => {
  const length = 1_048_576
  const ascii = 'a'.repeat(length)
  const bodies = [
    ascii, `${ascii}é`, `é${ascii}`, `${ascii}☃`, `☃${ascii}`, '𝄞'.repeat(length), `${ascii}\ud834`, 'Ł'.repeat(length),
    `${'a'.repeat(length - 1)}é`, `${'a'.repeat(length - 1)}☃`, `${'a'.repeat(length - 2)}𝄞`
  ]
  for (const [index, text] of bodies.entries()) {
    const { body } = withoutItsMessage(resultOf(text), length)
    t.ok(Buffer.isBuffer(body))
    t.ok(Buffer.from(text).equals(body as Buffer), `body ${index}`)
  }
  t.equal(withoutItsMessage(resultOf('short'), length).body, 'short')
})
