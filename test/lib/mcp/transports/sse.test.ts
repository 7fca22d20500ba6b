import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { JSONRPCMessage } from '@modelcontextprotocol/client'
import t, { type Test } from 'tap'
import { createUpstreamAgent } from '../../../../lib/mcp/transports/http-agent.ts'
import { createSseTransport } from '../../../../lib/mcp/transports/sse.ts'

const answer = { jsonrpc: '2.0', id: 1, result: {} }

/** A server that answers each POST with these events on its stream, and a transport to it. */
async function connect (t: Test, events: unknown[]) {
  let stream: ServerResponse | undefined
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      stream = response.writeHead(200, { 'content-type': 'text/event-stream' })
      stream.write('event: endpoint\ndata: /messages\n\n')
      return
    }
    request.resume()
    response.writeHead(202).end()
    for (const event of events) {
      stream?.write(`data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`)
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const dispatcher = createUpstreamAgent()
  t.teardown(async () => {
    await dispatcher.destroy()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/sse`
  const options = { dispatcher, maxMessageBytes: 1_000_000 }
  const transport = createSseTransport({ name: 'sse', url, headers: {}, secrets: [] }, options)
  t.teardown(() => transport.close())
  await transport.start()
  return transport
}

t.test('what is no message is passed over, and the answer behind it comes', async t => {
  const transport = await connect(t, [
    null, 7, 'null', [], {}, { id: 1, result: {} }, { jsonrpc: '1.0', id: 1 }, answer
  ])
  const received: JSONRPCMessage[] = []
  const answered = new Promise<void>(resolve => {
    transport.onmessage = message => {
      received.push(message)
      if ('id' in message) resolve()
    }
  })
  await transport.send({ jsonrpc: '2.0', id: 1, method: 'tools/list' })
  await answered
  t.strictSame(received, [answer])
})

t.test('an event that is not JSON ends the transport: an answer may have been in it', async t => {
  const transport = await connect(t, ['{canary'])
  const closed = new Promise<void>(resolve => { transport.onclose = resolve })
  await transport.send({ jsonrpc: '2.0', id: 1, method: 'tools/list' })
  await closed
  t.pass('its client fails what waits for an answer')
})
