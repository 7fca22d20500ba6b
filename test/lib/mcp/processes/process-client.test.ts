import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import {
  createProcessClient, type Owner, type ProcessClient, type ProcessOptions
} from '../../../../lib/mcp/processes/process-client.ts'
import { serverBounds } from '../../../support/bounds.ts'
import { fixture } from '../../../support/paths.ts'
import { isAlive } from '../../../support/processes.ts'
import { textOf } from '../../../support/requests.ts'
import { until } from '../../../support/wait.ts'

const secret = 'not-a-real.canary-token.signature'

type Options = Partial<ProcessOptions> & Pick<Owner, 'onStderrLine'>

function createZooClient (t: Test, args: string[], { onStderrLine, ...options }: Options = {}) {
  const client = createProcessClient({
    name: 'zoo',
    command: process.execPath,
    args: [fixture('zoo-server.mjs'), ...args],
    env: { PATH: process.env.PATH ?? '' },
    cwd: process.cwd()
  }, { startTimeoutMs: 15_000, stopStepMs: 200, maxMessageBytes: 33_554_432, bounds: serverBounds, ...options })
  client.assign({ secrets: [secret], ...(onStderrLine && { onStderrLine }) })
  t.teardown(() => client.close())
  return client
}

const never = new AbortController().signal
const limits = { timeoutMs: 20_000, signal: never }
const act = async (client: ProcessClient) => textOf(await client.callTool({ name: 'act', args: '{}' }, limits))

async function opened (t: Test, args: string[], options: Options = {}) {
  const client = createZooClient(t, args, options)
  await client.open(never)
  return client
}

t.test('a server that ends at its start is quoted, without the secrets it printed', async t => {
  const client = createZooClient(t, ['dies-at-start', secret])

  await t.rejects(client.open(never), {
    code: 'MCPC_ERR_MCP_START',
    statusCode: 502,
    message: 'MCP server zoo ended before it was ready (exit code 1); it said: ' +
      'Traceback (most recent call last):\n  [hidden]\nModuleNotFoundError: No module named \'nothing\''
  })
})

for (const [what, misbehaviour, message] of [
  ['dies on initialize', 'dies-on-initialize', 'ended before it was ready (exit code 4)'],
  ['breaks off the handshake', 'half-a-handshake', 'ended before it was ready (exit code 5)'],
  ['refuses the handshake', 'refuses-initialize', 'refused the handshake: not today']
] as const) {
  t.test(`a server that ${what} is a start that failed`, async t => {
    const client = createZooClient(t, [misbehaviour])
    await t.rejects(client.open(never), {
      code: 'MCPC_ERR_MCP_START', statusCode: 502, message: new RegExp(message.replace(/[()]/g, '\\$&'))
    })
  })
}

t.test('a server that never answers initialize is given up in time, and ended', async t => {
  const client = createZooClient(t, ['never-answers-initialize'], { startTimeoutMs: 1_000 })

  await t.rejects(client.open(never), {
    code: 'MCPC_ERR_MCP_START_TIMEOUT', statusCode: 504, message: 'MCP server zoo was not ready within 1 s'
  })

  const pid = client.pid()
  await client.close()
  t.notOk(isAlive(pid ?? 0))
})

t.test('a server that starts slowly is waited for', async t => {
  const client = await opened(t, ['slow-start', '600'])
  t.match(await client.list('tools', limits), { items: [{ value: { name: 'act' } }] })
})

t.test('a command that is not there, or not executable, is a start that failed', async t => {
  for (const [command, code] of [['/nowhere/server', 'ENOENT'], [fixture('zoo-server.mjs'), 'EACCES']] as const) {
    const client = createProcessClient({ name: 'gone', command, args: [], env: {}, cwd: process.cwd() }, {
      startTimeoutMs: 1_000, stopStepMs: 100, maxMessageBytes: 1_024, bounds: serverBounds
    })
    await t.rejects(client.open(never), {
      code: 'MCPC_ERR_MCP_START', message: `MCP server gone could not be started: ${code}`
    })
    await client.close()
  }
})

t.test('a server that dies during a call is quoted, without the token it printed', async t => {
  const client = await opened(t, ['dies-on-call'])

  await t.rejects(client.callTool({ name: 'act', args: JSON.stringify({ jwtToken: secret }) }, limits), {
    code: 'MCPC_ERR_MCP_CALL',
    statusCode: 502,
    message: 'MCP server zoo ended during tool act (exit code 3); it said: the token is [hidden]\nFatal: it broke'
  })
})

