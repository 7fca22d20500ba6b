import t from 'tap'
import { startUpstream } from '../support/mcp-servers.ts'
import { initSession, postTo } from '../support/requests.ts'
import { serviceOn, workersOn } from '../support/service.ts'
import { credential } from '../support/servers-file.ts'

/** A short run by default; .ci/run says 2000. */
const total = Number(process.env.TWO_USERS_REQUESTS ?? 400)
const concurrency = 16

const users = ['alice', 'bob'] as const
type User = (typeof users)[number]
const markOf = (user: User) => `mark-of-${user}`
const rivalOf = (user: User): User => user === 'alice' ? 'bob' : 'alice'

const headers = { authorization: `Bearer ${credential('jwtToken')}` }

type Service = Awaited<ReturnType<typeof serviceOn>>
type Personal = Awaited<ReturnType<typeof startUpstream>>

const listedAt = async (upstream: Personal) =>
  (await upstream.stats() as unknown as { listed: Record<string, number> }).listed

/** What a user can ask for, on one server. Every answer has the user's mark, or is the same for all. */
const requests: Record<string, (server: string, user: User) => [path: string, body: object]> = {
  tools: () => ['/tools', {}],
  resources: () => ['/resources', {}],
  templates: () => ['/resource-templates', {}],
  prompts: () => ['/prompts', {}],
  whoami: server => ['/call-tool', { tool: `${server}__whoami` }],
  own: (server, user) => ['/call-tool', { tool: `${server}__tool-${markOf(user)}` }],
  resource: (server, user) => ['/read-resource', { uri: `mine://${server}/${markOf(user)}` }],
  found: (server, user) => ['/read-resource', { uri: `find://${server}/${markOf(user)}/7` }],
  prompt: server => ['/get-prompt', { name: `${server}__hello` }],
  completion: server => ['/complete', {
    ref: { type: 'ref/prompt', name: `${server}__hello` }, argument: { name: 'a', value: '' }
  }],
  question: () => ['/call-tool', { tool: 'modern__ask' }]
}
const kinds = Object.keys(requests)
const servers = ['kept', 'header', 'modern']

t.test(`two users, three kinds of session at a server, ${total} interleaved requests: nothing of one at the other`, async t => {
  t.setTimeout(Math.max(60_000, total * 100))
  const upstream = await startUpstream(t, 'personal')
  const entries = {
    kept: { url: `${upstream.url}?kind=kept`, values: 'chain' },
    header: { url: `${upstream.url}?kind=header`, session: 'request', headers },
    modern: { url: `${upstream.url}?kind=modern`, headers }
  }
  // Lists are forgotten all the time, and asked for by both users at once.
  const env = { MCP_TOOLS_CACHE_TTL: '1', MCP_ELICITATION: 'on', MCP_SESSION_MAX_CONCURRENCY: '100' }
  const workers = await workersOn(t, 2, entries, env)
  const [first] = workers
  for (const user of users) {
    await initSession(first, { session_id: user, jwtToken: `${user}.b.c` })
    const login = await postTo(first, '/call-tool', { session_id: user, tool: 'kept__login' })
    t.equal(login.statusCode, 200, login.body)
  }

  const faults: string[] = []
  const asked = new Map<string, number>()
  async function ask (index: number): Promise<void> {
    const user = users[index % 2] as User
    const round = index >> 1 // both ask for the same at the same time
    const kind = kinds[round % kinds.length] as string
    const server = servers[Math.floor(round / kinds.length) % servers.length] as string
    const worker = workers[(round + (index % 3 === 0 ? 1 : 0)) % 2] as Service
    const [path, body] = requests[kind]?.(server, user) ?? ['', {}]
    let response = await postTo(worker, path, { session_id: user, ...body })
    if (response.statusCode === 202) {
      const { continue: token } = response.json()
      const responses = { who: { action: 'accept', content: { me: user } } }
      if (!response.body.includes(markOf(user))) faults.push(`${user} was asked ${response.body}`)
      response = await postTo(worker, path, { session_id: user, continue: token, responses })
    }
    asked.set(`${kind} ${response.statusCode}`, (asked.get(`${kind} ${response.statusCode}`) ?? 0) + 1)
    const isOwn = response.statusCode === 200 && response.body.includes(markOf(user))
    if (!isOwn || response.body.includes(markOf(rivalOf(user)))) {
      faults.push(`${user}, ${kind} of ${server}: ${response.statusCode} ${response.body}`)
    }
  }
  let next = 0
  await Promise.all(Array.from({ length: concurrency }, async () => {
    while (next < total) await ask(next++)
  }))
  t.strictSame(faults.slice(0, 5), [])
  t.equal(asked.size, kinds.length, [...asked].join('; '))

  const bare = await first.inject('/tools-schema')
  t.notMatch(bare.body, /mark-of-/, 'a list without a session is nobody\'s')
})

