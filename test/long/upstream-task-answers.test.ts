import t, { type Test } from 'tap'
import { type Answering, Refused, startAnsweringServer } from '../support/answering-server.ts'
import { cases } from '../support/cases.ts'
import { call, initSession, postTo } from '../support/requests.ts'
import { serviceOn } from '../support/service.ts'
import { until } from '../support/wait.ts'

type Answers = Answering['answers']
type Era = '2025' | '2026'

const content = [{ type: 'text', text: '{"status":"success","n":1}' }]
const done = { status: 'success', n: 1 }

/** A server that answers calls with tasks, as the test says: what it gives comes to all of its requests. */
async function start (t: Test, era: Era, env: Record<string, string> = {}, entry: object = {}) {
  const now: { answers: Answers } = { answers: {} }
  const list = { tools: [{ name: 'work', inputSchema: { type: 'object' }, execution: { taskSupport: 'required' } }] }
  const methods = ['tools/call', 'tasks/get', 'tasks/result', 'tasks/update', 'tasks/cancel']
  const server = await startAnsweringServer(t, {
    era,
    capabilities: { tools: {}, tasks: { requests: { tools: { call: {} } }, cancel: {} } },
    answers: {
      'tools/list': () => list,
      ...Object.fromEntries(methods.map(method => [method, (params: object, request: never, notify: never) => {
        const give = now.answers[method]
        if (give === undefined) throw new Refused(-32_601, 'Method not found')
        return give(params, request, notify)
      }]))
    }
  })
  const service = await serviceOn(t, { up: { url: server.url, ...entry } }, env)
  const session = await initSession(service)
  const count = (method: string) => server.requests.filter(({ message }) => message.method === method).length
  return {
    server,
    service,
    session,
    count,
    /** Calls the tool of a server that answers so, and gives what came to it. */
    async run (answers: Answers) {
      now.answers = answers
      const before = server.requests.length
      const { statusCode, body } = await call(service, session, 'work', {})
      const came = server.requests.slice(before).flatMap(({ message: { method } }) => method ?? [])
      return { statusCode, body: JSON.parse(body) as Record<string, unknown>, came }
    }
  }
}

/** The task of each era: what answers a call, and the states that follow, one after the other; the last one stays. */
function taskOf (
  era: Era, states: unknown[], { begun = {}, result = { content } }: { begun?: object, result?: unknown } = {}
): Answers {
  let asked = 0
  const facts = era === '2025' ? { ttl: null, pollInterval: 1 } : { ttlMs: null, pollIntervalMs: 1 }
  const task = { taskId: 'task-1', status: 'working', ...facts, ...begun }
  const give = (value: unknown) => {
    if (value instanceof Refused) throw value
    return value
  }
  const first = era === '2025' ? { task } : { resultType: 'task', ...task }
  return {
    'tools/call': () => give(first),
    'tasks/get': () => {
      const state = states[Math.min(asked++, states.length - 1)]
      return give(state instanceof Refused || typeof state !== 'object' ? state : { ...task, resultType: 'complete', ...state })
    },
    ...(era === '2025' && { 'tasks/result': () => give(result) }),
    'tasks/cancel': () => ({ ...task, status: 'cancelled' })
  }
}

const completed = (era: Era) => ({ status: 'completed', ...(era === '2026' && { result: { content } }) })

