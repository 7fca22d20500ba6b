import { randomBytes } from 'node:crypto'
import t from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { fixture } from '../support/paths.ts'
import { redisClient } from '../support/redis.ts'
import { call, callAt, callFailure, initSession, post } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { build, environment, listen } from '../support/service.ts'
import { until } from '../support/wait.ts'

const key = (id: string) => `${id}:${randomBytes(32).toString('base64')}`
const [k1, k2] = [key('k1'), key('k2')]
const tools = { MCP_SERVERS_FILE: fixture('shared-tool-server.json') }

t.test('a session is used with the old key, and sealed with the new one after the reply', async t => {
  const env = await environment(t, tools)
  const [before, rotated, after] = [
    await build(t, { ...env, MCP_ENCRYPTION_KEYS: k1 }),
    await build(t, { ...env, MCP_ENCRYPTION_KEYS: `${k2}, ${k1}` }),
    await build(t, { ...env, MCP_ENCRYPTION_KEYS: k2 })
  ]
  const redis = await redisClient(t)
  const id = await initSession(before, { name: 'Ann' })
  const keysUsed = async () => {
    const fields = Object.entries(await redis.hgetall(`${before.config.session.keyPrefix}:${id}`)).filter(([name]) =>
      /^(credentials|owner|p:)/.test(name)
    )
    return new Set(fields.map(([, text]) => text.slice(0, 6)))
  }
  t.strictSame(await keysUsed(), new Set(['s1.k1.']))

  t.strictSame((await call(rotated, id, 'recall')).json().received, { name: 'Ann' })
  await rotated.deferredSettled()
  t.strictSame(await keysUsed(), new Set(['s1.k2.']))

  t.strictSame((await call(after, id, 'recall')).json().received, { name: 'Ann' })
  t.equal(
    (await after.inject({ method: 'POST', url: '/init', payload: { session_id: id, apiUrl, jwtToken } })).statusCode,
    200,
    'its owner is known'
  )
})

t.test(
  'a session whose key is missing is a 409 and a line in the log that names the key, and others are served',
  async t => {
    const env = await environment(t, tools)
    const id = await initSession(await build(t, { ...env, MCP_ENCRYPTION_KEYS: k1 }))
    for (const [MCP_ENCRYPTION_KEYS, reason] of [
      [k2, 'is sealed with the key k1, which MCP_ENCRYPTION_KEYS does not have'],
      [undefined, 'is sealed, and MCP_ENCRYPTION_KEYS is not set']
    ] as const) {
      const service = await listen(t, { ...env, MCP_ENCRYPTION_KEYS })
      const refused = await callAt(service, id, 'recall')
      t.equal(refused.status, 409)
      t.strictSame(
        refused.body,
        callFailure('SESSION_UNREADABLE', `Session ${id} cannot be read. Please run /init first.`)
      )
      await until(() => service.output().includes(`the field credentials ${reason}`), 'the log says why')
      t.equal((await post(`${service.url}/sessions`, { apiUrl, jwtToken })).status, 201)
      t.equal((await fetch(`${service.url}/health`)).status, 200)
    }
  }
)

t.test('without a key the service says at start that nothing is sealed, once; with one it says nothing', async t => {
  for (const [MCP_ENCRYPTION_KEYS, times] of [
    [undefined, 1],
    [k1, 0]
  ] as const) {
    const service = await listen(t, { ...tools, MCP_ENCRYPTION_KEYS })
    await service.close()
    t.equal(service.output().match(/"level":"warn".*MCP_ENCRYPTION_KEYS is not set/g)?.length ?? 0, times)
  }
})

t.test('questions and sessions at servers are sealed, too', async t => {
  const app = await build(t, { ...tools, MCP_ENCRYPTION_KEYS: k1 })
  const redis = await redisClient(t)
  const id = await initSession(app)
  const session = await app.sessions.load({ id, client: null })
  if (session === null) throw new Error('no session')
  let token = ''
  await app.pendingCalls.keep(session, 'tool', {
    tool: 'a',
    name: 'a',
    args: '{"note": "canary"}',
    secretNames: ['jwtToken']
  }, given => {
    token = given
    return '{"question": "canary"}'
  })
  await app.sessions.replaceUpstream(session, 'charts', null, '{"sessionId":"canary"}')
  t.notMatch(JSON.stringify(await redis.hgetall(session.key)), /canary/)
  const taken = await app.pendingCalls.take(session, 'tool', token)
  t.match(taken, { request: { args: '{"note": "canary"}', secretNames: ['jwtToken'] } })
})

