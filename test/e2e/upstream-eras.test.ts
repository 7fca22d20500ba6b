import t from 'tap'
import { startUpstream, type Upstream } from '../support/mcp-servers.ts'
import { redisClient } from '../support/redis.ts'
import { bodiesOf, call, initSession } from '../support/requests.ts'
import { credential } from '../support/servers-file.ts'
import { serviceOn, workersOn } from '../support/service.ts'

const discoveries = async (upstream: Upstream) => (await upstream.stats()).methods['server/discover'] ?? 0
/** A server for the tests that change nothing in it. */
const modern = await startUpstream(t, 'http-2026', ['--modern-only'])
const authorization = { headers: { authorization: `Bearer ${credential('jwtToken')}` } }

t.test('the era of a server is asked once by all workers, and a call of 2026 is then one request', async t => {
  const upstream = modern
  const prefix = `test-${crypto.randomUUID()}`
  const [one, other] = (await workersOn(t, 2, { up: { url: upstream.url } }, { MCP_SESSION_KEY_PREFIX: prefix })) as [
    Worker,
    Worker
  ]
  const id = await initSession(one)
  t.equal((await call(one, id, 'echo', { text: 'a' })).json().text, 'a')
  const redis = await redisClient(t)
  const [key = '', ...more] = await redis.keys(`mcp_era:${prefix}:*`)
  t.equal(more.length, 0)
  t.ok((await redis.ttl(key)) > 80_000)

  t.equal((await call(other, id, 'echo', { text: 'b' })).json().text, 'b')
  t.equal(await discoveries(upstream), 1)
  const { requests } = await upstream.stats()
  for (const worker of [one, other]) t.equal((await call(worker, id, 'echo', { text: 'c' })).json().text, 'c')
  t.equal((await upstream.stats()).requests, requests + 2)
})

for (const [what, value] of [
  ['gone', null],
  ['no JSON', '{'],
  ['something else', '"legacy"'],
  ['an era that is none', '{"kind":"modern"}'],
  ['an era of nonsense', '{"kind":"modern","discover":{"supportedVersions":7}}']
] as const) {
  t.test(`a server is asked again when what Redis has of its era is ${what}`, async t => {
    const upstream = modern
    const before = await discoveries(upstream)
    const prefix = `test-${crypto.randomUUID()}`
    const [one, other] = (await workersOn(
      t,
      2,
      { up: { url: upstream.url, ...authorization } },
      { MCP_SESSION_KEY_PREFIX: prefix }
    )) as [Worker, Worker]
    const id = await initSession(one)
    await call(one, id, 'echo')
    const redis = await redisClient(t)
    const [key = ''] = await redis.keys(`mcp_era:${prefix}:*`)
    await (value === null ? redis.del(key) : redis.set(key, value))
    for (const text of ['a', 'b']) t.equal((await call(other, id, 'echo', { text })).json().text, text)
    t.equal((await discoveries(upstream)) - before, 2)
    t.match(await redis.get(key), /^\{"kind":"modern","discover"/, 'and the others are told')
  })
}

t.test('credentials in the headers of two sessions never mix, whatever is remembered of the server', async t => {
  const upstream = modern
  const workers = await workersOn(
    t,
    2,
    {
      up: {
        url: `${upstream.url}?token=${credential('jwtToken')}`,
        headers: { ...authorization.headers, 'x-api-url': credential('apiUrl') }
      }
    },
    { MCP_SESSION_MAX_CONCURRENCY: '100' }
  )
  const users = await Promise.all(
    ['ann', 'bob'].map(async name => {
      const fields = { apiUrl: `https://${name}.example.com`, jwtToken: `${name}.${name}.${name}` }
      return {
        id: await initSession(workers[0], fields),
        seen: {
          status: 'success',
          authorization: `Bearer ${fields.jwtToken}`,
          'x-api-url': fields.apiUrl,
          token: fields.jwtToken
        }
      }
    })
  )
  for (let round = 0; round < 10; round++) {
    const asked = Array.from({ length: 20 }, (_, index) => ({
      user: users[index % 2],
      worker: workers[index % 4 < 2 ? 0 : 1]
    }))
    const seen = await bodiesOf(asked.map(({ user, worker }) => call(worker as Worker, user?.id ?? '', 'whoami')))
    t.strictSame(
      seen,
      asked.map(({ user }) => user?.seen)
    )
  }
  t.equal((await upstream.stats()).calls.whoami, 200)
})

for (const [what, args] of [
  ['without sessions', []],
  ['with sessions', ['--stateful']]
] as const) {
  t.test(
    `a server ${what} that changes its era is found out, there and back, and no tool is called twice`,
    async t => {
      const upstream = await startUpstream(t, 'http-2026', ['--legacy-only', ...args])
      const [one, other] = (await workersOn(t, 2, { up: { url: upstream.url, ...authorization } })) as [
        Worker,
        Worker
      ]
      const id = await initSession(one)
      let calls = 0
      const works = async (worker: Worker) => {
        const response = await call(worker, id, 'echo', { text: ++calls })
        t.equal(response.statusCode, 200, response.body)
        t.equal(response.json().text, calls)
      }
      for (const era of ['legacy', 'modern', 'legacy', 'dual', 'modern']) {
        await upstream.control({ era })
        // The second call of each lists the tools anew where the lists were of one session and now are of all, or back.
        for (const worker of [one, other, one, other]) await works(worker)
        const { requests } = await upstream.stats()
        for (const worker of [one, other]) await works(worker)
        const each = args.length === 0 && ['legacy', 'dual'].includes(era) ? 3 : 1
        t.equal((await upstream.stats()).requests - requests, 2 * each, `${era} is remembered`)
      }
      t.equal((await upstream.stats()).calls.echo, calls)
      t.ok((await discoveries(upstream)) <= 10, `it was asked ${await discoveries(upstream)} times`)
    }
  )
}

t.test(
  'an argument that a tool wants as a header arrives as one, also when the tool has changed since it was listed',
  async t => {
    const upstream = await startUpstream(t, 'http-2026', ['--modern-only'])
    const service = await serviceOn(t, { up: { url: upstream.url } })
    const id = await initSession(service)
    const located = async (city: string) => {
      const response = await call(service, id, 'locate', { city, street: 'Main' })
      t.equal(response.statusCode, 200, response.body)
      return response.json()
    }
    t.match(await located('Rome'), {
      received: { city: 'Rome', street: 'Main' },
      headers: { 'mcp-param-city': 'Rome', 'mcp-name': 'locate' }
    })
    t.match(await located('Zürich'), { received: { city: 'Zürich' }, headers: { 'mcp-param-city': /^=\?base64\?/i } })

    await upstream.control({ locateHeader: 'Town' })
    const changed = await located('Rome')
    t.match(changed, { received: { city: 'Rome' }, headers: { 'mcp-param-town': 'Rome' } })
    t.equal(changed.headers['mcp-param-city'], undefined)
    t.equal((await upstream.stats()).calls.locate, 3, 'it was called once each time')
    await located('Rome')
    const { requests } = await upstream.stats()
    await located('Rome')
    t.equal((await upstream.stats()).requests, requests + 1, 'and what it wants is known from then on')
  }
)

type Worker = Awaited<ReturnType<typeof serviceOn>>
