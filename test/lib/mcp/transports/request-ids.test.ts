import type { JSONRPCMessage } from '@modelcontextprotocol/client'
import t from 'tap'
import { createIdShift } from '../../../../lib/mcp/transports/request-ids.ts'

const { outbound, inbound } = createIdShift(1_000)
const message = (fields: object) => ({ jsonrpc: '2.0', ...fields }) as JSONRPCMessage

t.test('the ids of requests, of what names them, and of their progress move', t => {
  t.strictSame(outbound(message({ id: 0, method: 'ping' })), message({ id: 1_000, method: 'ping' }))
  t.strictSame(
    outbound(message({ id: 7, method: 'tools/call', params: { name: 'a', _meta: { progressToken: 7, other: 7 } } })),
    message({ id: 1_007, method: 'tools/call', params: { name: 'a', _meta: { progressToken: 1_007, other: 7 } } })
  )
  t.strictSame(
    outbound(message({ method: 'notifications/cancelled', params: { requestId: 7 } })),
    message({ method: 'notifications/cancelled', params: { requestId: 1_007 } })
  )
  t.strictSame(inbound(message({ id: 1_007, result: {} })), message({ id: 7, result: {} }))
  t.strictSame(
    inbound(message({ id: 1_007, error: { code: 1, message: 'no' } })),
    message({ id: 7, error: { code: 1, message: 'no' } })
  )
  t.strictSame(
    inbound(message({ method: 'notifications/progress', params: { progressToken: 1_007, progress: 1 } })),
    message({ method: 'notifications/progress', params: { progressToken: 7, progress: 1 } })
  )
  t.end()
})

t.test('what belongs to the other side stays: its requests, and our answers to them', t => {
  const theirs = message({ id: 3, method: 'sampling/createMessage', params: { _meta: { progressToken: 3 } } })
  t.strictSame(inbound(theirs), theirs)
  t.strictSame(outbound(message({ id: 3, result: {} })), message({ id: 3, result: {} }))
  t.strictSame(
    outbound(message({ method: 'notifications/progress', params: { progressToken: 3, progress: 1 } })),
    message({ method: 'notifications/progress', params: { progressToken: 3, progress: 1 } })
  )
  t.strictSame(
    inbound(message({ method: 'notifications/cancelled', params: { requestId: 3 } })),
    message({ method: 'notifications/cancelled', params: { requestId: 3 } })
  )
  t.end()
})

t.test('text ids stay, and nothing is changed in place', t => {
  const asked = message({ id: 'a', method: 'tools/call', params: { name: 'a', _meta: { progressToken: 'a' } } })
  t.strictSame(outbound(asked), asked)
  const numbered = message({ id: 1, method: 'tools/call', params: { _meta: { progressToken: 1 } } })
  outbound(numbered)
  t.strictSame(numbered, message({ id: 1, method: 'tools/call', params: { _meta: { progressToken: 1 } } }))
  t.end()
})