t.test('results are sealed, each piece with its place, and open with the key that they were sealed with', async t => {
  const env = await environment(t, {
    MCP_SERVERS_FILE: await serversFile(t, {
      up: { command: process.execPath, args: [fixture('results-server.mjs')], lifecycle: 'shared' }
    })
  })
  const app = await build(t, { ...env, MCP_ENCRYPTION_KEYS: k1 })
  const rotated = await build(t, { ...env, MCP_ENCRYPTION_KEYS: `${k2}, ${k1}` })
  const redis = await redisClient(t)
  const id = await initSession(app)
  const keep = async (text: string) => (await app.inject({
    method: 'POST',
    url: '/call-tool',
    payload: {
      session_id: id, tool: 'give', params: { result: JSON.stringify({ content: [{ type: 'text', text }] }) }, reference: true
    }
  })).json().ref as string
  const read = (service: typeof app, ref: string, query = '') =>
    service.inject({ url: `/results/${ref}${query}`, headers: { 'x-session-id': id } })
  const ref = await keep(`canary-${'x'.repeat(600_000)}`)
  const key = `mcp_results:{${app.config.session.keyPrefix}:${id}}`
  for (const [field, bytes] of Object.entries(await redis.hgetallBuffer(key))) {
    t.notOk(bytes.includes('canary') || bytes.includes('xxxx'), field)
    if (field.startsWith('x:')) t.equal(bytes.subarray(0, 6).toString(), 's1.k1.', field)
  }
  const other = await keep('other')
  t.match((await read(rotated, ref)).json().result, /^canary-x+$/)
  const fields = [`x:${ref}:0`, `x:${ref}:1`, `x:${ref}:2`, `x:${other}:0`]
  const stored = await Promise.all(fields.map(field => redis.hgetBuffer(key, field)))
  for (const [to, from] of [[0, 1], [1, 2], [1, 3]] as const) {
    await redis.hset(key, fields[to] ?? '', stored[from] ?? '')
    const answer = await read(rotated, ref, '?pointer=/result')
    t.match([answer.statusCode, answer.json()], [404, { code: 'MCPC_ERR_UNKNOWN_RESULT' }])
    await redis.hset(key, fields[to] ?? '', stored[to] ?? '')
  }
  await redis.hset(key, `x:${ref}`, await redis.hget(key, `x:${other}`) ?? '')
  t.equal((await read(rotated, ref)).statusCode, 404, 'nor does another head')
  t.equal((await read(rotated, other)).statusCode, 200)
})

t.test('what is no call that waits is a session that cannot be read', async t => {
  const app = await build(t, { ...tools, MCP_ELICITATION: 'on' })
  const redis = await redisClient(t)
  const id = await initSession(app)
  for (const text of ['garbage', '[]', '{}', '{"tool":"a","name":"a","args":{}}', '{"args":{},"secretNames":[]}']) {
    await redis.hset(`${app.config.session.keyPrefix}:${id}`, 'q:token', text)
    const refused = await app.inject({
      method: 'POST',
      url: '/call-tool',
      payload: { session_id: id, continue: 'token' }
    })
    t.equal(refused.json().code, 'MCPC_ERR_SESSION_UNREADABLE', text)
  }
})

t.test('a call that waits for answers and does not fit is refused, and smaller ones make room', async t => {
  const app = await build(t, { ...tools, MCP_SESSION_MAX_BYTES: '1000' })
  const redis = await redisClient(t)
  const id = await initSession(app)
  const session = await app.sessions.load({ id, client: null })
  if (session === null) throw new Error('no session')
  const keep = (length: number) =>
    app.pendingCalls.keep(session, 'tool', {
      tool: 'a', name: 'a', args: `{"note":"${'x'.repeat(length)}"}`, secretNames: []
    }, () => '')
  t.strictSame(await keep(1_000), { refused: 'too large' })
  for (let index = 0; index < 5; index++) t.strictSame(await keep(300), { body: '' })
  const waiting = Object.entries(await redis.hgetall(session.key)).filter(([field]) => /^[dr]:/.test(field))
  t.ok(waiting.length >= 1 && waiting.reduce((sum, [, text]) => sum + text.length, 0) <= 1_000)
  await redis.del(session.key)
  t.strictSame(await keep(1), { refused: 'session ended' })
})