for (const era of ['2025', '2026'] as const) {
  t.test(`a task of ${era} is asked for until it is over, however odd its server is`, async t => {
    const { run } = await start(t, era)
    const end = completed(era)
    const working = { status: 'working' }
    const usable: Array<[what: string, answers: Answers]> = [
      ['as the specification says', taskOf(era, [working, end])],
      ['over at once', taskOf(era, [end], { begun: end })],
      ['without a time between questions', taskOf(era, [working, end], { begun: { pollInterval: null, pollIntervalMs: null } })],
      ...[0, -1, 'soon', {}, '5', 1e-9].map((time): [string, Answers] =>
        [`a time of ${String(time)}`, taskOf(era, [working, end], { begun: { pollInterval: time, pollIntervalMs: time } })]),
      ['an absurd ttl', taskOf(era, [end], { begun: { ttl: -1, ttlMs: 'x', createdAt: 5 } })],
      ['an id that is a number', taskOf(era, [{ ...end, taskId: 12 }], { begun: { taskId: 12 } })],
      ['an id of odd characters', taskOf(era, [{ ...end, taskId: 'ä\n"\u0000' }], { begun: { taskId: 'ä\n"\u0000' } })],
      ['states without an id', taskOf(era, [{ ...working, taskId: null }, { ...end, taskId: null }])],
      ['a status that nobody knows', taskOf(era, [{ status: 'thinking' }, { status: null }, end])],
      ['a result that comes with the state', taskOf(era, [{ status: 'completed', result: { content } }], { result: new Refused(-32_601, 'x') })],
      ['a state that is nested', taskOf(era, [{ task: { taskId: 'task-1', ...end } }])],
      ['a failure that passes', taskOf(era, [new Refused(-32_603, 'busy'), working, new Refused(-32_000, 'busy'), end])],
      ['a task that is not found once', taskOf(era, [new Refused(-32_602, 'Task not found'), end])],
      ['a state that is no object', taskOf(era, ['well', end])],
      ['a task beside a result', { 'tools/call': () => ({ content, task: { taskId: 'x' } }) }],
      ['a result at once', { 'tools/call': () => ({ content }) }]
    ]
    for (const [what, answers] of cases(usable, 4)) {
      const { statusCode, body, came } = await run(answers)
      t.match([statusCode, body], [200, done], what)
      t.equal(came.filter(method => method === 'tools/call').length, 1, `${what}: called once`)
      t.notOk(came.includes('tasks/cancel'), `${what}: not cancelled`)
    }
  })

  t.test(`a task of ${era} that nobody could use is a failure that says why`, async t => {
    const { run } = await start(t, era)
    const unusable: Array<[what: string, answers: Answers, sentence: RegExp]> = [
      ['an id of 1 MB', taskOf(era, [], { begun: { taskId: 'x'.repeat(1_000_000) } }), /a task whose id is no text/],
      ['an id that is an object', taskOf(era, [], { begun: { taskId: {} } }), /a task whose id is no text/],
      ['an id that is empty', taskOf(era, [], { begun: { taskId: '' } }), /a task whose id is no text/],
      ['a task that is not found', taskOf(era, [new Refused(-32_602, 'Task not found')]), /Task not found/],
      ['no way to ask', { ...taskOf(era, []), 'tasks/get': () => { throw new Refused(-32_601, 'No such method') } }, /No such method/]
    ]
    for (const [what, answers, sentence] of cases(unusable, 3)) {
      const { statusCode, body, came } = await run(answers)
      t.match([statusCode, body], [502, { code: 'MCPC_ERR_MCP_CALL', acted: 'unknown', retryable: false, error: sentence }], what)
      t.equal(came.filter(method => method === 'tools/call').length, 1, `${what}: called once`)
    }
  })

  t.test(`a task of ${era} that failed is its tool's failure, in its server's words`, async t => {
    const { run } = await start(t, era)
    const lost = new Refused(-32_603, 'Task task-1 has no result stored')
    const error = { code: -32_000, message: 'no paper' }
    const refused = new Refused(error.code, error.message)
    const failed: Array<[what: string, answers: Answers, sentence: string]> = [
      ['its own error', era === '2025' ? taskOf(era, [{ status: 'failed' }], { result: refused }) : taskOf(era, [{ status: 'failed', error }]), 'no paper'],
      ['its status says why', taskOf(era, [{ status: 'failed', statusMessage: 'out of paper' }], { result: lost }), 'out of paper'],
      ['nobody says why', taskOf(era, [{ status: 'failed' }], { result: lost }), 'the task failed'],
      ['cancelled', taskOf(era, [{ status: 'cancelled' }], { result: lost }), 'the task was cancelled'],
      ['in an American way', taskOf(era, [{ status: 'canceled', statusMessage: 'by the boss' }], { result: lost }), 'by the boss'],
      ['an error beside a status that nobody knows', taskOf(era, [{ status: 'broken', error }]), 'no paper'],
      ['a result that says so', taskOf(era, [era === '2025'
        ? { status: 'failed' }
        : { status: 'completed', result: { isError: true, content: [{ type: 'text', text: 'no ink' }] } }
      ], { result: { isError: true, content: [{ type: 'text', text: 'no ink' }] } }), 'no ink']
    ]
    for (const [what, answers, sentence] of cases(failed, 3)) {
      const { statusCode, body, came } = await run(answers)
      t.match([statusCode, body], [200, { status: 'error', error: sentence }], what)
      t.notOk(came.includes('tasks/cancel'), `${what}: not cancelled`)
    }
  })

  t.test(`a task of ${era} that never ends is cancelled at the deadline of its call`, async t => {
    const { run, count } = await start(t, era, {}, { timeouts: { call: 1 } })
    for (const begun of [{}, { pollInterval: 1e9, pollIntervalMs: 1e9 }]) {
      const { statusCode, body } = await run(taskOf(era, [{ status: 'working', ...begun }], { begun }))
      const error = 'MCP server up did not answer tool work in time (1 s)'
      t.strictSame([statusCode, body], [504, { status: 'error', error, code: 'MCPC_ERR_MCP_TIMEOUT', retryable: false, acted: 'unknown' }])
    }
    await until(() => count('tasks/cancel') === 2, 'the server was told')
  })
}

