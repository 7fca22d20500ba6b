import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { cases } from '../support/cases.ts'
import { apiUrl } from '../support/credentials.ts'
import { startUpstream } from '../support/mcp-servers.ts'
import { redisClient } from '../support/redis.ts'
import { serviceOn } from '../support/service.ts'
import { credential } from '../support/servers-file.ts'

type Headers = Record<string, string>

const hash = (text: string) => createHash('sha256').update(text).digest('hex')
const markOf = (user: string) => `mark-of-${user}`
const kinds = ['header', 'kept', 'modern'] as const
const paths = ['/openapi.json', ...kinds.map(kind => `/openapi/${kind}.json`)]

const { url } = await startUpstream(t, 'personal')

/** Three servers that show to each user only what is theirs, two API keys, and sessions with tokens. */
async function startPersonal (t: Test, MCP_TOOLS_CACHE_TTL: string) {
  const headers = { authorization: `Bearer ${credential('jwtToken')}` }
  const app = await serviceOn(t, {
    header: { url: `${url}?kind=header`, session: 'request', headers },
    kept: { url: `${url}?kind=kept`, values: 'chain' },
    modern: { url: `${url}?kind=modern`, headers }
  }, { MCP_CLIENT_API_KEYS: `one:${hash('k1')},two:${hash('k2')}`, MCP_SESSION_TOKENS: 'required', MCP_TOOLS_CACHE_TTL })

  /** Opens a session, which makes itself known to the server that keeps one. Gives what its requests carry. */
  async function open (user: string, key: string, id = user): Promise<Headers> {
    const payload = { session_id: id, apiUrl, jwtToken: `${user}.b.c` }
    const opened = await app.inject({ method: 'POST', url: '/init', payload, headers: { 'x-api-key': key } })
    const own = {
      'x-api-key': key, 'x-session-id': id, authorization: `Bearer ${opened.json<Record<string, string>>().session_token}`
    }
    const login = await app.inject({ method: 'POST', url: '/tools/kept__login', headers: own, payload: {} })
    t.equal(login.statusCode, 200, login.body)
    return own
  }

  const get = (url: string, headers: Headers) => app.inject({ url, headers })
  return { app, open, get }
}

for (const ttl of ['0', '3600']) {
  t.test('the tools of a session are in no document but its own', async t => {
    const { app, open, get } = await startPersonal(t, ttl)
    const users: Record<string, Headers> = {
      alice: await open('alice', 'k1'), bob: await open('bob', 'k1'), carol: await open('carol', 'k2')
    }
    const names = Object.keys(users)
    const nobody = { 'x-api-key': 'k1' }

    // All ask at once for what nobody has asked for, and again for what is remembered.
    const tags = new Map<string, string>()
    for (const round of ['first', 'again']) {
      await Promise.all(paths.flatMap(path => Object.entries(users).map(async ([user, headers]) => {
        const { statusCode, body, headers: { etag, vary, 'cache-control': cache } } = await get(path, headers)
        t.equal(statusCode, 200, `${user} ${path}`)
        // What is remembered of the server that keeps sessions is from before the session was known there.
        const expected = kinds.filter(kind => path === '/openapi.json' || path.includes(kind))
          .filter(kind => kind !== 'kept' || ttl === '0')
        t.strictSame(
          kinds.filter(kind => body.includes(`"/tools/${kind}__tool-${markOf(user)}"`)), expected, `${round}: ${user} ${path}`
        )
        t.strictSame(names.filter(name => name !== user && body.includes(name)), [], 'nothing of others')
        t.equal(cache, 'private, no-cache')
        for (const name of ['x-session-id', 'authorization', 'x-api-key']) t.ok(String(vary).split(', ').includes(name))
        if (round === 'again') t.equal(etag, tags.get(`${user} ${path}`), 'the same document has the same tag')
        tags.set(`${user} ${path}`, String(etag))
      })))
    }
    if (ttl === '0') t.equal(new Set(tags.values()).size, tags.size)

    // A tag is worth a 304 to the session whose document it is of.
    for (const path of paths) {
      const tag = tags.get(`alice ${path}`) ?? ''
      const known = await get(path, { ...users.alice, 'if-none-match': tag })
      t.match(known, { statusCode: 304, body: '', headers: { etag: tag, 'cache-control': 'private, no-cache' } })
      t.match(known.headers.vary, /x-session-id/)
      if (path.includes('header')) t.equal((await get(path, { ...users.bob, 'if-none-match': tag })).statusCode, 200)
    }
    const head = await app.inject({ method: 'HEAD', url: '/openapi.json', headers: { ...users.alice } })
    t.match(head, { statusCode: 200, body: '', headers: { etag: tags.get('alice /openapi.json') } })

    // Without a session: the server that asks for no credential, as it is for nobody.
    const everybodys = await get('/openapi.json', nobody)
    t.match(everybodys, { statusCode: 200, body: /"\/tools\/kept__whoami"/ })
    t.notMatch(everybodys.body, /alice|bob|carol|header__|modern__|server header/)
    const kept = await get('/openapi/kept.json', nobody)
    t.match(kept, { statusCode: 200, body: /Says nobody/ })
    t.notMatch(kept.body, /alice|bob|carol/)

    // The same id, another session.
    await app.inject({ method: 'DELETE', url: '/session', headers: { ...users.alice } })
    const eve = await open('eve', 'k1', 'alice')
    for (const path of paths.filter(path => !path.includes('kept'))) {
      const { statusCode, body } = await get(path, { ...eve, 'if-none-match': tags.get(`alice ${path}`) ?? '' })
      t.equal(statusCode, 200)
      t.match(body, markOf('eve'))
      t.notMatch(body, markOf('alice'))
    }
  })
}

