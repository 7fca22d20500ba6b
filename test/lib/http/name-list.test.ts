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

t.test('very many and very long names are looked at as far as they fit', async t => {
  let looks = 0
  const names = Array.from({ length: 100_000 }, (_, index) => `name${index}`)
  const counted = new Proxy(names, {
    get (target, key) {
      if (typeof key === 'string' && /^\d+$/.test(key)) looks++
      return Reflect.get(target, key) as unknown
    }
  })
  t.equal(nameList(counted, 30), 'name0, name1;more=99998')
  t.ok(looks < 10, `${looks} names`)
  t.equal(nameList(['x'.repeat(50_000_000), 'b'], 30), ';more=2')
  t.equal(nameList(['a', 'x'.repeat(31)], 31), 'a;more=1')
  t.equal(nameList(['a'.repeat(31)], 31), 'a'.repeat(31))
})
