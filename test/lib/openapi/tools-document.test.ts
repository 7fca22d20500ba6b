import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { createToolsDocuments } from '../../../lib/openapi/tools-document.ts'
import { thousandTools } from '../../support/thousand-tools.ts'

const own = { openapi: '3.1.0', info: {}, servers: [], paths: {}, components: {} }
const tools = thousandTools().map(tool => ({ name: tool.name, text: JSON.stringify(tool), tag: 'a', givesStructured: true }))

/** The turns of the event loop that others get until a promise settles. */
async function turnsUntil (work: Promise<unknown>): Promise<number> {
  const seen = { turns: 0, isOver: false }
  const end = work.finally(() => { seen.isOver = true })
  while (!seen.isOver) {
    await setImmediate()
    seen.turns++
  }
  await end
  return seen.turns
}

t.test('a thousand tools are described in many turns of the event loop, and once', async t => {
  const describe = createToolsDocuments()
  const list = {}
  const make = (count: number, memory: object) => describe(
    [{ server: 's', tools: tools.slice(0, count), list: memory }], { own, anyTool: '/tools/{tool}', notes: [], isToolsOnly: false }
  )
  const few = await turnsUntil(make(2, {}))
  const many = await turnsUntil(make(1_000, list))
  t.ok(few <= 2, `${few} turns for two tools`)
  t.ok(many > few + 5, `${many} turns for a thousand`)
  const again = await turnsUntil(make(1_000, list))
  t.ok(again < many / 2, `${again} turns for what is remembered`)
  const document = JSON.parse(await make(1_000, list)) as typeof own
  t.equal(Object.keys(document.paths).length, 1_000)
})
