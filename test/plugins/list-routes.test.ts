import { createHash } from 'node:crypto'
import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { makeFolder } from '../support/folders.ts'
import { serve } from '../support/http-server.ts'
import { fixture } from '../support/paths.ts'
import { redisClient, isGiven } from '../support/redis.ts'
import { failure, initSession, postTo } from '../support/requests.ts'
import { build, listen, serviceOn } from '../support/service.ts'

const tiny = { command: process.execPath, args: [fixture('tiny-server.mjs')], lifecycle: 'shared' }
const lists = ['/tools', '/prompts', '/resources', '/resource-templates']

const get = (app: FastifyInstance, session: string, url = '/tools', headers: Record<string, string> = {}) =>
  app.inject({ url, headers: { 'x-session-id': session, ...headers } })

t.test('a list by GET is the list by POST, with a tag of its bytes', async t => {
  const app = await serviceOn(t, { tiny })
  const session = await initSession(app)
  for (const path of lists) {
    const posted = await postTo(app, path, { session_id: session })
    const got = await get(app, session, path)
    t.strictSame([posted.statusCode, got.statusCode, got.body], [200, 200, posted.body], path)
    t.equal(posted.headers.etag, undefined)
    t.match(got.headers, {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'private, no-cache',
      etag: `W/"${createHash('sha256').update(got.body).digest('base64url')}"`
    })
    const vary = String(got.headers.vary).split(', ')
    for (const name of ['x-session-id', 'authorization', 'x-api-key']) t.ok(vary.includes(name), name)
  }
  const head = await app.inject({ method: 'HEAD', url: '/tools', headers: { 'x-session-id': session } })
  const { headers: { etag } } = await get(app, session)
  t.match(head, { statusCode: 200, body: '', headers: { etag } })
})

t.test('a caller who has the list is told so, in whatever form it names the tag', async t => {
  const app = await serviceOn(t, { tiny })
  const session = await initSession(app)
  const { headers: { etag } } = await get(app, session)
  const tag = String(etag)
  const strong = tag.slice(2)
  for (const known of [
    tag, strong, '*', `"a", ${tag}`, `${tag}, "a"`, `W/"a",${strong}`, `"a" , "b" , ${tag} `
  ]) {
    const answer = await get(app, session, '/tools', { 'if-none-match': known, 'cache-control': 'no-cache' })
    t.match(answer, {
      statusCode: 304, body: '', headers: { etag, 'cache-control': 'private, no-cache', vary: /x-session-id/ }
    }, known)
    t.equal(answer.headers['content-type'], undefined)
  }
  for (const other of ['"a"', 'W/"a"', '', strong.slice(1, -1), `${tag}x`, '"*"', tag.replace('W/', 'w/')]) {
    const answer = await get(app, session, '/tools', { 'if-none-match': other })
    t.match(answer, { statusCode: 200, body: /"tools"/, headers: { etag } }, other)
  }
  const head = await app.inject({
    method: 'HEAD', url: '/tools', headers: { 'x-session-id': session, 'if-none-match': tag }
  })
  t.equal(head.statusCode, 304)
  const posted = await app.inject({
    method: 'POST', url: '/tools', payload: { session_id: session }, headers: { 'if-none-match': '*' }
  })
  t.equal(posted.statusCode, 200, 'a POST has no condition')
})

t.test('a condition of a fetch works over a socket, and so does one of a page that may call', async t => {
  const page = 'https://app.example.com'
  const { url } = await listen(t, { MCP_ALLOWED_ORIGINS: page })
  const open = await fetch(`${url}/sessions`, { method: 'POST', body: JSON.stringify({ apiUrl, jwtToken }) })
  const { session_id: session } = await open.json() as { session_id: string }
  const headers = { 'x-session-id': session, origin: page }
  const first = await fetch(`${url}/tools`, { headers })
  t.equal(first.status, 200)
  t.match(first.headers.get('access-control-expose-headers'), /\bETag\b/)
  t.match(first.headers.get('vary'), /Origin/)
  t.match(first.headers.get('vary'), /x-session-id/)
  const second = await fetch(`${url}/tools`, { headers: { ...headers, 'if-none-match': first.headers.get('etag') ?? '' } })
  t.equal(second.status, 304)
  t.equal(await second.text(), '')
  t.equal(second.headers.get('access-control-allow-origin'), page)
  const preflight = await fetch(`${url}/tools`, {
    method: 'OPTIONS', headers: { origin: page, 'access-control-request-method': 'GET' }
  })
  t.match(preflight.headers.get('access-control-allow-headers'), /If-None-Match/)
})

