import t, { type Test } from 'tap'
import { textOf } from '../../../../lib/json-text.ts'
import {
  type ConnectionRequest, createProtocolConnection, type ProtocolConnectionOptions
} from '../../../../lib/mcp/client/protocol-connection.ts'
import type { RpcValue } from '../../../../lib/mcp/client/rpc-message.ts'
import type { MessageText } from '../../../../lib/mcp/transports/text-transport.ts'

const jsonOf = ({ document, node }: RpcValue) => textOf(document, node)
const response = (id: unknown, member = '"result":{"ok":1}') => `{"jsonrpc":"2.0","id":${JSON.stringify(id)},${member}}`

/** A connection whose other end is the test: it sees what is sent, and gives what is received. */
function connect (options: Partial<ProtocolConnectionOptions> = {}) {
  const sent: MessageText[] = []
  const notified: string[] = []
  const connection = createProtocolConnection({
    send: async message => { sent.push(message) },
    firstId: 1,
    isExclusive: true,
    declaresElicitation: false,
    answersRequests: () => true,
    hasExchanges: false,
    sendsCancellation: () => true,
    onNotification: (method, params) => notified.push(`${method} ${params && jsonOf(params)}`),
    ...options
  })
  const ask = (request: Partial<ConnectionRequest> = {}) =>
    connection.request({ method: 'tools/call', params: () => '{}', timeoutMs: 10_000, ...request }).then(jsonOf)
  return { connection, sent, notified, ask }
}

// The connection's own timers keep no process alive.
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

/** The outcome of a request that must be settled by now: its answer, its error's name and message, or `waits`. */
async function outcomeOf (asking: Promise<string>): Promise<string> {
  const settled = asking.catch((error: Error) => `${error.name}: ${error.message}`)
  return await Promise.race([settled, new Promise<string>(resolve => setImmediate(resolve, 'waits'))])
}

t.test('a request carries its id and its params as they are', async t => {
  const { connection, sent, ask } = connect({ firstId: 40 })
  const asking = ask({ params: id => `{"n": 12345678901234567890, "token":${id}}` })
  t.equal(sent[0]?.text, '{"jsonrpc":"2.0","id":40,"method":"tools/call","params":{"n": 12345678901234567890, "token":40}}')
  connection.receive('{"jsonrpc":"2.0","id":40,"result":{ "n": 1e400 }}')
  t.equal(await asking, '{ "n": 1e400 }')
})

t.test('a response finds its request, whatever form its id has', async t => {
  for (const id of ['1', ' 1 ', 1.0, '1.0']) {
    const { connection, ask } = connect({ isExclusive: false })
    const asking = ask()
    connection.receive(response(id))
    t.equal(await outcomeOf(asking), '{"ok":1}', JSON.stringify(id))
  }
})

t.test('answers in any order find their requests', async t => {
  const { connection, ask } = connect({ isExclusive: false })
  const asking = [ask(), ask(), ask()]
  for (const id of [3, 1, 2]) connection.receive(response(id, `"result":{"for":${id}}`))
  t.strictSame(await Promise.all(asking), ['{"for":1}', '{"for":2}', '{"for":3}'])
})

/** Ids that name no request of ours. */
const strangeIds = [null, 'another', 99, -1, 1.5, true, { a: 1 }, '']

t.test('a response that names no request is the only running request\'s, on a connection of its own', async t => {
  for (const id of strangeIds) {
    const { connection, ask } = connect()
    const asking = ask()
    connection.receive(response(id))
    t.equal(await outcomeOf(asking), '{"ok":1}', JSON.stringify(id))
  }
  const { connection, ask } = connect()
  const asking = ask()
  connection.receive('{"jsonrpc":"2.0","result":{"ok":1}}')
  t.equal(await outcomeOf(asking), '{"ok":1}', 'no id at all')
})