t.test('the result of another task is nobody\'s', async t => {
  const { run } = await start(t, '2025')
  const _meta = { 'io.modelcontextprotocol/related-task': { taskId: 'task-2' } }
  const foreign = await run(taskOf('2025', [{ status: 'completed' }], { result: { content, _meta } }))
  t.match([foreign.statusCode, foreign.body], [502, { error: /the result of another task/ }])
  const own = { 'io.modelcontextprotocol/related-task': { taskId: 'task-1' } }
  t.match((await run(taskOf('2025', [{ status: 'completed' }], { result: { content, _meta: own } }))).body, done)
  const other = await run(taskOf('2025', [{ status: 'completed', taskId: 'task-2' }]))
  t.match([other.statusCode, other.body], [502, { error: /the state of another task/ }])
})

t.test('a task whose result is a task goes on with that, and not for ever', async t => {
  const { run } = await start(t, '2025')
  for (const [chain, expected] of [[3, [200, done]], [9, [502, { error: /with tasks only/ }]]] as const) {
    let n = 0
    const { statusCode, body } = await run({
      'tools/call': () => ({ task: { taskId: 'task-0', status: 'working' } }),
      'tasks/get': ({ taskId }) => ({ taskId, status: 'completed' }),
      'tasks/result': () => ++n < chain ? { task: { taskId: `task-${n}`, status: 'completed' } } : { content }
    })
    t.match([statusCode, body], expected)
  }
})

t.test('a tool is called in the other form when its server demands it, whatever its list says', async t => {
  const { run } = await start(t, '2025')
  const asked: boolean[] = []
  const wants = (isTask: boolean, code: number, message: string): Answers => ({
    ...taskOf('2025', [{ status: 'completed' }]),
    'tools/call': ({ task }) => {
      asked.push(task !== undefined)
      if ((task !== undefined) !== isTask) throw new Refused(code, message)
      return isTask ? { task: { taskId: 'task-1', status: 'working' } } : { content }
    }
  })
  t.match((await run(wants(false, -32_601, 'Tool work does not support task augmentation'))).body, done)
  t.strictSame(asked.splice(0), [true, false])
  t.match((await run(wants(true, -32_600, 'Task augmentation required for tools/call requests'))).body, done)
  t.strictSame(asked, [true])
})

t.test('a task of 2026 gets the responses of its caller, each question is asked once, and the rest is asked again', async t => {
  const { run, server, service, session } = await start(t, '2026', { MCP_ELICITATION: 'on' })
  const question = (message: string) => ({ method: 'elicitation/create', params: { mode: 'form', message } })
  const responded: Record<string, unknown> = {}
  // It goes on to name what was responded to, as servers may for a while.
  const inputRequests = { one: question('First?'), two: question('Second?') }
  let late = 0
  const state = () => Object.keys(responded).length === 2 && late++ > 1
    ? { status: 'completed', result: { content } }
    : { status: 'input_required', inputRequests }
  const task = { taskId: 'task-1', pollIntervalMs: 1 }
  const asked = await run({
    'tools/call': () => ({ resultType: 'task', status: 'working', ...task }),
    'tasks/get': () => ({ resultType: 'complete', ...task, ...state() }),
    'tasks/update': ({ inputResponses }) => {
      Object.assign(responded, inputResponses)
      return { resultType: 'complete' }
    }
  })
  t.match([asked.statusCode, asked.body.requests], [202, [{ id: 'one' }, { id: 'two' }]])
  const go = async (token: unknown, responses: object) =>
    (await postTo(service, '/call-tool', { session_id: session, continue: token, responses })).json()
  const again = await go(asked.body.continue, { one: { action: 'accept', content: { n: 1.50 } } })
  t.match([again.status, again.requests], ['input_required', [{ id: 'two' }]])
  t.equal(again.requests.length, 1)
  t.match(await go(again.continue, { two: { action: 'decline' } }), done)
  t.strictSame(responded, { one: { action: 'accept', content: { n: 1.5 } }, two: { action: 'decline' } })
  const came = server.requests.filter(({ message: { method } }) => method?.startsWith('tasks/'))
  t.ok(came.every(({ headers }) => headers['mcp-name'] === 'task-1'), 'a router finds the task in the header')
})

t.test('a task that asks although it was told that it gets no answer is cancelled', async t => {
  const { run, count } = await start(t, '2026')
  const inputRequests = { one: { method: 'elicitation/create', params: { message: 'First?' } } }
  const { statusCode, body } = await run(taskOf('2026', [{ status: 'input_required', inputRequests }]))
  t.match([statusCode, body], [502, { error: /although it was told that it gets none/ }])
  await until(() => count('tasks/cancel') === 1, 'the server was told')
})
