import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/client'
import t from 'tap'
import { createClient } from '../../../../lib/mcp/client/sdk-client.ts'
import { createOrderedDelivery } from '../../../../lib/mcp/transports/ordered-delivery.ts'

const message = (fields: object) => ({ jsonrpc: '2.0', ...fields }) as JSONRPCMessage

t.test('progress that comes in one piece with the answer is all heard of', async t => {
  const steps = 100
  const transport: Transport = {
    async start () {},
    async close () {},
    async send (request) {
      if (!('id' in request) || !('method' in request)) return
      const hand = createOrderedDelivery(message => transport.onmessage?.(message))
      for (let progress = 1; progress <= steps; progress++) {
        hand(message({ method: 'notifications/progress', params: { progressToken: request.id, progress } }))
      }
      hand(message({ id: request.id, result: { content: [] } }))
    }
  }
  const client = createClient({ probeTimeoutMs: 1_000, declaresElicitation: false })
  // A session that goes on: no handshake.
  await client.connect(Object.assign(transport, { sessionId: 'known' }), { prior: { kind: 'legacy' } })
  const heard: number[] = []
  await client.callTool({ name: 'progress', arguments: {} }, { onprogress: ({ progress }) => heard.push(progress) })
  t.strictSame(heard, Array.from({ length: steps }, (_, index) => index + 1))
})

t.test('messages keep their order, and an answer that waits for nobody is handed on at once', async t => {
  const handed: unknown[] = []
  const hand = createOrderedDelivery(message => handed.push('id' in message ? message.id : 'note'))
  hand(message({ id: 1, result: {} }))
  t.strictSame(handed, [1])
  hand(message({ method: 'notifications/progress' }))
  hand(message({ id: 2, result: {} }))
  hand(message({ method: 'notifications/progress' }))
  hand(message({ id: 3, result: {} }))
  await new Promise(resolve => setImmediate(resolve))
  t.strictSame(handed, [1, 'note', 2, 'note', 3])
  hand(message({ id: 4, result: {} }))
  t.strictSame(handed.at(-1), 4, 'and when all is done, at once again')
})

t.test('one message that cannot be handled does not keep the next ones back', async t => {
  const handed: unknown[] = []
  const hand = createOrderedDelivery(message => {
    if (!('id' in message)) throw new Error('not this one')
    handed.push(message.id)
  })
  hand(message({ method: 'notifications/progress' }))
  await new Promise(resolve => setImmediate(resolve))
  hand(message({ id: 1, result: {} }))
  t.strictSame(handed, [1])
  hand(message({ method: 'notifications/progress' }))
  hand(message({ id: 2, result: {} }))
  await new Promise(resolve => setImmediate(resolve))
  t.strictSame(handed, [1, 2])
})