t.test('where several requests run, or one was given up, such a response is nobody\'s', async t => {
  for (const id of strangeIds) {
    const shared = connect({ isExclusive: false })
    const sharedAsking = shared.ask()
    shared.connection.receive(response(id))
    t.equal(await outcomeOf(sharedAsking), 'waits', `shared: ${JSON.stringify(id)}`)

    const several = connect()
    const asking = [several.ask(), several.ask()]
    several.connection.receive(response(id))
    for (const one of asking) t.equal(await outcomeOf(one), 'waits', `several: ${JSON.stringify(id)}`)

    const givenUp = connect()
    const controller = new AbortController()
    const first = givenUp.ask({ signal: controller.signal })
    controller.abort(new Error('left'))
    t.equal(await outcomeOf(first), 'Error: left')
    const second = givenUp.ask()
    givenUp.connection.receive(response(id))
    t.equal(await outcomeOf(second), 'waits', `given up: ${JSON.stringify(id)}`)
    for (const { connection } of [shared, several, givenUp]) connection.closed()
  }
})

t.test('an HTTP exchange that brings such a response brings it for its own request', async t => {
  for (const id of strangeIds) {
    const { connection, ask } = connect({ isExclusive: false })
    const [first, second] = [ask(), ask()]
    t.equal(connection.receive(response(id), 2), 'answer')
    t.equal(await outcomeOf(second), '{"ok":1}', JSON.stringify(id))
    t.equal(await outcomeOf(first), 'waits')
    connection.closed()
  }
})

t.test('an exchange of a client that several share answers no other request', async t => {
  const { connection, ask } = connect({ isExclusive: false })
  const [first, second] = [ask(), ask()]
  t.equal(connection.receive(response(1), 2), 'message')
  t.equal(await outcomeOf(first), 'waits')
  t.equal(await outcomeOf(second), 'waits')
  connection.closed()
})

t.test('late and repeated answers are dropped', async t => {
  const { connection, ask } = connect()
  const controller = new AbortController()
  const first = ask({ signal: controller.signal })
  controller.abort(new Error('left'))
  await outcomeOf(first)
  const second = ask()
  connection.receive(response(1, '"result":{"late":1}'))
  t.equal(await outcomeOf(second), 'waits')
  connection.receive(response(2))
  t.equal(await outcomeOf(second), '{"ok":1}')
  const third = ask()
  connection.receive(response(2, '"result":{"repeated":1}'))
  t.equal(await outcomeOf(third), 'waits')
  connection.closed()
})

t.test('an answer that cannot be used ends its request at once, quoted', async t => {
  for (const member of ['"result":null', '"result":"well"', '"result":[1]', '"result":7', '"error":null', '"error":null,"result":null']) {
    const { connection, ask } = connect({ isExclusive: false })
    const asking = ask()
    connection.receive(response(1, member))
    t.equal(await outcomeOf(asking), `UnusableAnswerError: ${response(1, member)}`)
  }
})

t.test('an error is told by its code and its sentence, in any form', async t => {
  const forms: Array<[error: string, code: number, message: string]> = [
    ['{"code":-32602,"message":"no"}', -32602, 'no'],
    ['{"code":"-32602","message":"no","data":{"n":1e400}}', -32602, 'no'],
    ['{"code":null,"message":"no"}', -32603, 'no'],
    ['{"message":"no"}', -32603, 'no'],
    ['"no"', -32603, 'no'],
    ['{"code":-32000,"message":null}', -32000, '{"code":-32000,"message":null}'],
    ['["no"]', -32603, '["no"]']
  ]
  for (const [error, code, message] of forms) {
    const { connection, ask } = connect()
    const asking = ask()
    connection.receive(response(1, `"error":${error}`))
    await t.rejects(asking, { name: 'RpcError', code, message }, error)
  }
})

t.test('progress reaches its request, in order and before the answer', async t => {
  const { connection, ask } = connect({ isExclusive: false })
  const heard: string[] = []
  const asking = ask({ onProgress: params => heard.push(jsonOf(params)) })
  const progress = (token: unknown, value: number) => connection.receive(
    `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${JSON.stringify(token)},"progress":${value}}}`
  )
  progress(1, 1)
  progress('1', 2)
  progress(2, 3)
  progress(null, 4)
  connection.receive('{"jsonrpc":"2.0","method":"notifications/progress"}')
  connection.receive(response(1))
  progress(1, 5)
  await asking
  t.strictSame(heard, ['{"progressToken":1,"progress":1}', '{"progressToken":"1","progress":2}'])
})

