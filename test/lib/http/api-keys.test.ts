import { createHash } from 'node:crypto'
import t from 'tap'
import { nameOfKey, parseApiKeys } from '../../../lib/http/api-keys.ts'

const hash = (key: string) => createHash('sha256').update(key).digest('hex')
const pair = (name: string, key: string) => `${name}:${hash(key)}`

t.test('keys are pairs with commas, spaces or lines between, with hashes in either case', async t => {
  const [one, two, three] = [
    pair('a', 'one'), pair('B-2_c', 'two').replace(/:.*/, text => text.toUpperCase()), pair('a', 'three')
  ]
  for (const text of [`${one},${two},${three}`, `${one} ${two} ${three}`, ` ${one} ,\n\t${two},,\r\n${three}, `]) {
    const keys = parseApiKeys(text) ?? []
    t.strictSame(['one', 'two', 'three'].map(key => nameOfKey(keys, key)), ['a', 'B-2_c', 'a'], text)
  }
})

t.test('a list with a wrong pair gives no keys', async t => {
  const good = pair('billing', 'one')
  const bad = [
    '', ' ', ',', 'billing', 'billing:', `:${hash('one')}`, hash('one'), good.slice(0, -1), `${good}0`,
    good.replace(/.$/, 'g'), `${good};${good}`,
    `bil ling:${hash('one')}`, `bílling:${hash('one')}`, `${'x'.repeat(65)}:${hash('one')}`, `${good},mcpk_key`,
    `"${good}"`, `a:b:${hash('one')}`
  ]
  for (const text of bad) t.equal(parseApiKeys(text), null, text)
  t.not(parseApiKeys(`${'x'.repeat(64)}:${hash('one')}`), null, 'the longest name')
})

t.test('the hash of the empty text, and a hash that is there twice, give no keys', async t => {
  const [nothing, some] = ['', 'some'].map(text => createHash('sha256').update(text).digest('hex'))
  t.equal(parseApiKeys(`a:${nothing}`), null)
  t.equal(parseApiKeys(`a:${some},b:${some}`), null)
  t.equal(parseApiKeys(`a:${some},a:${some}`), null)
})

t.test('a key is whose hash it has, and nobody\'s when it has none of them', async t => {
  const keys = parseApiKeys(`${pair('old', 'one')},${pair('new', 'two')}`) ?? []
  t.equal(nameOfKey(keys, 'one'), 'old')
  t.equal(nameOfKey(keys, 'two'), 'new')
  for (const presented of [
    '', 'One', 'one ', ' one', 'one,two', hash('one'), pair('old', 'one'), 'ő'.repeat(5_000)
  ]) t.equal(nameOfKey(keys, presented), null, presented)
})
