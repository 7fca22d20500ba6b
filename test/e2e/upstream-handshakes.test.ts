import t, { type Test } from 'tap'
import { type HttpHandler, serve } from '../support/http-server.ts'
import { call, initSession, postTo } from '../support/requests.ts'
import { serviceOn } from '../support/service.ts'
import { answerWith, type Refusal } from '../support/session-server.ts'

const plain = { 'content-type': 'text/plain' }

/** A server of 2025 with one tool, that declares nothing. `special` takes the requests that it answers itself. */
async function startBare (t: Test, special: (...args: Parameters<HttpHandler>) => boolean) {
  return await serve(t, (request, response) => {
    if (special(request, response)) return
    const { id, method = '', params } = request.message
    if (id === undefined) return response.writeHead(202).end()
    const results: Record<string, unknown> = {
      initialize: { protocolVersion: params?.protocolVersion, capabilities: {} },
      ping: {},
      'tools/list': { tools: [{ name: 'hello' }] },
      'prompts/list': { prompts: [{ name: 'greet' }] },
      'tools/call': { content: [{ type: 'text', text: '"hi"' }] }
    }
    const outcome = results[method] ? { result: results[method] } : { error: { code: -32_601, message: 'no' } }
    answerWith(request, response, { status: 200, body: JSON.stringify({ jsonrpc: '2.0', id, ...outcome }) })
  })
}

t.test('an answer to notifications/initialized that never ends, or never comes, holds nothing up', async t => {
  const answers: Record<string, HttpHandler> = {
    'a stream of events that stays open': (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': well\n\n')
    },
    'a body that is never ended': (_, response) => { response.writeHead(202).write(' ') },
    'no answer': () => {}
  }
  for (const [what, answer] of Object.entries(answers)) {
    const server = await startBare(t, (request, response) => {
      if (request.message.method !== 'notifications/initialized') return false
      answer(request, response)
      return true
    })
    const service = await serviceOn(t, { up: { url: server.url } })
    const response = await call(service, await initSession(service), 'hello')
    t.equal(response.json(), 'hi', `${what}: ${response.body}`)
  }
})

t.test('a list that a server did not declare and refuses with a status is empty, and its session goes on', async t => {
  for (const refusal of [
    { status: 404, headers: plain, body: 'Not Found' },
    { status: 400, body: '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid request"}}' },
    { status: 405, body: '' },
    { status: 501, headers: { 'content-type': 'text/html' }, body: '<h1>Not implemented</h1>' }
  ] satisfies Refusal[]) {
    const server = await startBare(t, (request, response) => {
      if (request.message.method === 'initialize') response.setHeader('mcp-session-id', 's1')
      if (!/^(resources|prompts)/.test(request.message.method ?? '')) return false
      answerWith(request, response, refusal)
      return true
    })
    const service = await serviceOn(t, { up: { url: server.url } })
    const session = await initSession(service)
    const list = async (path: string) => (await postTo(service, path, { session_id: session })).body
    t.equal(await list('/resources'), '{"resources":[]}', refusal.body)
    t.equal(await list('/prompts'), '{"prompts":[]}')
    t.equal((await call(service, session, 'hello')).json(), 'hi')
    const begun = server.requests.filter(({ message }) => message.method === 'initialize')
    t.equal(begun.length, 1, `${refusal.status}: one session`)
    t.notOk(server.requests.some(({ http }) => http === 'DELETE'))
  }
})

t.test('a list that was not declared is asked for again when it is the session that is not known', async t => {
  for (const refusal of [
    { status: 404, headers: plain, body: 'Not Found' },
    { status: 404, body: '{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}' },
    { status: 400, body: '{"error":"Bad session"}' }
  ] satisfies Refusal[]) {
    let count = 0
    let known = ''
    const server = await startBare(t, (request, response) => {
      const { message: { method }, headers } = request
      if (method === 'server/discover') return false
      if (method === 'initialize') {
        known = `s${++count}`
        response.setHeader('mcp-session-id', known)
        return false
      }
      if (headers['mcp-session-id'] === known) return false
      answerWith(request, response, refusal)
      return true
    })
    const service = await serviceOn(t, { up: { url: server.url } })
    const session = await initSession(service)
    t.equal((await call(service, session, 'hello')).json(), 'hi')
    known = 'none'
    const { body } = await postTo(service, '/prompts', { session_id: session })
    t.equal(body, '{"prompts":[{"name":"greet"}]}', refusal.body)
    t.equal(count, 2, 'one session was begun anew')
  }
})

t.test('a refusal that blames the request, without its id, keeps a session that the server still knows', async t => {
  for (const body of [
    '{"jsonrpc":"2.0","id":null,"error":{"code":-32602,"message":"Invalid arguments"}}',
    '{"jsonrpc":"2.0","id":"server-error","error":{"code":-32602,"message":"Invalid request parameters"}}',
    '{"jsonrpc":"2.0","error":{"code":-32601,"message":"Not now"}}'
  ]) {
    let count = 0
    let known = ''
    let isGone = false
    const server = await startBare(t, (request, response) => {
      const { message: { method }, headers } = request
      if (method === 'initialize') {
        isGone = false
        known = `s${++count}`
        response.setHeader('mcp-session-id', known)
        return false
      }
      const isRefused = isGone ? headers['mcp-session-id'] === known : method === 'tools/call'
      if (isRefused) answerWith(request, response, { status: 400, body })
      return isRefused
    })
    const service = await serviceOn(t, { up: { url: server.url } })
    const session = await initSession(service)
    const calls = () => server.requests.filter(({ message }) => message.method === 'tools/call').length
    t.match((await call(service, session, 'hello')).json(), { code: 'MCPC_ERR_MCP_CALL', error: /: HTTP 400: / }, body)
    t.strictSame([count, calls()], [1, 1], 'asked once, in a session that is kept')
    isGone = true
    t.equal((await postTo(service, '/prompts', { session_id: session })).statusCode, 200)
    t.equal(count, 2, 'a session that refuses everything is begun anew')
  }
})
