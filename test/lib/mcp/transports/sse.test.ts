import type { ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { createUpstreamAgent } from '../../../../lib/mcp/transports/http-agent.ts'
import { createSseTransport } from '../../../../lib/mcp/transports/sse.ts'
import { type HttpHandler, serve } from '../../../support/http-server.ts'
import { until } from '../../../support/wait.ts'

const answer = { jsonrpc: '2.0', id: 1, result: {} }
const request = { jsonrpc: '2.0', id: 1, method: 'tools/list' } as const

/** A transport to a server that answers each POST as it is told, and what the transport received. */
async function connect (t: Test, post: (stream: ServerResponse) => HttpHandler) {
  let stream: ServerResponse
  const server = await serve(t, (request, response) => {
    if (request.http !== 'GET') return post(stream)(request, response)
    stream = response.writeHead(200, { 'content-type': 'text/event-stream' })
    stream.write('event: endpoint\ndata: /messages\n\n')
  })
  const dispatcher = createUpstreamAgent()
  t.teardown(() => dispatcher.destroy())
  const endpoint = { name: 'sse', url: `${server.origin}/sse`, headers: {}, secrets: [] }
  const transport = createSseTransport(endpoint, { dispatcher, maxMessageBytes: 1_000_000, keepsCookies: true })
  t.teardown(() => transport.close())
  const received: unknown[] = []
  transport.onmessage = message => received.push(message)
  await transport.start()
  return { transport, received }
}

/** Answers a POST with these events on the stream. */
const withEvents = (events: unknown[]) => (stream: ServerResponse): HttpHandler => (_, response) => {
  response.writeHead(202).end()
  for (const event of events) stream.write(`data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`)
}

t.test('what is no message is passed over, and the answer behind it comes', async t => {
  const { transport, received } = await connect(t, withEvents([
    null, 7, 'null', [], {}, 'ping', '{canary', '<html>', { jsonrpc: '1.0', id: 1 }, answer
  ]))
  await transport.send(request)
  await until(() => received.length > 0, 'the answer is there')
  t.strictSame(received, [answer])
})

t.test('an answer in the reply to the POST is an answer', async t => {
  for (const status of [200, 202, 400, 500]) {
    const { transport, received } = await connect(t, () => (_, response) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer)))
    await transport.send(request)
    t.strictSame(received, [answer], String(status))
  }
})

t.test('a notification waits for no body, and not for ever for an answer', async t => {
  const answers: Record<string, HttpHandler> = {
    'a body that is never ended': (_, response) => { response.writeHead(202).write('well') },
    'an event stream': (_, response) => { response.writeHead(200, { 'content-type': 'text/event-stream' }).write(':\n\n') },
    'no answer': () => {}
  }
  for (const [what, answer] of Object.entries(answers)) {
    const { transport } = await connect(t, () => answer)
    await t.resolves(transport.send({ jsonrpc: '2.0', method: 'notifications/initialized' }), what)
  }
})

t.test('a refusal of the POST rejects with its status and its text', async t => {
  for (const status of [400, 404, 503]) {
    const { transport, received } = await connect(t, () => (_, response) => response.writeHead(status).end('not now'))
    await t.rejects(transport.send(request), { name: 'HttpError', status, text: 'not now' })
    t.strictSame(received, [])
  }
})

t.test('nothing is sent when the stream has ended', async t => {
  const { transport } = await connect(t, stream => (_, response) => {
    response.writeHead(202).end()
    stream.end()
  })
  const closed = new Promise<void>(resolve => { transport.onclose = resolve })
  await transport.send(request)
  await closed
  await t.rejects(transport.send(request), { name: 'NotSentError' })
})