t.test('who has no session of the name gets no document of it, not even by its tag', async t => {
  const { app, open, get } = await startPersonal(t, '3600')
  const alice = await open('alice', 'k1')
  const bob = await open('bob', 'k1')
  const ended = await open('ended', 'k1')
  await app.inject({ method: 'DELETE', url: '/session', headers: ended })
  const expired = await open('expired', 'k1')
  const redis = await redisClient(t)
  for (const key of await redis.keys(`${app.config.session.keyPrefix}:*expired`)) await redis.pexpire(key, 0)

  const { 'x-session-id': id = '', authorization = '', ...key } = alice
  const named = { ...key, 'x-session-id': id }
  const refused: Array<[who: string, headers: Headers, status: number, code: string]> = [
    ['nobody', {}, 401, 'API_KEY'],
    ['a session without a key', { 'x-session-id': id, authorization }, 401, 'API_KEY'],
    ['another client', { ...alice, 'x-api-key': 'k2' }, 409, 'SESSION_NOT_FOUND'],
    ['another client without a token', { 'x-session-id': id, 'x-api-key': 'k2' }, 409, 'SESSION_NOT_FOUND'],
    ['no token', named, 409, 'SESSION_NOT_FOUND'],
    ['a wrong token', { ...named, authorization: 'Bearer wrong' }, 409, 'SESSION_NOT_FOUND'],
    ['the token of another session', { ...named, authorization: bob.authorization ?? '' }, 409, 'SESSION_NOT_FOUND'],
    ['a token in another scheme', { ...named, authorization: authorization.replace('Bearer', 'Basic') },
      409, 'SESSION_NOT_FOUND'],
    ['an unknown session', { ...alice, 'x-session-id': 'nobody' }, 409, 'SESSION_NOT_FOUND'],
    ['the id in other letters', { ...alice, 'x-session-id': id.toUpperCase() }, 409, 'SESSION_NOT_FOUND'],
    ['a pattern of ids', { ...alice, 'x-session-id': '*' }, 409, 'SESSION_NOT_FOUND'],
    ['two ids', { ...bob, 'x-session-id': 'bob, alice' }, 409, 'SESSION_NOT_FOUND'],
    ['an id that is none', { ...alice, 'x-session-id': 'x'.repeat(257) }, 400, 'INVALID_FIELD'],
    ['an ended session', ended, 409, 'SESSION_NOT_FOUND'],
    ['an expired session', expired, 409, 'SESSION_NOT_FOUND']
  ]
  for (const path of cases(paths, 2)) {
    const tag = String((await get(path, alice)).headers.etag)
    for (const [who, headers, status, code] of refused) {
      for (const condition of [{}, { 'if-none-match': tag }, { 'if-none-match': '*' }]) {
        const { statusCode, body, headers: { etag, 'cache-control': cache } } = await get(path, { ...headers, ...condition })
        t.strictSame([statusCode, etag, cache], [status, undefined, 'no-store'], `${who} ${path}`)
        t.match(body, `MCPC_ERR_${code}`, who)
        t.notMatch(body, /mark-of-|"paths"/, who)
      }
    }
  }

  // Anywhere but in the header an id says nothing: the document is everybody's.
  const key1 = { 'x-api-key': 'k1' }
  const asides: Array<[query: string, headers: Headers]> = [
    ['?session_id=alice&x-session-id=alice', key1], ['', { ...key1, cookie: 'x-session-id=alice; session_id=alice' }],
    ['', { ...key1, authorization }], ['', { ...key1, authorization, 'x-session-id': '' }], ['?server=header', key1]
  ]
  const everybodys = await get('/openapi.json', key1)
  for (const [query, headers] of asides) {
    t.equal((await get(`/openapi.json${query}`, headers)).body, everybodys.body, query)
    t.match(await get(`/openapi/header.json${query}`, headers), { statusCode: 400, body: /Missing X-Session-Id/ })
  }
  for (const path of ['/openapi/.json', '/openapi/nothing.json', '/openapi/header', '/openapi/header.json/x', '/openapi/__proto__.json']) {
    t.equal((await get(path, alice)).statusCode, 404, path)
  }
})
