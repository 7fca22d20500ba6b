import t from 'tap'
import { startUpstream } from '../support/mcp-servers.ts'
import { fixture } from '../support/paths.ts'
import { freePort } from '../support/ports.ts'
import { call, initSession, postTo } from '../support/requests.ts'
import { credential } from '../support/servers-file.ts'
import { serviceOn } from '../support/service.ts'
import { measureWaiting } from '../support/wait.ts'

interface Listed {
  tools: Array<{ name: string }>
  errors?: Record<string, string>
  status?: string
}
type Service = Awaited<ReturnType<typeof serviceOn>>

const list = async (service: Service, id: string) =>
  (await postTo(service, '/tools', { session_id: id })).json() as Listed
const namesOf = ({ tools }: Listed) => tools.map(({ name }) => name)
const stdio = (name: string, ...args: string[]) => ({
  command: process.execPath,
  args: [fixture(`${name}-server.mjs`), ...args]
})

t.test('the tools of several servers are told apart by their names, and a call goes to its server', async t => {
  const [old, modern] = [await startUpstream(t, 'http-2025'), await startUpstream(t, 'http-2026', ['--modern-only'])]
  const service = await serviceOn(t, {
    old: { url: old.url, includeTools: ['e*', 'fail'], excludeTools: ['f*l'] },
    modern: { url: modern.url, prefix: 'new', includeTools: ['echo', 'locate'] },
    local: { ...stdio('tiny'), prefix: '', includeTools: ['wait', 'count'] }
  })
  const id = await initSession(service)
  t.strictSame(namesOf(await list(service, id)), ['old__echo', 'new__echo', 'new__locate', 'count', 'wait'])
  t.strictSame(namesOf((await service.inject('/tools-schema')).json()), [
    'old__echo',
    'new__echo',
    'new__locate',
    'count',
    'wait'
  ])
  t.match((await call(service, id, 'old__echo', { text: 'a' })).json(), { text: 'a' })
  t.match((await call(service, id, 'new__locate', { city: 'Rome' })).json(), { received: { city: 'Rome' } })
  t.match((await call(service, id, 'count')).json(), { n: 1 })
  t.strictSame([(await old.stats()).calls, (await modern.stats()).calls], [{ echo: 1 }, { locate: 1 }])
  for (const unknown of [
    'echo',
    'old__fail',
    'old__none',
    'modern__echo',
    'local__wait',
    'recall',
    '__echo',
    'old__',
    'new__whoami'
  ]) {
    const response = await call(service, id, unknown)
    t.equal(response.statusCode, 404, `${unknown}: ${response.body}`)
  }
})

t.test('a server that is dead is named, and the others work; when all are, the answer is 502', async t => {
  const upstream = await startUpstream(t, 'http-2025')
  const service = await serviceOn(
    t,
    {
      up: { url: upstream.url },
      dead: { url: `http://127.0.0.1:${await freePort()}/mcp` },
      broken: stdio('zoo', 'dies-at-start')
    },
    { MCP_TOOLS_CACHE_TTL: '0' }
  )
  const id = await initSession(service)
  const errors = {
    dead: 'MCP server dead cannot be reached: ECONNREFUSED',
    broken: /^MCP server broken ended before it was ready/
  }
  for (const body of [await list(service, id), (await service.inject('/tools-schema')).json() as Listed]) {
    t.match(body.errors, errors)
    t.ok(namesOf(body).length > 5 && namesOf(body).every(name => name.startsWith('up__')))
  }
  t.equal((await call(service, id, 'up__echo')).statusCode, 200)
  t.match((await call(service, id, 'dead__echo')).json(), { code: 'MCPC_ERR_MCP_START', error: errors.dead })

  await upstream.stop()
  for (const response of [
    await postTo(service, '/tools', { session_id: id }),
    await service.inject('/tools-schema')
  ]) {
    t.equal(response.statusCode, 502)
    t.match(response.json(), {
      code: 'MCPC_ERR_NO_SERVER',
      retryable: true,
      error: /dead cannot be reached: ECONNREFUSED; .*broken ended/s
    })
  }
})