t.test('an error that repeats the token has it neither in its sentence nor in its cause', async t => {
  const client = await opened(t, ['answers-with-an-error'])
  const error = await client.getPrompt('hello', JSON.stringify({ jwtToken: secret }), limits).catch((error: Error) => error) as Error
  t.match(error, {
    code: 'MCPC_ERR_MCP_CALL',
    message: 'MCP server zoo answered prompt hello with an error: cannot use [hidden]',
    cause: { message: 'cannot use [hidden]' }
  })
  t.notMatch(inspect(error, { depth: 5, showHidden: true }), secret)
})

t.test('an error that answers a tool call is the failure of the tool', async t => {
  const client = await opened(t, ['answers-with-an-error'])
  const args = JSON.stringify({ jwtToken: 'a token' })
  t.strictSame(await client.callTool({ name: 'act', args }, limits), {
    failure: { code: -32_000, message: 'cannot use a token', data: `{"name":"act","arguments":${args}}` }
  })
})

t.test('a call that is never answered ends at its deadline', async t => {
  const client = await opened(t, ['never-answers-call'])
  await t.rejects(client.callTool({ name: 'act', args: '{}' }, { timeoutMs: 300, signal: never }), {
    code: 'MCPC_ERR_MCP_TIMEOUT', statusCode: 504, message: 'MCP server zoo did not answer tool act in time (0.3 s)'
  })
})

t.test('a caller who leaves ends the wait at once', async t => {
  const client = await opened(t, ['never-answers-call'])
  const controller = new AbortController()
  const call = client.callTool({ name: 'act', args: '{}' }, { timeoutMs: 20_000, signal: controller.signal })
  controller.abort()
  await t.rejects(call, { code: 'MCPC_ERR_CALLER_LEFT' })
})

t.test('a flood on stderr blocks nothing and is kept to its last lines', async t => {
  let lines = 0
  const client = await opened(t, ['floods-stderr', '3'], { onStderrLine: () => { lines++ } })
  t.equal(await act(client), 'flooded')
  await until(() => lines === 3 * 1_024, 'all lines were seen')
})

t.test('a flood on stderr beyond what is read in a minute is passed over, but for its end', async t => {
  const lines: string[] = []
  const client = await opened(t, ['floods-stderr', '64', 'the last word'], { onStderrLine: line => { lines.push(line) } })
  await t.rejects(client.callTool({ name: 'act', args: '{}' }, limits), { message: /the last word$/ })
  t.ok(lines.length > 3_000 && lines.length < 6_000, `${lines.length} of 65536 lines were read`)
})

t.test('noise on stdout is passed over', async t => {
  const client = await opened(t, ['noise-on-stdout'])
  t.equal(await act(client), 'heard through the noise')
})

t.test('of a flood on stdout every line is counted, and the first and the last are quoted', async t => {
  const seen: string[] = []
  const client = createZooClient(t, ['floods-stdout-and-dies', '20000'], { onStderrLine: line => { seen.push(line) } })
  await t.rejects(client.open(never), {
    message: /it said \(20002 lines on its stdout were no messages\): no module named nothing\nx\n[^]*\nx\nsee above$/
  })
  t.equal(seen[0], 'no module named nothing')
  t.equal(seen.at(-1), 'see above')
  t.ok(seen.length < 15_000, `${seen.length} lines are kept or logged`)
})

t.test('characters that are split between chunks come out whole', async t => {
  const client = await opened(t, ['split-utf8'])
  t.equal(await act(client), 'Zürich 東京 🙂')
})

t.test('a line within the limit is read, a longer one ends the server', async t => {
  const within = await opened(t, ['long-line', '9000000'])
  t.equal((await act(within)).length, 9_000_000)

  const beyond = await opened(t, ['long-line', '40000000'])
  await t.rejects(beyond.callTool({ name: 'act', args: '{}' }, limits), {
    code: 'MCPC_ERR_MCP_CALL', message: 'MCP server zoo broke off tool act: a line is longer than 33554432 bytes (MCP_MAX_RESULT_BYTES)'
  })
})

