import t from 'tap'
import { nameList } from '../../../lib/http/name-list.ts'

t.test('names are percent-encoded, and those that do not fit are counted', async t => {
  t.equal(nameList(['a', 'b, c', 'é', '\uD800'], 100), 'a, b%2C%20c, %C3%A9, %EF%BF%BD')
  t.equal(nameList(['aaaa', 'bbbb', 'cccc'], 16), 'aaaa, bbbb, cccc')
  t.equal(nameList(['aaaa', 'bbbb', 'cccc'], 15), 'aaaa;more=2')
  t.equal(nameList(['x'.repeat(50), 'b'], 20), ';more=2')
  for (const length of [8, 30, 100, 1_024]) {
    t.ok(nameList(Array.from({ length: 500 }, (_, index) => `name ${index}`), length).length <= Math.max(length, 9))
  }
})