t.test('a server that never lists its tools is waited for as long as its entry says, and no longer', async t => {
  const [well, silent] = [
    await startUpstream(t, 'http-2025'),
    await startUpstream(t, 'raw-http', ['--on=tools/list', '--mode=never'])
  ]
  const mute = stdio('tool', '--mute')
  const service = await serviceOn(t, {
    well: { url: well.url },
    silent: { url: silent.url, timeouts: { list: 0.5 } },
    mute: { ...mute, timeouts: { list: 0.5 } }
  })
  const id = await initSession(service)
  const waitedMs = measureWaiting()
  const body = await list(service, id)
  t.ok(waitedMs() < 10_000) // with the default it would be a minute
  t.strictSame(body.errors, {
    silent: 'MCP server silent did not answer the list of tools in time (0.5 s)',
    mute: 'MCP server mute did not answer the list of tools in time (0.5 s)'
  })
  t.ok(namesOf(body).includes('well__echo'))
})

t.test('a list that is given for credentials is remembered for these, and shown to no others', async t => {
  const upstream = await startUpstream(t, 'http-2025')
  const service = await serviceOn(t, {
    up: { url: upstream.url, session: 'request', headers: { authorization: credential('jwtToken') } }
  })
  const [ann, bob, annAgain] = [
    await initSession(service, { jwtToken: 'a.n.n' }),
    await initSession(service, { jwtToken: 'b.o.b' }),
    await initSession(service, { jwtToken: 'a.n.n' })
  ]
  const lists = async () => (await upstream.stats()).methods['tools/list']
  await list(service, ann)
  await list(service, ann)
  await list(service, annAgain)
  t.equal(await lists(), 1)
  await upstream.control({ addTool: 'onlyForBob' })
  t.ok(namesOf(await list(service, bob)).includes('onlyForBob'))
  t.notOk(namesOf(await list(service, ann)).includes('onlyForBob'))
  t.equal(await lists(), 2)
  t.strictSame(
    (await upstream.requests())
      .filter(({ method }) => method === 'tools/list')
      .map(({ headers }) => headers.authorization),
    ['a.n.n', 'b.o.b']
  )
})

t.test('what a server says of how long its list may be kept is kept to', async t => {
  for (const [ttl, listings] of [
    ['0', 3],
    ['600000', 1]
  ] as const) {
    const upstream = await startUpstream(t, 'http-2026', ['--modern-only', `--ttl=${ttl}`])
    const service = await serviceOn(t, { up: { url: upstream.url } })
    const id = await initSession(service)
    for (let times = 0; times < 3; times++) await list(service, id)
    for (let times = 0; times < 3; times++) await call(service, id, 'echo')
    t.equal((await upstream.stats()).methods['tools/list'], listings, `${ttl} ms; a call needs no listing`)
  }
})

t.test('a long list is followed page by page', async t => {
  for (const name of ['http-2025', 'http-2026']) {
    const upstream = await startUpstream(t, name, ['--tools=50', '--page-size=7'])
    const service = await serviceOn(t, { up: { url: upstream.url } })
    const names = namesOf(await list(service, await initSession(service)))
    t.ok(names.length > 60 && names.includes('tool49'))
    t.equal(new Set(names).size, names.length)
  }
})

t.test('a server that says that its tools have changed is asked anew', async t => {
  const changing = { ...stdio('changing'), lifecycle: 'shared' }
  const service = await serviceOn(t, { one: changing, each: stdio('changing') })
  const id = await initSession(service)
  for (const server of ['one', 'each']) {
    t.notOk(namesOf(await list(service, id)).includes(`${server}__added`))
    t.equal((await call(service, id, `${server}__add`)).statusCode, 200)
    await service.deferredSettled()
  }
  t.ok(namesOf(await list(service, id)).includes('one__added'), 'it is the process that all use')
  const response = await call(service, id, 'one__added')
  t.equal(response.statusCode, 200, response.body)
})

t.test('a server that says so in the stream of a call is asked anew', async t => {
  const upstream = await startUpstream(t, 'http-2025')
  const service = await serviceOn(t, { up: { url: upstream.url } })
  const id = await initSession(service)
  t.notOk(namesOf(await list(service, id)).includes('added'))
  t.equal((await call(service, id, 'add', { name: 'added' })).statusCode, 200)
  t.ok(namesOf(await list(service, id)).includes('added'))
})