t.test('hundreds of tools, and tools in pages, are listed whole', async t => {
  for (const misbehaviour of ['hundreds-of-tools', 'paginated']) {
    const client = await opened(t, [misbehaviour])
    const { items } = await client.list('tools', limits)
    t.equal(items.length, 300, misbehaviour)
    t.equal(items.at(-1)?.value.name, 'tool299')
  }
})

t.test('questions from a server are declined as the protocol says, and the call goes on', async t => {
  const client = await opened(t, ['asks-back'])
  const { refusals } = JSON.parse(await act(client))
  const methods = ['sampling/createMessage', 'elicitation/create', 'roots/list']
  t.strictSame(refusals, methods.map(method => ({ method, code: -32601, result: null })))
})

for (const [what, misbehaviour] of [
  ['behaves well', 'well-behaved'], ['ignores the end of its input', 'ignores-eof'],
  ['ignores SIGTERM', 'ignores-sigterm'], ['has a grandchild on its pipes', 'leaves-a-grandchild']
] as const) {
  t.test(`a server that ${what} is gone after close, with all its processes`, async t => {
    const client = await opened(t, [misbehaviour])
    const { pid, grandchild = pid } = JSON.parse(await act(client))
    t.ok(isAlive(pid) && isAlive(grandchild))

    await Promise.all([client.close(), client.close()])

    t.notOk(isAlive(pid))
    await until(() => !isAlive(grandchild), 'the grandchild is gone')
  })
}

t.test('a server and what it starts stand back from the worker', { skip: process.platform !== 'linux' }, async t => {
  const own = getPriority()
  for (const niceness of [0, 7, 19]) {
    const expected = Math.min(own + niceness, 19)
    const client = await opened(t, ['leaves-a-grandchild'], { niceness })
    const { pid, grandchild } = JSON.parse(await act(client))
    for (const id of [pid, grandchild]) t.strictSame(nicenessOfThreads(id), [expected], `${niceness}: every thread`)
    const group = `/proc/${pid}/autogroup`
    // Who is not root may set it ten times a second, on the whole machine.
    if (niceness > 0 && existsSync(group) && process.geteuid?.() === 0) {
      t.match(readFileSync(group, 'utf8'), ` nice ${expected}\n`)
    }
    await client.close()
  }
})

t.test('where memory runs out, a server and what it starts are ended before the worker', {
  skip: process.platform !== 'linux'
}, async t => {
  const badnessOf = (pid: number | 'self') => Number(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8'))
  const client = await opened(t, ['leaves-a-grandchild'])
  const { pid, grandchild } = JSON.parse(await act(client))
  for (const id of [pid, grandchild]) t.equal(badnessOf(id), Math.min(badnessOf('self') + 500, 1_000))
})

/** The different values of niceness that the threads of a process have. */
function nicenessOfThreads (pid: number): number[] {
  const values = readdirSync(`/proc/${pid}/task`).map(thread => {
    const fields = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return Number(fields[16])
  })
  return [...new Set(values)]
}

t.test('a client that is closed while it opens leaves nothing, and opens no more', async t => {
  const client = createZooClient(t, ['slow-start', '5000'])
  const opening = client.open(never)
  opening.catch(() => {}) // it is awaited below
  await until(() => client.pid() !== null, 'it has begun')
  const pid = client.pid()

  await client.close()

  await t.rejects(opening)
  t.notOk(isAlive(pid ?? 0))
  const late = createZooClient(t, [])
  await late.close()
  await t.rejects(late.open(never))
  t.equal(late.pid(), null)
})

t.test('a caller who leaves during the start ends it', async t => {
  const client = createZooClient(t, ['slow-start', '5000'])
  const controller = new AbortController()
  const opening = client.open(controller.signal)
  opening.catch(() => {}) // it is awaited below
  await until(() => client.pid() !== null, 'it has begun')
  controller.abort()
  await t.rejects(opening, { code: 'MCPC_ERR_CALLER_LEFT' })
})

t.test('a server gets its own environment and nothing of ours', async t => {
  process.env.REDIS_PASSWORD = 'not-a-real-password'
  t.teardown(() => { delete process.env.REDIS_PASSWORD })
  const client = await opened(t, ['says-its-environment'])
  const seen = JSON.parse(await act(client))
  // The system's own, and what Node itself passes on to every child where coverage is measured.
  const notOurs = ['__CF_USER_TEXT_ENCODING', 'NODE_V8_COVERAGE']
  t.strictSame(Object.keys(seen).filter(name => !notOurs.includes(name)), ['PATH'])
})