t.test('the tag changes with whatever is in the list', async t => {
  const folder = await makeFolder(t)
  const calls = join(folder, 'calls')
  const asked = join(folder, 'lists')
  for (const file of [calls, asked]) await writeFile(`${file}.go`, '')
  const app = await serviceOn(t, {
    tiny,
    counting: { command: process.execPath, args: [fixture('counting-server.mjs'), calls, asked] }
  }, { MCP_TOOLS_CACHE_TTL: '0' })
  const session = await initSession(app)
  const tagOf = async (url = '/tools') => (await get(app, session, url)).headers.etag
  const whole = await tagOf()
  t.equal(await tagOf(), whole, 'the same list has the same tag')
  const tags = [whole, await tagOf('/tools?server=tiny'), await tagOf('/tools?server=counting')]
  await appendFile(`${asked}.fail`, '')
  const failing = await get(app, session)
  t.equal(failing.statusCode, 200)
  t.match(failing.json(), { errors: { counting: /the list is broken/ } })
  tags.push(failing.headers.etag)
  t.equal(new Set(tags).size, 4)
})

t.test('a list by GET is the session\'s own, as one by POST is', async t => {
  const keys = `one:${createHash('sha256').update('k1').digest('hex')},two:${createHash('sha256').update('k2').digest('hex')}`
  const app = await build(t, {
    MCP_CLIENT_API_KEYS: keys, MCP_SESSION_TOKENS: 'required', MCP_RATE_LIMIT_PER_MINUTE: '5', MCP_AUDIT_LOG: 'off'
  })
  const opened = await app.inject({
    method: 'POST', url: '/sessions', payload: { apiUrl, jwtToken }, headers: { 'x-api-key': 'k1' }
  })
  const { session_id: session, session_token: token } = opened.json()
  const own = { 'x-api-key': 'k1', authorization: `Bearer ${token}` }
  const good = await get(app, session, '/tools', own)
  t.equal(good.statusCode, 200)
  const condition = { 'if-none-match': '*' }
  for (const [headers, status] of [
    [{}, 401],
    [{ 'x-api-key': 'k2', authorization: `Bearer ${token}` }, 409],
    [{ 'x-api-key': 'k1' }, 409],
    [{ 'x-api-key': 'k1', authorization: 'Bearer wrong' }, 409]
  ] as Array<[Record<string, string>, number]>) {
    for (const more of [{}, condition]) {
      const answer = await get(app, session, '/tools', { ...headers, ...more })
      t.strictSame(
        [answer.statusCode, answer.headers.etag, answer.headers['cache-control']], [status, undefined, 'no-store']
      )
    }
  }
  const redis = await redisClient(t)
  const [key = ''] = await redis.keys(`${app.config.session.keyPrefix}:*${session}`)
  await redis.expire(key, 50)
  t.equal((await get(app, session, '/tools', { ...own, ...condition })).statusCode, 304)
  t.ok(await isGiven(redis, key, 86_400), 'an answer 304 restarts the idle TTL')

  const statuses = []
  while (statuses.length < 4) statuses.push((await get(app, session, '/tools', { ...own, ...condition })).statusCode)
  t.equal(statuses.at(-1), 429, 'an answer 304 counts for the rate, too')
})

t.test('a list by GET without a session is refused as other requests are', async t => {
  const app = await build(t)
  for (const path of lists) {
    const nameless = await app.inject(path)
    t.strictSame([nameless.statusCode, nameless.json()], [400, failure('MISSING_FIELD', 'Missing X-Session-Id')])
  }
  for (const url of ['/tools?session_id=nobody', '/tools?session_id=a&server=tiny-server']) {
    t.equal((await app.inject(url)).statusCode, 400, 'an id is not taken from an address, which is logged')
  }
  const unknown = await get(app, 'nobody', '/tools', { 'if-none-match': '*' })
  t.strictSame(
    [unknown.statusCode, unknown.json().code, unknown.headers.etag], [409, 'MCPC_ERR_SESSION_NOT_FOUND', undefined]
  )
})

