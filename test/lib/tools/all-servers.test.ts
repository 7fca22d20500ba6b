import t from 'tap'
import { requestAll } from '../../../lib/tools/all-servers.ts'
import { InvalidCredentialsError, McpStartError } from '../../../lib/errors.ts'

const servers = (...names: string[]) => names.map(name => ({ name }))

const failing =
  (...names: string[]) =>
    async ({ name }: { name: string }) => {
      if (names.includes(name)) throw new McpStartError(name, 'is away')
      return `answer of ${name}`
    }

t.test('answers come in the order of the servers, however long each takes', async t => {
  const pending = new Map<string, (answer: string) => void>()
  const asked = requestAll(
    servers('a', 'b'),
    ({ name }) => new Promise<string>(resolve => pending.set(name, resolve))
  )
  t.strictSame([...pending.keys()], ['a', 'b'], 'all get their request at once')
  pending.get('b')?.('second')
  pending.get('a')?.('first')
  t.strictSame(await asked, {
    answers: [
      { server: 'a', answer: 'first' },
      { server: 'b', answer: 'second' }
    ],
    pending: [],
    errors: {}
  })
})

t.test("one that fails is named, and the others' answers stay", async t => {
  t.strictSame(await requestAll(servers('a', 'b', 'c'), failing('b')), {
    answers: [
      { server: 'a', answer: 'answer of a' },
      { server: 'c', answer: 'answer of c' }
    ],
    pending: [],
    errors: { errors: { b: 'MCP server b is away' } }
  })
})

t.test('when all fail, so does it: the only one as it failed, several with all their sentences', async t => {
  await t.rejects(requestAll(servers('a'), failing('a')), {
    code: 'MCPC_ERR_MCP_START',
    message: 'MCP server a is away'
  })
  await t.rejects(requestAll(servers('a', 'b'), failing('a', 'b')), {
    code: 'MCPC_ERR_NO_SERVER',
    message: 'No MCP server answered: MCP server a is away; MCP server b is away'
  })
})

t.test('when all fail and the credentials are no longer good, the error says so', async t => {
  await t.rejects(
    requestAll(servers('a', 'b'), async server => {
      if (server.name === 'b') throw new InvalidCredentialsError('withdrawn')
      return await failing('a')(server)
    }),
    { code: 'MCPC_ERR_INVALID_CREDENTIALS', message: 'withdrawn' }
  )
})

t.test('the caller learns only that an unforeseen error happened', async t => {
  const { errors } = await requestAll(servers('a', 'b'), async server => {
    if (server.name === 'b') throw new TypeError('secret.token is not a function')
    return 1
  })
  t.strictSame(errors, { errors: { b: 'Something went wrong in the service' } })
})

t.test('where there is no server, there is no answer and no error', async t => {
  t.strictSame(await requestAll(servers(), failing()), { answers: [], pending: [], errors: {} })
})
