import t from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { fixture } from '../support/paths.ts'
import { redisClient } from '../support/redis.ts'
import { call, failure, initSession } from '../support/requests.ts'
import { build } from '../support/service.ts'

const tools = { MCP_SERVERS_FILE: fixture('shared-tool-server.json') }
const byId = (id: string) => ({ 'x-session-id': id })

t.test('a session is shown without what is in it', async t => {
  const app = await build(t, { ...tools, MCP_SESSION_IDLE_TTL: '100', MCP_SESSION_MAX_LIFETIME: '1000' })
  const redis = await redisClient(t)
  const id = await initSession(app, { name: "a value that is nobody's business", rows: [1, 2, 3] })
  await call(app, id, 'recall')
  await redis.expire(`${app.config.session.keyPrefix}:${id}`, 50)

  const response = await app.inject({ url: '/session', headers: byId(id) })

  t.equal(response.statusCode, 200)
  const {
    created_at: createdAt,
    idle_seconds_left: idle,
    lifetime_seconds_left: lifetime,
    last_call: lastCall,
    values,
    ...rest
  } = response.json()
  t.strictSame(rest, {
    status: 'ok',
    session_id: id,
    calls: 1,
    cached_bytes: values.reduce(
      (sum: number, { name, bytes }: { name: string; bytes: number }) => sum + name.length + 2 + bytes,
      0
    )
  })
  t.ok(Math.abs(Date.parse(createdAt) - Date.now()) < 60_000)
  t.ok(idle > 98 && idle <= 100, 'looking is using')
  t.ok(lifetime > 940 && lifetime <= 1000)
  t.match(lastCall, { tool: 'recall', outcome: 'ok', duration_ms: Number, at: String })
  t.match(
    values.find(({ name }: { name: string }) => name === 'rows'),
    { name: 'rows', bytes: 7 }
  )
  for (const secret of [jwtToken, apiUrl, 'nobody']) t.notOk(response.body.includes(secret))
})

t.test('without an end of its lifetime it says so', async t => {
  const app = await build(t, { ...tools, MCP_SESSION_MAX_LIFETIME: '0' })
  const response = await app.inject({ url: '/session', headers: byId(await initSession(app)) })
  t.match(response.json(), { lifetime_seconds_left: null, last_call: null, calls: 0, values: [], cached_bytes: 0 })
})

t.test('the id is in the header', async t => {
  const app = await build(t, tools)
  for (const method of ['GET', 'DELETE'] as const) {
    for (const url of ['/session', '/session?session_id=one']) {
      const response = await app.inject({ method, url })
      t.equal(response.statusCode, 400)
      t.strictSame(response.json(), failure('MISSING_FIELD', 'Missing X-Session-Id'))
    }
    const wrong = await app.inject({ method, url: '/session', headers: byId('x'.repeat(257)) })
    t.strictSame(
      wrong.json(),
      failure('INVALID_FIELD', 'x-session-id must be a string of 1 to 256 characters without control characters')
    )
  }
  t.equal((await app.inject({ url: '/session', headers: byId('nobody') })).statusCode, 409)
  const other = await app.inject({ method: 'PUT', url: '/session' })
  t.equal(other.statusCode, 405)
  t.equal(other.headers.allow, 'GET, DELETE')
})

t.test('DELETE ends it, and answers the same when there was none', async t => {
  const app = await build(t, tools)
  const id = await initSession(app)
  for (let time = 0; time < 2; time++) {
    const response = await app.inject({ method: 'DELETE', url: '/session', headers: byId(id) })
    t.equal(response.statusCode, 200)
    t.strictSame(response.json(), { status: 'ok', message: `Session ${id} shut down.` })
  }
  t.equal((await call(app, id, 'recall')).statusCode, 409)
})