t.test('who asks first does not decide what others see of a server that keeps sessions', async t => {
  const upstream = await startUpstream(t, 'personal')
  const service = await serviceOn(t, { up: { url: `${upstream.url}?kind=kept`, values: 'chain' } })
  const lists = async (user: User) => {
    const paths = ['/tools', '/resources', '/resource-templates', '/prompts']
    const bodies = await Promise.all(paths.map(path => postTo(service, path, { session_id: user })))
    return bodies.map(({ body }) => body).join('\n')
  }
  await initSession(service, { session_id: 'alice', jwtToken: 'alice.b.c' })
  await postTo(service, '/call-tool', { session_id: 'alice', tool: 'login' })
  // Lists from before the call are remembered: those of the call are asked for by a session that begins with it.
  await lists('alice')
  await initSession(service, { session_id: 'bob', jwtToken: 'bob.b.c' })
  t.notMatch(await lists('bob'), /alice/)
  t.notMatch((await service.inject('/tools-schema')).body, /alice/)
  const read = await postTo(service, '/read-resource', { session_id: 'bob', uri: 'mine://kept/nobody' })
  t.match(read.json(), { contents: [{ text: 'read by nobody' }] })

  // The same id, another session: what was remembered for the one is not shown to the other.
  await postTo(service, '/shutdown', { session_id: 'alice' })
  await initSession(service, { session_id: 'alice', jwtToken: 'eve.b.c' })
  t.notMatch(await lists('alice'), /mark-of-alice/)
})

t.test('a list is one for all where the server cannot know who asks', async t => {
  const upstream = await startUpstream(t, 'personal')
  const all = { plain: { url: `${upstream.url}?kind=plain` }, kept: { url: `${upstream.url}?kind=kept` } }
  const service = await serviceOn(t, all, { MCP_TOOLS_CACHE_TTL: '3600' })
  for (const user of ['a', 'b', 'c', 'd']) {
    await initSession(service, { session_id: user, jwtToken: `${user}.b.c` })
    for (const path of ['/tools', '/tools']) t.equal((await postTo(service, path, { session_id: user })).statusCode, 200)
  }
  t.match(await listedAt(upstream), { 'plain tools/list': 1, 'kept tools/list': 4 })
})

t.test('a server that begins to keep sessions shows nobody the list of another', async t => {
  const upstream = await startUpstream(t, 'http-2026', ['--legacy-only', '--stateful'])
  await upstream.control({ era: 'modern' })
  const service = await serviceOn(t, { up: { url: upstream.url } }, { MCP_TOOLS_CACHE_TTL: '1' })
  for (const user of users) await initSession(service, { session_id: user, jwtToken: `${user}.b.c` })
  const lists = (user: User) => postTo(service, '/tools', { session_id: user })
  t.equal((await lists('alice')).statusCode, 200)
  await upstream.control({ era: 'legacy' })
  await new Promise(resolve => setTimeout(resolve, 1_100)) // what is remembered is too old by then
  const answers = await Promise.all([lists('alice'), lists('bob'), lists('alice'), lists('bob')])
  for (const { statusCode, body } of answers) t.equal(statusCode, 200, body)
  t.equal((await upstream.stats()).sessions, 2, 'each was asked in a session of its own')
})
