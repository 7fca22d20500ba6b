import t from 'tap'
import { build, call, initSession } from '../helper.ts'

t.test('a value that one call returned fills the next call', async t => {
  const app = await build(t)
  const session = await initSession(app)

  await call(app, session, 'keep', { name: 'value7', value: { seven: [7] } })
  const response = await call(app, session, 'recall')

  t.equal(response.statusCode, 200)
  t.strictSame(response.json(), { status: 'found', values: { value7: { seven: [7] } } })
})