t.test('a silent server is given up at its deadline, and is told', async t => {
  const { sent, ask } = connect()
  await t.rejects(ask({ timeoutMs: 30 }), { name: 'RequestTimeoutError', timeoutMs: 30 })
  t.match(sent.at(-1)?.text, /^\{"jsonrpc":"2.0","method":"notifications\/cancelled","params":\{"requestId":1,/)
})

t.test('progress restarts the time of silence, and never the whole deadline', async t => {
  const { connection, ask } = connect()
  const asking = ask({ inactivityMs: 60, timeoutMs: 300, onProgress: () => {} })
  const beat = setInterval(() => connection.receive(
    '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}'
  ), 10)
  t.teardown(() => clearInterval(beat))
  await t.rejects(asking, { name: 'RequestTimeoutError', timeoutMs: 300 })
})

t.test('a handshake that is given up is not cancelled', async t => {
  for (const method of ['initialize', 'server/discover']) {
    const { sent, ask } = connect()
    await t.rejects(ask({ method, timeoutMs: 20 }), { name: 'RequestTimeoutError' })
    t.equal(sent.length, 1)
  }
})

t.test('a server\'s own requests are answered at once: a ping, and everything else refused', async t => {
  const answers = (options: Partial<ProtocolConnectionOptions>, method: string, id = '"a"') => {
    const { connection, sent } = connect(options)
    connection.receive(`{"jsonrpc":"2.0","id":${id},"method":"${method}","params":{}}`)
    return sent.map(({ text }) => text)
  }
  t.strictSame(answers({}, 'ping', '12345678901234567890'), ['{"jsonrpc":"2.0","id":12345678901234567890,"result":{}}'])
  t.strictSame(answers({ declaresElicitation: true }, 'elicitation/create'), [
    '{"jsonrpc":"2.0","id":"a","result":{"action":"decline"}}'
  ])
  for (const method of ['elicitation/create', 'sampling/createMessage', 'roots/list', 'tasks/get']) {
    t.match(answers({}, method), [/"id":"a","error":\{"code":-32601,/])
  }
})

t.test('a server of 2026 must not send requests, and gets no responses', async t => {
  const { connection, sent } = connect({ answersRequests: () => false })
  for (const method of ['ping', 'elicitation/create', 'roots/list']) {
    t.equal(connection.receive(`{"jsonrpc":"2.0","id":1,"method":"${method}"}`), 'message')
  }
  t.strictSame(sent, [])
})

t.test('noise is told from messages', async t => {
  const { connection, notified } = connect()
  for (const text of ['', 'Starting …', '{"level":"info","msg":"listening"}', '[1]', 'null', '7', '"text"', '{broken', '[]', '{}']) {
    t.equal(connection.receive(text), 'noise', text)
  }
  t.equal(connection.receive('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'), 'message')
  t.strictSame(notified, ['notifications/tools/list_changed null'])
})

t.test('the end of the connection ends every request, and every later one', async t => {
  const { connection, ask } = connect()
  const asking = [ask(), ask()]
  connection.closed()
  for (const one of asking) await t.rejects(one, { name: 'ConnectionClosedError' })
  await t.rejects(ask(), { name: 'NotSentError', cause: { name: 'ConnectionClosedError' } })
})

t.test('a message that cannot be sent ends its request with the reason', async (t: Test) => {
  const { ask } = connect({ send: async () => { throw new Error('no way') } })
  await t.rejects(ask(), { message: 'no way' })
})

t.test('a notification is never answered, whatever it is', async t => {
  for (const answersRequests of [true, false]) {
    const { connection, sent } = connect({ answersRequests: () => answersRequests })
    for (const method of [
      'notifications/message', 'notifications/progress', 'notifications/cancelled', 'notifications/unknown',
      'notifications/elicitation/complete', 'ping',
      'roots/list', ''
    ]) {
      for (const rest of ['', ',"params":{}', ',"params":{"requestId":1,"progressToken":9}', ',"params":null']) {
        connection.receive(`{"jsonrpc":"2.0","method":"${method}"${rest}}`)
      }
    }
    t.strictSame(sent, [])
  }
})
