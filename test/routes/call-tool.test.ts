import t from 'tap'
import { createGatedServer } from '../support/mcp-servers.ts'
import { fixture } from '../support/paths.ts'
import { call, callFailure, initSession } from '../support/requests.ts'
import { build, serviceOn } from '../support/service.ts'
import { until } from '../support/wait.ts'

const toolServer = { MCP_SERVERS_FILE: fixture('shared-tool-server.json') }
const serverOfEachCall = { MCP_SERVER_SCRIPT: fixture('tool-server.mjs') }
const image = { type: 'image', data: 'aGVsbG8=', mimeType: 'image/png' }

t.test('a value that one call returned fills the next call', async t => {
  const app = await build(t)
  const session = await initSession(app)

  await call(app, session, 'keep', { name: 'value7', value: { seven: [7] } })
  const response = await call(app, session, 'recall')

  t.equal(response.statusCode, 200)
  t.strictSame(response.json(), { status: 'found', values: { value7: { seven: [7] } } })
})

t.test('every shape of result has its reply', async t => {
  // Shared: the shapes are the same, and a start for each of them would be most of the time.
  const app = await build(t, toolServer)
  const replies: Record<string, unknown> = {
    object: { rows: [1, 2], nested: { deep: null } },
    array: [1, 'two', null],
    number: 42.5,
    string: 'a JSON string',
    null: null,
    boolean: false,
    plain: { result: 'no JSON, {just} text' },
    empty_text: { result: '' },
    not_a_number: { result: 'NaN' },
    several: {
      content: [
        { type: 'text', text: '{"a":1}' },
        { type: 'text', text: '{"b":2}' }
      ]
    },
    image: { content: [image] },
    text_and_image: { content: [{ type: 'text', text: 'see' }, image] },
    resource: { content: [{ type: 'resource', resource: { uri: 'file:///a.txt', text: 'a' } }] },
    nothing: { content: [] },
    structured_only: { status: 'success', fromStructured: 1 },
    structured_and_text: { rows: 1 },
    structured_and_json: { from: 'text' },
    structured_and_image: { from: 'structured' },
    failure: { status: 'error', error: 'the source is closed' },
    failure_json: { status: 'error', error: '{"reason":"closed"}' },
    failure_lines: { status: 'error', error: 'the source is closed\ncome back later' },
    failure_silent: { status: 'error', error: 'Tool failure_silent failed' },
    outputs: { status: 'success', name: 'Ann', rows: [1], nothing: null },
    outputs_failed: { status: 'error', error: 'no such source', name: 'Eve' },
    outputs_other: { status: 'partial', name: 'Bob' },
    outputs_unmarked: { name: 'Cid' },
    intermediate_list: { status: 'success' }
  }
  await Promise.all(
    Object.entries(replies).map(async ([tool, reply]) => {
      const response = await call(app, await initSession(app), tool)
      t.equal(response.statusCode, 200, tool)
      t.equal(response.headers['content-type'], 'application/json; charset=utf-8', tool)
      t.strictSame(response.json(), reply, tool)
    })
  )
  t.equal(
    (await call(app, await initSession(app), 'spaced_object')).body,
    '{ "id": 12345678901234567890,\n  "share": 1.50 }',
    'numbers keep their digits'
  )
})

