import t, { type Test } from 'tap'
import { fixture } from '../support/paths.ts'
import { isAlive } from '../support/processes.ts'
import { call, initSession } from '../support/requests.ts'
import { serviceOn } from '../support/service.ts'

async function buildWith (t: Test, args: string[], env: Record<string, string> = {}) {
  return await serviceOn(t, { zoo: { command: process.execPath, args: [fixture('zoo-server.mjs'), ...args] } }, env)
}

t.test('listing tools of a server that ends at its start is a 502 that quotes it', async t => {
  const app = await buildWith(t, ['dies-at-start'])
  const session = await initSession(app)
  const expected = {
    status: 'error',
    error:
      "MCP server zoo ended before it was ready (exit code 1); it said: Traceback (most recent call last):\n  nothing\nModuleNotFoundError: No module named 'nothing'",
    code: 'MCPC_ERR_MCP_START',
    retryable: false
  }

  for (const request of [
    { method: 'GET', url: '/tools-schema' } as const,
    { method: 'POST', url: '/tools', payload: { session_id: session } } as const
  ]) {
    const response = await app.inject(request)
    t.equal(response.statusCode, 502, request.url)
    t.strictSame(response.json(), expected)
  }
})

t.test('listing tools of a server that never answers is a 504 within the start timeout, and it is ended', async t => {
  const app = await buildWith(t, ['never-answers-initialize'], { MCP_SESSION_START_TIMEOUT: '0.5' })
  const session = await initSession(app)

  for (const request of [
    { method: 'GET', url: '/tools-schema' } as const,
    { method: 'POST', url: '/tools', payload: { session_id: session } } as const
  ]) {
    const response = await app.inject(request)
    t.equal(response.statusCode, 504, request.url)
    t.match(response.json(), {
      status: 'error',
      error: 'MCP server zoo was not ready within 0.5 s',
      code: 'MCPC_ERR_MCP_START_TIMEOUT',
      retryable: true
    })
  }
  await app.deferredSettled()
})

t.test('a credential that a server prints before it dies is not in the answer', async t => {
  const app = await buildWith(t, ['dies-on-call'])
  const session = await initSession(app, { jwtToken: 'canary.canary-token.canary' })

  const response = await call(app, session, 'act')

  t.equal(response.statusCode, 502)
  t.match(response.json(), {
    error: 'MCP server zoo ended during tool act (exit code 3); it said: the token is [hidden]\nFatal: it broke',
    retryable: false
  })
})

t.test('a tool that never answers is a 504 at the deadline of calls, and its process ends', async t => {
  const app = await buildWith(t, ['never-answers-call'], { MCP_API_LONG_TIMEOUT: '0.5' })
  const response = await call(app, await initSession(app), 'act', { kept: 1 })
  t.equal(response.statusCode, 504)
  t.match(response.json(), {
    error: 'MCP server zoo did not answer tool act in time (0.5 s)',
    code: 'MCPC_ERR_MCP_TIMEOUT',
    retryable: false
  })
  await app.deferredSettled()
})

t.test('a reply larger than the limit is a 502 that says so', async t => {
  const app = await buildWith(t, ['long-line', '200000'], { MCP_MAX_RESULT_BYTES: '100000' })
  const response = await call(app, await initSession(app), 'act')
  t.equal(response.statusCode, 502)
  t.match(response.json(), { error: 'MCP server zoo broke off tool act: a line is longer than 100000 bytes (MCP_MAX_RESULT_BYTES)' })
})

t.test('a server that is stubborn, or has grandchildren, is gone when the request is over', async t => {
  for (const misbehaviour of ['ignores-eof', 'ignores-sigterm', 'leaves-a-grandchild']) {
    const app = await buildWith(t, [misbehaviour])
    const response = await call(app, await initSession(app), 'act')
    const { pid } = response.json<{ pid: number }>()
    t.type(pid, 'number')
    await app.deferredSettled()
    t.notOk(isAlive(pid), misbehaviour)
  }
})