t.test('a listing of some servers asks only these, and their names stay as they are', async t => {
  const untouched = await serve(t, (request, response) => response.writeHead(500).end())
  const app = await serviceOn(t, {
    a: { ...tiny, includeTools: ['echo'] },
    'my b': { ...tiny, includeTools: ['count'] },
    far: { url: untouched.url }
  })
  const session = await initSession(app)
  const namesOf = ({ tools }: { tools: Array<{ name: string }> }) => tools.map(({ name }) => name)
  const byPost = async (servers: unknown) =>
    (await postTo(app, '/tools', { session_id: session, servers })).json()
  const byGet = async (query: string) => (await get(app, session, `/tools?${query}`)).json()

  for (const body of [await byPost(['a']), await byGet('server=a'), await byPost(['a', 'a'])]) {
    t.strictSame(namesOf(body), ['a__echo'])
    t.equal(body.errors, undefined)
  }
  t.equal(app.processCounts().alive, 1, 'the other process is not started')
  for (const body of [
    await byPost(['my b', 'a']), await byGet('server=my%20b&server=a'), await byGet('server=a&server=my+b&server=a')
  ]) t.strictSame(namesOf(body), ['a__echo', 'my_b__count'], 'in the order of the file')
  t.equal(untouched.requests.length, 0)

  const whole = await byGet('')
  t.strictSame(namesOf(whole), ['a__echo', 'my_b__count'])
  t.strictSame(Object.keys(whole.errors), ['far'])
  const asked = untouched.requests.length
  t.ok(asked > 0)
  for (const path of lists) t.equal((await get(app, session, `${path}?server=a`)).statusCode, 200)
  t.equal(untouched.requests.length, asked)

  const only = await get(app, session, '/tools?server=far')
  t.strictSame([only.statusCode, only.json().status], [502, 'error'], 'the only one that is asked fails')
})

t.test('servers that there are not, or names that are none, are refused before a server is asked', async t => {
  const app = await serviceOn(t, { a: tiny, b: tiny })
  const session = await initSession(app)
  const there = 'one or more of a, b'
  const array = 'an array of names of servers, one at least'
  const name = 'the name of a server'
  for (const [servers, field, rule] of [
    [['c'], 'servers', there], [['a', 'c'], 'servers', there], [['A'], 'servers', there], [['a '], 'servers', there],
    [['__proto__'], 'servers', there], [['constructor'], 'servers', there], [['*'], 'servers', there],
    [[], 'servers', array], ['a', 'servers', array], [null, 'servers', array], [{ a: 1 }, 'servers', array],
    [true, 'servers', array], [1, 'servers', array], [[''], 'servers.0', name], [['a', 1], 'servers.1', name],
    [[null], 'servers.0', name], [[['a']], 'servers.0', name], [['a'.repeat(1_025)], 'servers.0', name]
  ] as Array<[unknown, string, string]>) {
    const answer = await postTo(app, '/tools', { session_id: session, servers })
    t.equal(answer.statusCode, 400, JSON.stringify(servers))
    t.strictSame(answer.json(), failure('INVALID_FIELD', `${field} must be ${rule}`))
  }
  for (const [query, rule] of [
    ['server=c', there], ['server=a&server=c', there], ['server=a,b', there], ['server=%00', there],
    ['server=', name], ['server', name], ['server=a&server=', name], [`server=${'a'.repeat(1_025)}`, name]
  ] as Array<[string, string]>) {
    const answer = await get(app, session, `/tools?${query}`, { 'if-none-match': '*' })
    t.equal(answer.statusCode, 400, query)
    t.strictSame(answer.json(), failure('INVALID_FIELD', `server must be ${rule}`), query)
  }
  t.equal(app.processCounts().alive, 0)
  t.equal((await get(app, session, '/tools?servers=c&page=2&__proto__=1')).statusCode, 200, 'other names say nothing')
})
