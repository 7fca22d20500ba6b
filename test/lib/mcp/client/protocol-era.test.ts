import t from 'tap'
import { createEraMemory, type Era } from '../../../../lib/mcp/client/protocol-era.ts'
import type { SharedTexts } from '../../../../lib/redis/shared-texts.ts'

const legacy: Era = { kind: 'legacy' }
const later = 700_000

function createStore () {
  const texts = new Map<string, string>()
  const asked = { read: 0, write: 0 }
  const store: SharedTexts = {
    async read (server) {
      asked.read++
      return texts.get(server) ?? null
    },
    async write (server, text) {
      asked.write++
      texts.set(server, text)
    },
    async remove (server) { texts.delete(server) }
  }
  const troubles: unknown[] = []
  const onTrouble = (error: unknown) => troubles.push(error)
  const create = (own = store) => createEraMemory({ store: own, server: 'up', onTrouble })
  return { texts, asked, troubles, create }
}

t.test('what one worker found, the others know; each looks once', async t => {
  const { create, asked } = createStore()
  const [one, other] = [create(), create()]
  t.equal(await one.recall(), null)
  await one.remember(legacy)
  t.strictSame(await other.recall(), legacy)
  for (let times = 0; times < 3; times++) t.strictSame([await one.recall(), await other.recall()], [legacy, legacy])
  t.strictSame(asked, { read: 2, write: 1 })
  await one.remember({ kind: 'legacy' })
  t.equal(asked.write, 1, 'what is known is not told again')
})

t.test('what is forgotten is forgotten for all who look again', async t => {
  const { create } = createStore()
  const [one, other] = [create(), create()]
  await one.remember(legacy)
  await one.forget()
  t.strictSame([await one.recall(), await other.recall()], [null, null])
})

t.test('after a while a worker looks again, and tells the others what it had to find out itself', async t => {
  const { create, texts } = createStore()
  const memory = create()
  await memory.remember(legacy)
  texts.clear()
  t.strictSame(await memory.recall(), legacy)
  const { now } = performance
  t.intercept(performance, 'now', { value: () => now.call(performance) + later })
  t.equal(await memory.recall(), null)
  await memory.remember(legacy)
  t.strictSame(JSON.parse(texts.get('up') ?? 'null'), legacy)
})

t.test('nonsense in the store is as good as nothing', async t => {
  for (const text of ['', '{', 'null', '7', '"legacy"', '{"kind":"future"}', '[]']) {
    const { create, texts } = createStore()
    texts.set('up', text)
    t.equal(await create().recall(), null, text)
  }
})

t.test('a store in trouble costs a question, and never a call', async t => {
  const { create, troubles } = createStore()
  const fails = async () => { throw new Error('the store is away') }
  const memory = create({ read: fails, write: fails, remove: fails })
  t.equal(await memory.recall(), null)
  await memory.remember(legacy)
  t.strictSame(await memory.recall(), legacy, 'this worker knows it all the same')
  await memory.forget()
  t.equal(await memory.recall(), null)
  t.equal(troubles.length, 4)
})
