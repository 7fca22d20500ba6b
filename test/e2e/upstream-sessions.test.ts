import t from 'tap'
import { apiUrl, tokenOf } from '../support/credentials.ts'
import { startUpstream } from '../support/mcp-servers.ts'
import { bodiesOf, call, initSession, post, postTo } from '../support/requests.ts'
import { credential, serversFile } from '../support/servers-file.ts'
import { listen, serviceOn, workersOn } from '../support/service.ts'

const numbers = (bodies: Array<{ n: number }>) => bodies.map(({ n }) => n)

t.test('a session of ours has one session at the server, which any worker goes on with', async t => {
  const upstream = await startUpstream(t, 'http-2025')
  const [one, other] = await workersOn(t, 2, { up: { url: upstream.url } })
  const id = await initSession(one)
  const counts = []
  for (const worker of [one, other as typeof one, one]) counts.push((await call(worker, id, 'count')).json().n)
  t.strictSame(counts, [1, 2, 3])
  t.equal((await upstream.stats()).initialize, 1)

  const before = (await upstream.stats()).requests
  await call(other as typeof one, id, 'count')
  t.equal((await upstream.stats()).requests, before + 1, 'a call that goes on costs one request')

  const second = await initSession(one)
  t.equal(
    (await call(other as typeof one, second, 'count')).json().n,
    1,
    'another session of ours has another one there'
  )
  t.equal((await upstream.stats()).sessions, 2)

  await postTo(one, '/shutdown', { session_id: id })
  await postTo(other as typeof one, '/shutdown', { session_id: second })
  await one.deferredSettled()
  await other?.deferredSettled()
  t.equal((await upstream.stats()).sessions, 0, '/shutdown ends it')
})

t.test('with "session": "request", each request begins a session at the server and ends it', async t => {
  const upstream = await startUpstream(t, 'http-2025')
  const service = await serviceOn(t, { up: { url: upstream.url, session: 'request' } })
  const id = await initSession(service)
  t.strictSame(
    numbers(await bodiesOf<{ n: number }>([call(service, id, 'count'), call(service, id, 'count')])),
    [1, 1]
  )
  await postTo(service, '/tools', { session_id: id })
  await service.deferredSettled()
  const { initialize, http, sessions } = await upstream.stats()
  t.equal(initialize, http.DELETE)
  t.equal(sessions, 0)
})

t.test('the id of a session at the server is in no answer and in no log line', async t => {
  const upstream = await startUpstream(t, 'http-2025')
  const service = await listen(t, {
    MCP_SERVERS_FILE: await serversFile(t, { up: { url: upstream.url } }),
    MCP_LOG_LEVEL: 'trace'
  })
  const session = { session_id: 'ours', apiUrl, jwtToken: 'a.b.c' }
  const answers = []
  for (const [path, body] of [
    ['/init', {}],
    ['/tools', {}],
    ['/call-tool', { tool: 'count' }],
    ['/call-tool', { tool: 'none' }]
  ] as const) { answers.push(await post(service.url + path, { ...session, ...body })) }
  const [id] = (await upstream.requests()).flatMap(({ headers }) => headers['mcp-session-id'] ?? [])
  t.type(id, 'string')
  await upstream.control({ refuse: 500 })
  answers.push(await post(`${service.url}/call-tool`, { ...session, tool: 'count' }))
  t.equal(answers.at(-1)?.status, 502)
  await upstream.control({ refuse: null, forgetSessions: true })
  answers.push(await post(`${service.url}/call-tool`, { ...session, tool: 'count' }))
  answers.push(await post(`${service.url}/shutdown`, session))
  await service.close()
  const ids = new Set((await upstream.requests()).flatMap(({ headers }) => headers['mcp-session-id'] ?? []))
  t.equal(ids.size, 2)
  for (const id of ids) {
    t.notOk(
      (JSON.stringify(answers.map(({ body, headers }) => [body, [...headers]])) + service.output()).includes(id)
    )
  }
})

for (const [what, args] of [
  ['404', []],
  ['400', ['--unknown-session=400']]
] as const) {
  t.test(
    `a server that has forgotten its sessions (${what}) is given a new one, and the caller sees nothing of it`,
    async t => {
      const upstream = await startUpstream(t, 'http-2025', [...args])
      const [one, other] = await workersOn(t, 2, { up: { url: upstream.url } })
      const id = await initSession(one)
      t.equal((await call(one, id, 'count')).json().n, 1)

      await upstream.control({ forgetSessions: true })
      t.equal((await call(other as typeof one, id, 'count')).json().n, 1)
      t.equal((await call(one, id, 'count')).json().n, 2, 'the new one is kept')
      t.equal((await upstream.stats()).initialize, 2)
      t.equal((await upstream.stats()).calls.count, 3, 'no tool was called twice')

      await upstream.control({ forgetSessions: true })
      const workers = [one, other, one, other, one] as Array<typeof one>
      const parallel = numbers(await bodiesOf<{ n: number }>(workers.map(worker => call(worker, id, 'count'))))
      t.strictSame(parallel.sort(), [1, 2, 3, 4, 5], 'parallel calls come to the same new one')
      await Promise.all([one, other].map(worker => worker?.deferredSettled()))
      t.equal((await upstream.stats()).sessions, 1)
      t.equal((await upstream.stats()).calls.count, 8)
      t.equal((await call(one, id, 'count')).json().n, 6)
    }
  )
}

