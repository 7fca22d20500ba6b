import fc from 'fast-check'
import t from 'tap'
import { textOf } from '../../../../lib/json-text.ts'
import { readMessages, type RpcMessage } from '../../../../lib/mcp/client/rpc-message.ts'

/** A message in a form that a test can compare. */
function shown (message: RpcMessage): unknown {
  const { kind } = message
  if (kind === 'result') return [kind, message.id, textOf(message.result.document, message.result.node)]
  if (kind === 'failure') return [kind, message.id, message.failure]
  if (kind === 'unusable') return [kind, message.id]
  if (kind === 'request') return [kind, message.idText, message.method]
  return [kind, message.method, message.params && textOf(message.params.document, message.params.node)]
}
const read = (text: string) => readMessages(text)?.map(shown) ?? null

const wellText = '{"jsonrpc":"2.0","id":7,"result":{"ok":1}}'
const well = [['result', 7, '{"ok":1}']]

t.test('a message is found in whatever stands around it', async t => {
  for (const text of [
    wellText, `\ufeff${wellText}`, `${wellText}\r`, `  ${wellText}  `, `>>> ${wellText}`, `$ \u001b[0m${wellText}`,
    `mcp> ${wellText}\r`, `[${wellText}]`, '{"id":7,"result":{"ok":1}}', '{"jsonrpc":2.0,"id":7,"result":{"ok":1}}',
    '{"jsonrpc":null,"id":7,"result":{"ok":1}}', '{"jsonrpc":"2.0","id":"7","result":{"ok":1},"error":null}',
    '{"jsonrpc":"2.0","id":7,"result":{"ok":1},"error":{}}', '{"jsonrpc":"2.0","id":7,"result":{"ok":1},"error":false}',
    '{"jsonrpc":"2.0","id":7,"method":null,"result":{"ok":1}}', '{"id":7,"result":{"ok":1},"took_ms":3}', '{"jsonrpc":"2.0","id":7,"result":{"ok":1},"took_ms":3}'
  ]) t.strictSame(read(text), well, text)
})

t.test('a batch has all its messages, in their order', async t => {
  t.strictSame(read(`[{"jsonrpc":"2.0","method":"a"}, 7, null, ${wellText}, {"jsonrpc":"2.0","id":"x","method":"ping"}]`), [
    ['notification', 'a', null], ...well, ['request', '"x"', 'ping']
  ])
})

t.test('a number that is none is null, and no other digit changes', async t => {
  t.strictSame(read('{"jsonrpc":"2.0","id":7,"result":{"mean":NaN,"top":[-Infinity,Infinity],"n":1915883588174806058,"s":"NaN"}}'), [
    ['result', 7, '{"mean":null,"top":[null,null],"n":1915883588174806058,"s":"NaN"}']
  ])
})

t.test('an error beside a result counts when it says something', async t => {
  t.strictSame(read('{"jsonrpc":"2.0","id":7,"result":{"ok":1},"error":{"code":-32000,"message":"no"}}'), [
    ['failure', 7, { code: -32000, message: 'no' }]
  ])
})

t.test('text that is no message is none', async t => {
  for (const text of [
    'Listening on port 3000', '{"level":30,"msg":"ready"}', '{"id":7}x', '"jsonrpc"', '{"jsonrpc":"2.0"}', '{', '[[]]',
    '{"result":{"ok":1},"took":3}'
  ]) t.equal(read(text), null, text)
})

t.test('any text is read without an error', async () => {
  const pieces = fc.array(fc.constantFrom(
    '{', '}', '[', ']', ',', ':', '"', '\\', '"jsonrpc"', '"2.0"', '"id"', '7', 'null', '"result"', '"error"', '"method"', 'NaN', ' ', '\ufeff', 'x'
  ), { maxLength: 24 })
  fc.assert(fc.property(fc.oneof(pieces.map(list => list.join('')), fc.string({ unit: 'binary' })), text => {
    readMessages(text)
  }), { numRuns: 5_000 })
})

t.test('nesting as deep as a message can be takes no stack', async t => {
  const deep = `${'['.repeat(500_000)}${']'.repeat(500_000)}`
  t.strictSame(read(`{"jsonrpc":"2.0","id":7,"result":{"deep":${deep}}}`), [['result', 7, `{"deep":${deep}}`]])
})

t.test('structured content is not listed, however much of it there is', async t => {
  const many = Array.from({ length: 2_000 }, (_, index) => `[${index},"${index}"]`).join(',')
  for (const structured of [`[${many}]`, `{"rows":[${many}],"n":1e400}`, `{"a":{"b":[${many}]}}`, ` [ ${many} ] `]) {
    for (const name of ['structuredContent', 'structured\\u0043ontent']) {
      const text = `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"a"}],"${name}":${structured}}}`
      const [message] = readMessages(text, 100) ?? []
      if (message?.kind !== 'result') return t.fail(structured.slice(0, 20))
      const { document, node } = message.result
      const listed = node.members?.find(({ name }) => name === 'structuredContent')?.value
      t.equal(listed && textOf(document, listed), structured.trim())
      t.equal(listed?.items, undefined)
      t.equal(listed?.members?.some(({ value }) => value.items ?? value.members), listed?.members && false)
      t.equal(node.members?.[0]?.value.items?.[0]?.members?.length, 2, 'the blocks are')
    }
  }
  t.throws(() => readMessages(`{"id":1,"result":{"content":[${many}]}}`, 100), /more than 100 values/)
})
