import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { JSONRPCMessage } from '@modelcontextprotocol/client'
import t from 'tap'
import { createStreamableHttpTransport } from '../../../../lib/mcp/transports/streamable-http.ts'
import { createUpstreamAgent } from '../../../../lib/mcp/transports/http-agent.ts'

t.test('a stream that goes on when it has given its answer is not kept for ever', async t => {
  const ended = new Promise<void>(resolve => {
    const server = createServer((request, response) => {
      response.once('close', resolve)
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      request.on('data', (chunk: Buffer) => {
        const { id } = JSON.parse(chunk.toString()) as { id: number }
        response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result: {} })}\n\n`)
      })
    }).listen(0, '127.0.0.1')
    t.teardown(() => server.close())
    t.context = server
  })
  const server = t.context as ReturnType<typeof createServer>
  await once(server, 'listening')
  const dispatcher = createUpstreamAgent()
  t.teardown(() => dispatcher.destroy())
  const transport = createStreamableHttpTransport({
    name: 'endless', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`, headers: {}, secrets: []
  }, { dispatcher, maxMessageBytes: 1_000_000 })
  const answers: JSONRPCMessage[] = []
  transport.onmessage = message => answers.push(message)

  await transport.start()
  await transport.send({ jsonrpc: '2.0', id: 1, method: 'tools/list' })

  t.match(answers, [{ id: 1, result: {} }])
  await ended
  t.pass('its connection was given up')
})
