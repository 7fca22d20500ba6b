import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { JSONRPCMessage } from '@modelcontextprotocol/client'
import t from 'tap'
import { createUpstreamAgent } from '../../../../lib/mcp/transports/http-agent.ts'
import { createStreamableHttpTransport } from '../../../../lib/mcp/transports/streamable-http.ts'

t.test('a stream that goes on after its answer is given up', async t => {
  let markEnded = () => {}
  const ended = new Promise<void>(resolve => { markEnded = resolve })
  const server = createServer((request, response) => {
    response.once('close', markEnded)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    request.on('data', (chunk: Buffer) => {
      const { id } = JSON.parse(chunk.toString()) as { id: number }
      response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result: {} })}\n\n`)
    })
  }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const dispatcher = createUpstreamAgent()
  t.teardown(() => dispatcher.destroy())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`
  const options = { dispatcher, maxMessageBytes: 1_000_000 }
  const transport = createStreamableHttpTransport({ name: 'endless', url, headers: {}, secrets: [] }, options)
  const answers: JSONRPCMessage[] = []
  transport.onmessage = message => answers.push(message)

  await transport.start()
  await transport.send({ jsonrpc: '2.0', id: 1, method: 'tools/list' })

  t.match(answers, [{ id: 1, result: {} }])
  await ended
  t.pass('its connection was closed')
})
