import type { ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { createUpstreamAgent } from '../../../../lib/mcp/transports/http-agent.ts'
import { createStreamableHttpTransport } from '../../../../lib/mcp/transports/streamable-http.ts'
import { version } from '../../../../lib/version.ts'
import { type HttpHandler, serve } from '../../../support/http-server.ts'
import { freePort } from '../../../support/ports.ts'

const request = { jsonrpc: '2.0', id: 7, method: 'tools/list' } as const
const answer = { jsonrpc: '2.0', id: 7, result: {} }
const text = JSON.stringify(answer)
const json = { 'content-type': 'application/json' }
const events = { 'content-type': 'text/event-stream' }

/** A transport to a server of the test's own, and the texts that the transport received with their exchanges. */
async function connect (t: Test, handle: HttpHandler, headers: Record<string, string> = {}) {
  const server = await serve(t, handle)
  return { ...open(t, server.url, headers), server }
}

function open (t: Test, url: string, headers: Record<string, string> = {}) {
  const dispatcher = createUpstreamAgent()
  t.teardown(() => dispatcher.destroy())
  const endpoint = { name: 'up', url, headers, secrets: [] }
  const transport = createStreamableHttpTransport(endpoint, { dispatcher, maxMessageBytes: 10_000 })
  t.teardown(() => transport.close())
  const received: unknown[] = []
  transport.onmessage = message => received.push(message)
  return { transport, received }
}

function reply (status: number, headers: Record<string, string>, body: string) {
  return (_: unknown, response: ServerResponse) => response.writeHead(status, headers).end(body)
}

t.test('a body is taken for what it is, whatever its type says', async t => {
  const bodies = [
    text, ` \r\n${text}\n`, `\ufeff${text}`, `[${text}]`,
    `data: ${text}\n\n`, `: hello\n\nevent: message\r\ndata: ${text}\r\n\r\n`, `\ufeffid: 1\rdata: ${text}\r\r`,
    `data: ping\n\ndata:${text}`
  ]
  for (const headers of [json, events, { 'content-type': 'text/plain' }, { 'content-type': 'JSON' }, {}]) {
    for (const body of bodies) {
      const { transport, received } = await connect(t, reply(200, headers, body))
      await transport.send(request)
      t.strictSame(received, [answer], JSON.stringify([headers, body]))
    }
  }
})

t.test('a body that has no answer ends the request at once, quoted', async t => {
  for (const [headers, body, message] of [
    [json, '', 'it answered HTTP 200 with an empty body'],
    [json, '{"jsonrpc":"2.0",', 'what came is no answer to it: {"jsonrpc":"2.0",'],
    [json, '{"hello":"world"}', 'what came is no answer to it: {"hello":"world"}'],
    [{}, 'Not\u0007 \n here', 'it answered with a body of no type: Not here'],
    [
      { 'content-type': 'text/html' },
      '<!DOCTYPE html><head><title>Sign in</title><style>b{}</style></head><script>x<y</script><b>R&amp;D</b>',
      'it answered with text/html: Sign in R&D'
    ],
    [events, '', 'its answer broke off'],
    [events, 'data: we are closed\n\n', 'its answer broke off; it said: we are closed']
  ] as const) {
    const { transport, received } = await connect(t, reply(200, headers, body))
    await t.rejects(transport.send(request), { name: 'StreamEndedError', message }, body)
    t.strictSame(received, [])
  }
  const { transport } = await connect(t, reply(202, {}, ''))
  await t.rejects(transport.send(request), { message: 'it answered HTTP 202 with an empty body' })
})

t.test('a refusal is an answer when it has the id of its request, and an error with its text otherwise', async t => {
  for (const body of [text, JSON.stringify({ ...answer, id: '7' }), JSON.stringify([answer])]) {
    for (const status of [400, 404, 422, 500]) {
      const { transport, received } = await connect(t, reply(status, json, body))
      await transport.send(request)
      t.match(received, [{ jsonrpc: '2.0' }], `${status} ${body}`)
      t.equal(transport.isSessionInDoubt, status === 500)
    }
  }
  for (const body of ['', 'No', '{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"x"}}', JSON.stringify(request)]) {
    const { transport, received } = await connect(t, reply(404, json, body))
    await t.rejects(transport.send(request), { name: 'HttpError', status: 404, text: body })
    t.strictSame(received, [])
  }
  for (const [status, headers] of [[401, {}], [403, { 'www-authenticate': 'Bearer' }], [429, {}], [503, {}]] as const) {
    const { transport } = await connect(t, reply(status, { ...json, ...headers }, text))
    await t.rejects(transport.send(request), { name: 'HttpError', status, text })
  }
})

t.test('a request that no byte was sent of is told from one that broke off', async t => {
  const refused = open(t, `http://127.0.0.1:${await freePort()}/mcp`)
  await t.rejects(refused.transport.send(request), { name: 'NotSentError', cause: { code: 'ECONNREFUSED' } })
  const unknown = open(t, 'http://no-such-host.invalid/mcp')
  await t.rejects(unknown.transport.send(request), { name: 'NotSentError', cause: { syscall: 'getaddrinfo' } })
  const badHeader = open(t, 'http://127.0.0.1:1/mcp', { 'x-key': 'two\nlines' })
  await t.rejects(badHeader.transport.send(request), { name: 'NotSentError' })
  const { transport } = await connect(t, (_, response) => response.destroy())
  await t.rejects(transport.send(request), { name: 'SocketError' })
  await transport.close()
  await t.rejects(transport.send(request), { name: 'NotSentError' })
})

t.test('a request says who asks and what it can decode, in the words of the entry where it has some', async t => {
  const { transport, server } = await connect(t, reply(200, json, text))
  await transport.send({ id: 7, method: 'tools/list', text: JSON.stringify(request), headers: { 'mcp-method': 'tools/list' } })
  const [{ headers, text: body } = { headers: {}, text: '' }] = server.requests
  t.equal(headers['user-agent'], `mcp-client-service/${version}`)
  t.match(headers['accept-encoding'], /^gzip, deflate, br/)
  t.equal(headers['mcp-method'], 'tools/list')
  t.equal(body, JSON.stringify(request))

  const own = await connect(t, reply(200, json, text), { 'User-Agent': 'ours', 'Accept-Encoding': 'identity' })
  await own.transport.send(request)
  t.match(own.server.requests[0]?.headers, { 'user-agent': 'ours', 'accept-encoding': 'identity' })
})

t.test('a stream that goes on after its answer is given up', async t => {
  let markEnded = () => {}
  const ended = new Promise<void>(resolve => { markEnded = resolve })
  const { transport, received } = await connect(t, (_, response) => {
    response.once('close', markEnded)
    response.writeHead(200, events).write(`data: ${text}\n\n`)
  })
  await transport.send(request)
  t.strictSame(received, [answer])
  await ended
  t.pass('its connection was closed')
})
