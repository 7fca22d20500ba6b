import t from 'tap'
import { isResponse, parseMessage, parseMessages } from '../../../../lib/mcp/transports/json-rpc.ts'

const note = { jsonrpc: '2.0' as const, method: 'notifications/progress' }
const answer = { jsonrpc: '2.0' as const, id: 1, result: {} }
const noMessages = [null, 7, 'text', [], {}, { jsonrpc: '1.0' }, { jsonrpc: 2 }, { method: 'ping' }]

t.test('a text is a message when it is JSON of version 2.0', async t => {
  t.strictSame(parseMessage(JSON.stringify(answer)), answer)
  for (const value of noMessages) t.equal(parseMessage(JSON.stringify(value)), null, JSON.stringify(value))
  for (const text of ['', '{', '<html>', 'Starting …']) t.equal(parseMessage(text), null, text)
  t.equal(parseMessage(JSON.stringify([answer])), null, 'a batch is no message')
})

t.test('a batch is its messages, without what is none', async t => {
  t.strictSame(parseMessages(JSON.stringify(answer)), [answer])
  t.strictSame(parseMessages(JSON.stringify([note, ...noMessages, answer])), [note, answer])
  for (const value of noMessages) t.strictSame(parseMessages(JSON.stringify(value)), [], JSON.stringify(value))
})

t.test('a text that is not JSON is not quoted', async t => {
  for (const text of ['', '{canary', '<canary>']) {
    t.throws(() => parseMessages(text), { message: 'what came is not JSON', cause: undefined }, text)
  }
})

t.test('an answer has a result or an error, and nothing beside it', async t => {
  t.ok(isResponse(answer))
  t.ok(isResponse({ jsonrpc: '2.0', id: 1, error: { code: 1, message: 'no' } }))
  t.notOk(isResponse(note))
  for (const text of ['{"id":1,"result":null}', '{"id":1,"result":{},"more":1}', '{"id":1,"error":null}']) {
    const message = parseMessage(JSON.stringify({ jsonrpc: '2.0', ...JSON.parse(text) }))
    t.notOk(message === null || isResponse(message), text)
  }
})
