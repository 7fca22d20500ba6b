import t from 'tap'
import { createNumberTable } from '../../lib/number-table.ts'

t.test('what is set is found until it is deleted, and nothing else is', async t => {
  const table = createNumberTable<string>()
  for (const key of [1, 0, 923_456_789_012]) table.set(key, `value ${key}`)
  table.set(1, 'newer')
  table.delete(0)
  table.delete(0)
  table.delete(7)
  t.equal(table.size(), 2)
  t.strictSame(table.values(), ['newer', 'value 923456789012'])
  t.strictSame([0, 1, -1, 1.5, NaN, 923_456_789_012].map(table.get),
    [undefined, 'newer', undefined, undefined, undefined, 'value 923456789012'])
})
