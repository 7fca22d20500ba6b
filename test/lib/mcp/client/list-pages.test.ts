import t from 'tap'
import { readJson } from '../../../../lib/json-text.ts'
import { type ListName, readPages } from '../../../../lib/mcp/client/list-pages.ts'
import { serverBounds } from '../../../support/bounds.ts'

/** A page as it comes: the text of a result. */
function pageOf (text: string) {
  const document = readJson(text, 3)
  if (document === null) throw new Error(`${text} is no JSON`)
  return { document, node: document.root }
}

/** A server that gives the pages one after another, and counts how often it was asked. */
function serverOf (pages: Iterable<string>) {
  const rest = pages[Symbol.iterator]()
  const server = {
    asked: 0,
    fetchPage: async () => {
      server.asked++
      const { value = '{}' } = rest.next() as { value?: string }
      return pageOf(value)
    }
  }
  return server
}

const read = (list: ListName, pages: Iterable<string>, bounds: Partial<typeof serverBounds>) =>
  readPages(list, { ...serverBounds, ...bounds }, serverOf(pages).fetchPage)

const tool = (name: number | string) => ({ name: String(name) })
const tools = (count: number, first = 0) => Array.from({ length: count }, (_, index) => tool(first + index))
const page = (items: unknown, nextCursor?: string) => JSON.stringify({ tools: items, nextCursor })
function * endless (items: (page: number) => unknown) {
  for (let number = 0; ; number++) yield page(items(number), `page ${number}`)
}

t.test('a list that is longer than its bounds fails, whatever makes it long, and the sentence names the bound', async t => {
  const bytes = 'it is longer than MCP_MAX_LIST_BYTES, 1000 bytes'
  const items = 'it has more than MCP_MAX_LIST_ITEMS, 10 items'
  for (const [what, pages, message] of [
    ['one page with too many bytes', [page([{ name: 'a', description: 'x'.repeat(1_000) }])], bytes],
    ['a description of many bytes and few characters', [page([{ name: 'a', description: '€'.repeat(400) }])], bytes],
    ['a member that nobody uses', [JSON.stringify({ tools: [], _meta: { noise: 'x'.repeat(1_000) } })], bytes],
    ['white space', [`{"tools":[${' '.repeat(1_000)}]}`], bytes],
    ['a cursor', [page([], 'c'.repeat(1_000))], bytes],
    ['many small pages', endless(() => [{ name: 'same', description: 'x'.repeat(50) }]), bytes],
    ['pages that have nothing but another cursor', endless(() => []), bytes],
    ['one page with too many items', [page(tools(11))], items],
    ['pages that have too many together', endless(number => tools(3, 3 * number)), items],
    ['one item again and again', [page(Array.from({ length: 11 }, () => tool('same')))], items],
    ['items that are none', [page(Array.from({ length: 11 }, () => 1))], items],
    ['items without a name', endless(() => [{}, { name: null }]), items]
  ] as const) {
    const reading = read('tools', pages, { maxListBytes: 1_000, maxListItems: 10 })
    await t.rejects(reading, { name: 'BoundError', message }, what)
  }
})

t.test('a list is asked for no further than its bound', async t => {
  const server = serverOf(endless(number => tools(3, 3 * number)))
  await t.rejects(readPages('tools', { ...serverBounds, maxListItems: 10 }, server.fetchPage))
  t.equal(server.asked, 4)
})

t.test('a list that is as long as its bounds is read, every item of it', async t => {
  const pages = [page(tools(5), 'next'), page(tools(5, 5))]
  const maxListBytes = Buffer.byteLength(pages.join(''))
  const { items } = await read('tools', pages, { maxListBytes, maxListItems: 10 })
  t.strictSame(items.map(({ value }) => value.name), tools(10).map(({ name }) => name))
  await t.rejects(read('tools', pages, { maxListBytes: maxListBytes - 1 }))
})

t.test('every list is bounded', async t => {
  const message = 'it has more than MCP_MAX_LIST_ITEMS, 1 items'
  for (const list of ['tools', 'resources', 'resourceTemplates', 'prompts'] as const) {
    await t.rejects(read(list, [JSON.stringify({ [list]: [{}, {}] })], { maxListItems: 1 }), { message }, list)
  }
})

t.test('a bound is of one list: the next one begins anew', async t => {
  const pages = [page(tools(6))]
  for (let times = 0; times < 3; times++) t.equal((await read('tools', pages, { maxListItems: 10 })).items.length, 6)
})

t.test('a long list leaves the event loop to others while it is parsed', async t => {
  let turns = 0
  const count = () => {
    turns++
    counting = setImmediate(count)
  }
  let counting = setImmediate(count)
  t.teardown(() => clearImmediate(counting))
  const long = Array.from({ length: 8 }, (_, index) => ({ ...tool(index), description: 'd'.repeat(1_000_000) }))
  const pages = [page(long)]
  const before = turns
  const { items } = await read('tools', pages, { maxListBytes: 100_000_000 })
  t.strictSame(items.map(({ value }) => value), long)
  t.ok(turns - before > 3, `${turns - before} turns`)
})

t.test('the first of equal names is listed, however they are written', async t => {
  const text = '{"tools":[{"name":"a","n":1},{"n":2,"name":"\\u0061"},{"name":"b","name":"c"},{"name":""},{"name":7}]}'
  const { items, warnings } = await read('tools', [text], {})
  t.strictSame(items.map(({ text }) => text), ['{"name":"a","n":1}', '{"name":"b","name":"c"}'])
  t.equal(items[1]?.value.name, 'c')
  t.strictSame(warnings, ['tools[3] has no name', 'tools[4] has no name'])
})
