import { Readable } from 'node:stream'
import t from 'tap'
import { readBody } from '../../../../lib/mcp/transports/body-reader.ts'
import { createEventReader } from '../../../../lib/mcp/transports/event-stream.ts'

async function read (chunks: Array<string | Buffer>, maxEventBytes = 100) {
  const events: string[] = []
  const ids: string[] = []
  const retries: number[] = []
  await readBody(Readable.from(chunks.map(chunk => Buffer.from(chunk))), createEventReader({
    maxEventBytes,
    onEvent ({ id, data }) {
      events.push(data)
      if (id !== undefined) ids.push(id)
    },
    onRetry: milliseconds => retries.push(milliseconds)
  }))
  return { events, ids, retries }
}

const bytesOf = (text: string) => [...Buffer.from(text)].map(byte => Buffer.from([byte]))

t.test('events are read however they are cut into pieces, characters included', async t => {
  const text = 'retry: 20\n\nid: 7\ndata: Zürich 🙂\n\ndata: two\ndata: lines\r\n\r\n'
  const expected = { events: ['Zürich 🙂', 'two\nlines'], ids: ['7'], retries: [20] }
  t.strictSame(await read([text]), expected)
  t.strictSame(await read(bytesOf(text)), expected)
})

t.test('lines may end with LF, CR LF or a lone CR, mixed and split anywhere', async t => {
  for (const text of [
    'data: a\n\ndata: b\n\n', 'data: a\r\n\r\ndata: b\r\n\r\n', 'data: a\r\rdata: b\r\r', 'data: a\r\n\ndata: b\r\r\n',
    '\ufeffdata: a\n\ndata: b\n\n', '\ufeff: hello\r\rdata: a\r\revent: x\rdata: b\r\r', 'data:a\n\ndata:b\n\n'
  ]) {
    t.strictSame((await read([text])).events, ['a', 'b'], JSON.stringify(text))
    t.strictSame((await read(bytesOf(text))).events, ['a', 'b'], `${JSON.stringify(text)}, byte by byte`)
  }
})

t.test('an event that ends in lone carriage returns is there at once', async t => {
  for (const end of ['\r\r', '\r\n\r\n', '\n\n', '\r\n\r']) {
    const events: string[] = []
    const reader = createEventReader({ maxEventBytes: 100, onEvent: ({ data }) => events.push(data) })
    reader.push(Buffer.from(`data: now${end}`))
    t.strictSame(events, ['now'], JSON.stringify(end))
  }
})

t.test('the last event may lack its blank line, and its line break', async t => {
  for (const text of ['data: a\n\ndata: b\n', 'data: a\n\ndata: b', 'data: a\r\n\r\ndata: b\r', 'data: a\r\rdata: b']) {
    t.strictSame((await read([text])).events, ['a', 'b'], JSON.stringify(text))
  }
  t.strictSame((await read(['id: 1\ndata: a\n\nid: 2\ndata: {"cut'])).ids, ['1'], 'a stream is not resumed after it')
})

t.test('an event that is too long breaks the stream off; many short ones and heart-beats do not', async t => {
  await t.rejects(read([`data: ${'x'.repeat(60)}`, 'x'.repeat(60), '\n\n']), {
    name: 'BoundError', message: 'a message is longer than 100 bytes (MCP_MAX_RESULT_BYTES)'
  })
  await t.rejects(read(['data: x\n'.repeat(30)]), { name: 'BoundError' }, 'a long one of short lines')
  t.equal((await read(Array.from({ length: 50 }, () => `data: ${'x'.repeat(40)}\n\n`))).events.length, 50)
  t.strictSame((await read([...Array.from({ length: 50 }, () => ': heart-beat\n\n'), 'data: x\n\n'])).events, ['x'])
})

t.test('what goes wrong with an event breaks the stream off', async t => {
  const reader = createEventReader({ maxEventBytes: 100, onEvent () { throw new Error('not this one') } })
  await t.rejects(readBody(Readable.from([Buffer.from('data: x\n\n')]), reader), { message: 'not this one' })
})