t.test('parallel first calls of a session come to one session at the server', async t => {
  const upstream = await startUpstream(t, 'http-2025')
  const [one, other] = await workersOn(t, 2, { up: { url: upstream.url } })
  const id = await initSession(one)
  t.strictSame(
    numbers(await bodiesOf<{ n: number }>([call(one, id, 'count'), call(other as typeof one, id, 'count')])).sort(),
    [1, 2]
  )
  await Promise.all([one, other].map(worker => worker?.deferredSettled()))
  t.equal((await upstream.stats()).sessions, 1)
})

for (const args of [[], ['--json']]) {
  t.test(
    `parallel calls of one session over two workers each get their own answer (${args[0] ?? 'event streams'})`,
    async t => {
      const upstream = await startUpstream(t, 'http-2025', args)
      const [one, other] = await workersOn(t, 2, { up: { url: upstream.url } }, { MCP_SESSION_MAX_CONCURRENCY: '50' })
      const id = await initSession(one)
      await call(one, id, 'count')
      const answers = await bodiesOf<{ delay?: number; text?: string }>(
        Array.from({ length: 20 }, (_, index) => {
          const worker = (index % 2 === 0 ? one : other) as typeof one
          return index % 4 < 2
            ? call(worker, id, 'slow', { delay: 300 - index })
            : call(worker, id, 'echo', { text: `text ${index}` })
        })
      )
      t.strictSame(
        answers.map(({ delay, text }) => delay ?? text),
        answers.map((_, index) => (index % 4 < 2 ? 300 - index : `text ${index}`))
      )
      t.equal((await upstream.stats()).sessions, 1)
    }
  )
}

t.test('sessions at servers end when the credentials are renewed, and only then', async t => {
  const upstreams = { named: await startUpstream(t, 'http-2025'), silent: await startUpstream(t, 'http-2025') }
  const service = await serviceOn(t, {
    named: { url: upstreams.named.url, headers: { authorization: `Bearer ${credential('jwtToken')}` } },
    silent: { url: upstreams.silent.url }
  })
  const session = { session_id: 'one', apiUrl }
  const counts = async () => [
    (await call(service, 'one', 'named__count')).json().n, (await call(service, 'one', 'silent__count')).json().n
  ]
  const [first, renewed] = [tokenOf({ sub: 'ann' }), tokenOf({ sub: 'ann' })]
  await postTo(service, '/init', { ...session, jwtToken: first })
  t.strictSame(await counts(), [1, 1])
  await postTo(service, '/init', { ...session, jwtToken: first, note: 'the same credentials' })
  t.strictSame(await counts(), [2, 2])
  await postTo(service, '/init', { ...session, jwtToken: renewed })
  await service.deferredSettled()
  for (const upstream of Object.values(upstreams)) t.equal((await upstream.stats()).sessions, 0)
  t.equal((await upstreams.named.requests()).at(-1)?.headers.authorization, `Bearer ${first}`, 'it ends as it began')
  t.strictSame(await counts(), [1, 1])
  const stranger = await postTo(service, '/init', { ...session, jwtToken: tokenOf({ sub: 'bob' }) })
  t.equal(stranger.statusCode, 403)
  t.strictSame(await counts(), [2, 2], 'nobody else ends them')
})

t.test('a session that other credentials began is not used', async t => {
  const upstream = await startUpstream(t, 'http-2025')
  const service = await serviceOn(t, {
    up: { url: upstream.url, headers: { authorization: `Bearer ${credential('jwtToken')}` } }
  })
  const session = { session_id: 'same id', apiUrl }
  const [first, renewed] = [tokenOf({ sub: 'ann' }), tokenOf({ sub: 'ann' })]
  await postTo(service, '/init', { ...session, jwtToken: first })
  t.equal((await call(service, 'same id', 'count')).json().n, 1)
  await postTo(service, '/init', { ...session, jwtToken: renewed })
  t.equal((await call(service, 'same id', 'count')).json().n, 1)
  t.equal((await call(service, 'same id', 'whoami')).json().authorization, `Bearer ${renewed}`)
})
