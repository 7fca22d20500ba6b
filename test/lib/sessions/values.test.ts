import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import type { ValueOrigin, ValueRead } from '../../../lib/sessions/values.ts'
import { keptAs } from '../../../lib/sessions/values.ts'
import { load, openRepository, texts } from '../../support/session-repository.ts'

const at = (second: number) => new Date(second * 1_000).toISOString()
const from = (server: string, second = 1): ValueOrigin => ({ server, tool: 'make', as: 'result', at: at(second) })
const caller = (second = 1): ValueOrigin => ({ server: 'caller', as: 'put', at: at(second) })

/** A session with several servers. `read` gives the text that a value is read as, also after a load that names it. */
async function open (t: Test, options: Parameters<typeof openRepository>[1] = {}) {
  const opened = await openRepository(t, { sharesNames: false, ...options })
  const { repository, create } = opened
  await create('one')
  const session = await load(repository, 'one')
  const write = async (values: object, origin: ValueOrigin | null) =>
    await repository.write(session, { values: keptAs(texts({ ...values }), origin) })
  async function read (name: string, origins: string[], acceptsUnknown = false): Promise<string | null> {
    const reads: ValueRead[] = [{ name, from: origins, acceptsUnknown }]
    const [later] = await repository.readValues(session, reads) ?? []
    const again = await load(repository, 'one', { values: reads })
    const [atOnce] = await repository.readValues(again, reads) ?? []
    t.strictSame(atOnce, later, 'the same with the session and after it')
    return later?.text ?? null
  }
  return { ...opened, session, write, read }
}

t.test('a value of one server is read as that of no other, whatever their names are', async t => {
  const { write, read } = await open(t)
  const pairs = [['a', 'b:c'], ['a:b', 'c'], ['a%3Ab', 'c'], ['a', 'b'], ['p', 'b'], ['', 'b']] as const
  for (const [index, [server, name]] of pairs.entries()) await write({ [name]: index }, from(server))
  for (const [index, [server, name]] of pairs.entries()) {
    t.equal(await read(name, [server]), String(index), `${server} ${name}`)
  }
  t.equal(await read('b', ['caller']), null)
  t.equal(await read('b', []), null)
  t.equal(await read('b', [], true), null)
})

t.test('the latest of the values counts that may be read', async t => {
  const { write, read } = await open(t)
  await write({ n: 'a' }, from('a', 3))
  await write({ n: 'b' }, from('b', 2))
  await write({ n: 'c' }, caller(4))
  t.equal(await read('n', ['a', 'b']), '"a"')
  t.equal(await read('n', ['b', 'a']), '"a"')
  t.equal(await read('n', ['b']), '"b"')
  t.equal(await read('n', ['a', 'b', 'caller']), '"c"')
  await write({ n: 'new' }, from('b', 5))
  t.equal(await read('n', ['a', 'b', 'caller']), '"new"')
})

t.test('a value without an origin is read only where it may be, and is the oldest', async t => {
  const { client, key, write, read } = await open(t)
  await client.hset(key('one'), 'p:n', '"of an older version"')
  t.equal(await read('n', ['a', 'caller']), null)
  t.equal(await read('n', ['a', 'caller'], true), '"of an older version"')
  await write({ n: 1 }, from('a', 0))
  t.equal(await read('n', ['a', 'caller'], true), '1')
})

t.test('an older version that writes a value does not write it as the one before it', async t => {
  const { client, key, write, read } = await open(t)
  await write({ n: 'of the caller' }, caller())
  t.equal(await read('n', ['caller']), '"of the caller"')
  await client.hset(key('one'), 'p:n', '"of another server"')
  t.equal(await read('n', ['caller']), null)
  t.equal(await read('n', ['caller'], true), '"of another server"')
  t.equal(await read('question', ['caller']), '"why?"', 'what /init brought is from callers')
})