t.test('failures of a call', async t => {
  const app = await build(t, toolServer)
  const session = await initSession(app)
  const answers = async (payload: unknown, headers: Record<string, string> = {}) => {
    const response = await app.inject({ method: 'POST', url: '/call-tool', payload: payload as object, headers })
    return [response.statusCode, response.json()]
  }

  t.test('a request without session_id or tool, or with an empty one', async t => {
    const missing = [400, callFailure('MISSING_FIELD', 'Missing session_id or tool name')]
    const requests = [
      {},
      { session_id: session },
      { tool: 'object' },
      { session_id: '', tool: 'object' },
      { session_id: session, tool: '' },
      { session_id: session, tool: null }
    ]
    for (const request of requests) t.strictSame(await answers(request), missing, JSON.stringify(request))
  })

  t.test('params that are no object', async t => {
    for (const params of [[], 'text', '', 1, 0, true, false]) {
      t.strictSame(
        await answers({ session_id: session, tool: 'object', params }),
        [400, callFailure('INVALID_PARAMS', 'params must be a dictionary')],
        JSON.stringify(params)
      )
    }
  })

  t.test('a tool name that is no name', async t => {
    for (const tool of [7, ['object'], {}, 'x'.repeat(1_025)]) {
      t.strictSame(await answers({ session_id: session, tool }), [
        400,
        callFailure('INVALID_FIELD', 'tool must be a string of at most 1024 characters')
      ])
    }
  })

  t.test('no such session', async t => {
    const refused = [
      409,
      callFailure('SESSION_NOT_FOUND', 'Session nobody not found or expired. Please run /init first.')
    ]
    t.strictSame(await answers({ session_id: 'nobody', tool: 'object' }), refused)
    t.strictSame(await answers({ tool: 'object' }, { 'x-session-id': 'nobody' }), refused)
  })

  t.test('no such tool', async t => {
    for (const tool of ['missing', 'toString', '__proto__', 'Object']) {
      t.strictSame(await answers({ session_id: session, tool }), [
        404,
        callFailure('UNKNOWN_TOOL', `There is no tool ${tool}`)
      ])
    }
  })

  t.test('a tool that fails, by an error of its server', async t => {
    for (const [tool, error] of [
      ['refuse', 'MCP error -32602: question must be a question'], ['break', 'MCP error -32603: the index is broken']
    ]) t.strictSame(await answers({ session_id: session, tool }), [200, { status: 'error', error }])
  })

  t.test('a server that dies during the call is quoted, without the token', async t => {
    const app = await build(t, serverOfEachCall)
    const response = await call(app, await initSession(app), 'die')
    const sentence = 'MCP server tool-server ended during tool die (exit code 7); it said: out of memory with [hidden]'
    t.strictSame([response.statusCode, response.json()], [502, callFailure('MCP_CALL', sentence, { acted: 'unknown' })])
  })

  t.test('nor with the most of a token, where a long line was cut off in it', async t => {
    const app = await build(t, serverOfEachCall)
    const response = await call(app, await initSession(app), 'die_wordy')
    t.equal(response.statusCode, 502)
    t.match(response.json().error, /\.using \[hidden\]\nout of memory$/)
  })

  t.test('a tool that does not answer in time', async t => {
    const app = await build(t, { ...toolServer, MCP_API_LONG_TIMEOUT: '1' })
    const response = await call(app, await initSession(app), 'hang')
    const sentence = 'MCP server tool-server did not answer tool hang in time (1 s)'
    t.strictSame([response.statusCode, response.json()], [504, callFailure('MCP_TIMEOUT', sentence, { acted: 'unknown' })])
  })
})

t.test('a call without params, or with null, is a call with none', async t => {
  const app = await build(t, toolServer)
  const session = await initSession(app)
  for (const request of [{}, { params: null }, { params: {} }]) {
    const response = await app.inject({
      method: 'POST',
      url: '/call-tool',
      payload: { session_id: session, tool: 'recall', ...request }
    })
    t.equal(response.statusCode, 200)
    t.strictSame(response.json(), { received: {} })
  }
})

t.test('the id may come in the header alone', async t => {
  const app = await build(t, toolServer)
  const session = await initSession(app)
  const response = await app.inject({
    method: 'POST',
    url: '/call-tool',
    headers: { 'x-session-id': session },
    payload: { tool: 'plain' }
  })
  t.equal(response.statusCode, 200)
  t.strictSame(response.json(), { result: 'no JSON, {just} text' })
})

t.test('a session that has as many calls running as it may is told to come again', async t => {
  const server = await createGatedServer(t)
  const app = await serviceOn(t, { gated: server.entry }, { MCP_SESSION_MAX_CONCURRENCY: '1' })
  const session = await initSession(app)
  const act = (id: string) => call(app, id, 'act', { name: 'done' })
  const first = act(session)
  await until(async () => await server.calls() !== '', 'the call has begun')

  const second = await act(session)
  t.equal(second.statusCode, 429)
  t.strictSame(
    second.json(),
    callFailure('TOO_MANY_CALLS', `Session ${session} has 1 calls running, the most it may have`, { retryable: true })
  )
  t.equal(second.headers['retry-after'], '1')
  const another = act(await initSession(app))
  await until(async () => await server.calls() === 'done\ndone\n', 'the call of another session has begun, too')

  await server.open()
  t.strictSame((await first).json(), { status: 'success', done: 'done' })
  t.equal((await another).statusCode, 200, 'another session is not held up')
  t.equal((await act(session)).statusCode, 200, 'nor is this one any more')
})
