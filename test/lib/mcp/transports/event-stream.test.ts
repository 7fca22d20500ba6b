import { Readable } from 'node:stream'
import t from 'tap'
import { readEvents } from '../../../../lib/mcp/transports/event-stream.ts'
import type { Body } from '../../../../lib/mcp/transports/http-request.ts'

async function read (chunks: Array<string | Buffer>, maxEventBytes = 100) {
  const events: string[] = []
  const retries: number[] = []
  await readEvents(Readable.from(chunks.map(chunk => Buffer.from(chunk))) as unknown as Body, {
    maxEventBytes, onEvent: ({ data }) => events.push(data), onRetry: milliseconds => retries.push(milliseconds)
  })
  return { events, retries }
}

t.test('events are read however they are cut into pieces, characters included', async t => {
  const text = Buffer.from('retry: 20\n\ndata: Zürich 🙂\n\ndata: two\ndata: lines\r\n\r\n')
  const expected = { events: ['Zürich 🙂', 'two\nlines'], retries: [20] }
  t.strictSame(await read([text]), expected)
  t.strictSame(await read([...text].map(byte => Buffer.from([byte]))), expected)
})

t.test('an event that is too long breaks the stream off; many short ones and heart-beats do not', async t => {
  await t.rejects(read([`data: ${'x'.repeat(60)}`, 'x'.repeat(60), '\n\n']), {
    name: 'RangeError', message: 'a message is longer than 100 bytes'
  })
  await t.rejects(read(['data: x\n'.repeat(30)]), RangeError, 'a long one of short lines')
  t.equal((await read(Array.from({ length: 50 }, () => `data: ${'x'.repeat(40)}\n\n`))).events.length, 50)
  t.strictSame((await read([...Array.from({ length: 50 }, () => ': heart-beat\n\n'), 'data: x\n\n'])).events, ['x'])
})

t.test('what goes wrong with an event breaks the stream off', async t => {
  await t.rejects(
    readEvents(Readable.from([Buffer.from('data: x\n\n')]) as unknown as Body, {
      maxEventBytes: 100, onEvent () { throw new Error('not this one') }
    }),
    { message: 'not this one' }
  )
})