t.test('an origin that is no origin counts as none', async t => {
  const { client, key, write, read } = await open(t)
  await write({ n: 1 }, caller())
  for (const text of ['', '{}', '[]', 'odd', '{"server":7}']) {
    await client.hset(key('one'), 'o:p:n', text)
    t.equal(await read('n', ['caller']), null, text)
  }
})

t.test('values are described with their origins, and not with what they hold', async t => {
  const { repository, session, write } = await open(t)
  await write({ n: 'secret' }, from('a', 7))
  await write({ 'x:y': 1 }, from('b:c', 8))
  await repository.write(session, { values: keptAs(texts({ old: 1 }), null) })
  const described = await repository.describe(session)
  const sorted = [...described?.values ?? []].sort((a, b) => a.name.localeCompare(b.name))
  t.match(sorted, [
    { name: 'n', bytes: 8, origin: from('a', 7) },
    { name: 'old', bytes: 1, origin: null },
    { name: 'question', bytes: 6, origin: { server: 'caller', as: 'init', at: String } },
    { name: 'x:y', bytes: 1, origin: from('b:c', 8) }
  ])
  for (const { origin } of sorted) t.notOk(origin !== null && 'digest' in origin)
})

t.test('a name is removed of all origins, and no other name', async t => {
  const { client, repository, key, session, write, read } = await open(t)
  const before = await client.hget(key('one'), 'bytes')
  for (const origin of [from('a'), from('b:c'), caller()]) await write({ n: [1, 2], 'x:n': 2 }, origin)
  t.equal(await repository.removeValues(session, 'n'), 3)
  t.equal(await repository.removeValues(session, 'n'), 0)
  t.equal(await read('n', ['a', 'b:c', 'caller'], true), null)
  t.equal(await read('x:n', ['a']), '2')
  t.equal(await repository.removeValues(session, 'x:n'), 3)
  t.equal(await client.hget(key('one'), 'bytes'), before)
  const left = Object.keys(await client.hgetall(key('one'))).filter(field => field.endsWith('n'))
  t.strictSame(left.sort(), ['o:p:question', 'p:question'])
  await repository.remove({ id: 'one', client: null })
  t.equal(await repository.removeValues(session, 'n'), null)
})

t.test('sealed values keep their origins, also when they are sealed anew', async t => {
  const [k1, k2] = ['k1', 'k2'].map(id => ({ id, key: randomBytes(32) }))
  if (k1 === undefined || k2 === undefined) throw new Error('no keys')
  const keyPrefix = `test-${crypto.randomUUID()}`
  const first = await open(t, { encryptionKeys: [k1], keyPrefix })
  await first.write({ n: 1 }, from('a'))
  await first.write({ m: 2 }, caller())
  const { repository } = await openRepository(t, { sharesNames: false, encryptionKeys: [k2, k1], keyPrefix })
  await repository.reseal(await load(repository, 'one'))
  const { repository: later } = await openRepository(t, { sharesNames: false, encryptionKeys: [k2], keyPrefix })
  const reads = [{ name: 'n', from: ['a'] }, { name: 'm', from: ['caller'] }, { name: 'question', from: ['caller'] }]
  const values = await later.readValues(await load(later, 'one'), reads.map(read => ({ ...read, acceptsUnknown: false })))
  t.strictSame(values?.map(value => value?.text), ['1', '2', '"why?"'])
  t.match(await first.client.hget(first.key('one'), 'v:a:n'), /^s1\.k2\./)
})

t.test('values beyond what a script can read are read after the session', async t => {
  const { repository, write } = await open(t)
  const names = Array.from({ length: 3_000 }, (_, index) => `n${index}`)
  await write({ n0: 0, n2999: 2_999 }, from('a'))
  const reads = names.map(name => ({ name, from: ['a', 'caller'], acceptsUnknown: false }))
  const session = await load(repository, 'one', { values: reads })
  const values = await repository.readValues(session, reads)
  t.strictSame(values?.flatMap(value => value?.text ?? []), ['0', '2999'])
})
