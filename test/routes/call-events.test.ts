import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { createCallId } from '../../lib/calls/call.ts'
import { callEventsKey, sessionKey } from '../../lib/sessions/session-ref.ts'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { cases } from '../support/cases.ts'
import { makeFolder } from '../support/folders.ts'
import { startUpstream } from '../support/mcp-servers.ts'
import { fixture, root } from '../support/paths.ts'
import { redisClient } from '../support/redis.ts'
import { initSession, postTo } from '../support/requests.ts'
import { serviceOn, workersOn } from '../support/service.ts'
import { until } from '../support/wait.ts'

interface Event { id?: string, event: string, data: Record<string, unknown>, fields: Record<string, string> }

/** Events of a stream, without its comments. */
function eventsIn (text: string): Event[] {
  return text.split('\n\n').filter(block => block !== '' && !block.startsWith(':')).map(block => {
    const { id, event = '', data = 'null', ...fields } = Object.fromEntries(block.split('\n').map(line => {
      const [, name = '', value = ''] = /^([\w-]+): (.*)$/.exec(line) ?? []
      return [name, value]
    })) as Record<string, string>
    return { ...(id !== undefined && { id }), event, data: JSON.parse(data) as Event['data'], fields }
  })
}

/**
 * Workers, and a server whose tool says what its file has: lines of JSON that are notifications of its call. It answers
 * once the file named `<file>.go` is there.
 */
async function start (t: Test, workers = 1, env: Record<string, string> = {}) {
  const file = join(await makeFolder(t), 'said')
  writeFileSync(file, '')
  const services = await workersOn(t, workers, {
    talking: { command: process.execPath, args: [fixture('talking-server.mjs'), file] }
  }, { MCP_ASYNC_CALLS: 'on', ...env })
  const say = (...texts: string[]) => writeFileSync(file, texts.map(text => `${text}\n`).join(''), { flag: 'a' })
  return {
    services,
    service: services[0],
    say,
    progress: (...steps: number[]) => say(...steps.map(progress => JSON.stringify({ progress }))),
    letGo: () => writeFileSync(`${file}.go`, ''),
    session: await initSession(services[0])
  }
}

async function accept (service: FastifyInstance, session: string, more: object = {}): Promise<string> {
  const answer = await service.inject({
    method: 'POST',
    url: '/call-tool',
    headers: { prefer: 'respond-async' },
    payload: { session_id: session, tool: 'talk', ...more }
  })
  if (answer.statusCode !== 202) throw new Error(answer.body)
  return answer.json().call
}

const follow = (service: FastifyInstance, session: string, call: string, lastEventId?: string) => service.inject({
  url: `/calls/${call}/events`,
  headers: { 'x-session-id': session, ...(lastEventId !== undefined && { 'last-event-id': lastEventId }) }
})

/** Reads a call until it shows its progress. */
const progressOf = (service: FastifyInstance, session: string, call: string, progress: number) => until(async () => {
  const { statusCode, body } = await service.inject({ url: `/calls/${call}`, headers: { 'x-session-id': session } })
  return statusCode === 202 && body.includes(`"progress":{"progress":${progress}`)
}, 'the call shows its progress')

t.test('a call is followed on any worker, and each reader gets every event once, in its order', async t => {
  const { services: [one, two = one], session, progress, say, letGo } = await start(t, 2)
  const call = await accept(one, session)
  progress(1, 2)
  await progressOf(two, session, call, 2)
  const [early, late] = [follow(one, session, call), follow(two, session, call)]
  say('{"level":"info","data":"half\\nway"}')
  progress(3)
  await progressOf(one, session, call, 3)
  letGo()
  for (const { statusCode, headers, body } of await Promise.all([early, late])) {
    t.match([statusCode, headers['content-type'], headers['cache-control']], [200, /^text\/event-stream/, 'no-store'])
    const events = eventsIn(body)
    t.strictSame(events.map(({ event }) => event), ['progress', 'progress', 'log', 'progress', 'result'])
    t.match(events.map(({ data }) => data), [{ progress: 1 }, { progress: 2 }, { data: 'half\nway' }, { progress: 3 }, {}])
    t.match(body, /event: result\n.*done/)
    t.equal(new Set(events.map(({ id }) => id)).size, 5)
  }
  const all = eventsIn((await early).body)
  t.match(all.at(-1)?.fields, { 'x-mcp-result': 'text' }, 'the last one has what its answer had in its headers')

  for (const [index, { id }] of all.entries()) {
    for (const worker of [one, two]) {
      const again = await follow(worker, session, call, id)
      t.equal(again.statusCode, index === all.length - 1 ? 204 : 200)
      t.strictSame(eventsIn(again.body), all.slice(index + 1), `behind event ${index}`)
    }
  }
  t.strictSame(eventsIn((await follow(one, session, call, '')).body), all)
  for (const ahead of ['9999999999999999999-9999999999999999999', '0-0-q7']) {
    t.match(eventsIn((await follow(one, session, call, ahead)).body).at(-1), { event: 'result' }, ahead)
  }
  for (const wrong of ['x', '-', '1', '1-', '-1-1', '1-1-', '1-1-x', '1-1-q', '99999999999999999999-0', '$', '+']) {
    const refused = await follow(one, session, call, wrong)
    t.match([refused.statusCode, refused.json()], [400, { error: /^Last-Event-ID must be the id of an event/ }], wrong)
  }
  const head = await one.inject({ method: 'HEAD', url: `/calls/${call}/events`, headers: { 'x-session-id': session } })
  t.match([head.statusCode, head.headers['content-type'], head.body], [200, /^text\/event-stream/, ''])
})

t.test('the last event says how a call ended: failed, cancelled, broken off, or with an answer that is not kept', async t => {
  const { service, session, letGo } = await start(t, 1, { MCP_SESSION_MAX_BYTES: '2000' })
  const redis = await redisClient(t)
  const key = sessionKey(service.config.session.keyPrefix, { client: null, id: session })
  const lastOf = async (call: string) => eventsIn((await follow(service, session, call)).body).at(-1)

  const cancelled = await accept(service, session)
  const following = lastOf(cancelled)
  await service.inject({ method: 'DELETE', url: `/calls/${cancelled}`, headers: { 'x-session-id': session } })
  t.match(await following, { event: 'error', data: { code: 'MCPC_ERR_CALL_CANCELLED', acted: 'unknown' } })

  const broken = await accept(service, session)
  await until(async () => (await redis.hget(key, `c:${broken}`))?.startsWith('working') === true, 'the call runs')
  const head = (await redis.hget(key, `c:${broken}`) ?? '').split(' ')
  const unknown = lastOf(broken)
  await redis.hset(key, `c:${broken}`, [...head.slice(0, 5), '1', ...head.slice(6)].join(' '))
  t.match(await unknown, { event: 'error', data: { code: 'MCPC_ERR_OUTCOME_UNKNOWN', acted: 'unknown' } })

  const late = await accept(service, session, { timeout: 0.5 })
  t.match(await lastOf(late), { event: 'error', data: { code: 'MCPC_ERR_MCP_TIMEOUT', acted: 'unknown' } })

  letGo()
  const good = await accept(service, session)
  t.match(await lastOf(good), { event: 'result' })
  await redis.hset(key, `c:${good}`, (await redis.hget(key, `c:${good}`) ?? '').replace(/kept$/, 'lost'))
  await redis.hdel(key, `r:${good}`)
  t.match(await lastOf(good), { event: 'error', data: { code: 'MCPC_ERR_RESULT_NOT_KEPT' } })
})

t.test('events are bounded, expire with their call, and go with their session', async t => {
  const { service, session, say, letGo, progress } = await start(t)
  const redis = await redisClient(t)
  const { keyPrefix } = service.config.session
  const call = await accept(service, session)
  const key = callEventsKey(keyPrefix, sessionKey(keyPrefix, { client: null, id: session }), call)
  t.notOk(key.startsWith(keyPrefix))
  const large = (letter: string, length = 1_000) => JSON.stringify({ level: 'info', data: letter.repeat(length) })
  say(...Array.from({ length: 600 }, (_, index) => large(String(index % 10), 200)))
  say(large('x', 100_000), ...Array.from({ length: 40 }, () => large('y')))
  progress(7)
  await progressOf(service, session, call, 7)
  t.ok(await redis.xlen(key) <= 500, `${await redis.xlen(key)} events`)
  const kept = (await redis.xrange(key, '-', '+')).reduce((sum, [, fields]) => sum + (fields[3]?.length ?? 0), 0)
  t.ok(kept <= 65_536 && kept > 40_000, `${kept} bytes`)
  const left = await redis.pttl(key)
  t.ok(left > 80_000_000 && left <= 86_400_000, `it lives for ${left} ms`)
  letGo()
  const { body } = await follow(service, session, call)
  t.match(body, /yyyy[^]*"progress":7[^]*event: result/)
  t.notMatch(body, /xxxx/, 'an event that is larger than all may be is left out, and removes no other')

  await redis.pexpire(`${keyPrefix}:${session}`, 50_000)
  // A look at its events does not load the session: the one behind HTTP would restart its idle time.
  const loaded = await service.sessions.load({ id: session, client: null })
  if (loaded === null) throw new Error('the session is gone')
  await redis.pexpire(`${keyPrefix}:${session}`, 50_000)
  await service.calls.events.read(loaded, call, '0-0')
  t.ok(await redis.pttl(key) <= 50_000, 'they never outlive what their session had left when they were last read')

  t.equal(await redis.exists(key), 1)
  await postTo(service, '/shutdown', { session_id: session })
  t.equal(await redis.exists(key), 0)
  t.equal((await follow(service, session, call)).statusCode, 409)
})

t.test('a session whose id has braces has events, too; those of one without asynchronous calls are none', async t => {
  const { service, letGo, progress } = await start(t)
  progress(1)
  letGo()
  const redis = await redisClient(t)
  const ids = cases(['a}b', '{a}b', 'a{b', '{}', '}{', '{{a}}', '會}話'], 3)
  for (const id of ids) {
    await postTo(service, '/init', { session_id: id, apiUrl, jwtToken })
    const header = Buffer.from(id).toString('latin1')
    const call = await accept(service, id)
    const events = eventsIn((await follow(service, header, call)).body)
    t.strictSame(events.map(({ event }) => event), ['progress', 'result'], id)
  }
  const session = await initSession(service)
  await postTo(service, '/call-tool', { session_id: session, tool: 'talk' })
  const repeatable = await service.inject({
    method: 'POST', url: '/call-tool', headers: { 'idempotency-key': 'k' }, payload: { session_id: session, tool: 'talk' }
  })
  t.equal(repeatable.statusCode, 200)
  const keys = await redis.keys(`mcp_events:*:${service.config.session.keyPrefix}:*`)
  t.equal(keys.length, ids.length, 'a call that its caller waits for leaves no events')
})

t.test('a reader who leaves and a worker that closes end the stream, and another worker goes on', async t => {
  const { services, session, progress, letGo } = await start(t, 2)
  const call = await accept(services[0], session)
  progress(1)
  await progressOf(services[0], session, call, 1)
  // Either may make the call. Its process is that worker's; the other one is to close.
  const [two, one] = [...services].sort((a, b) => b.processCounts().alive - a.processCounts().alive)
  if (one === undefined || two === undefined) throw new Error('there are two')
  const url = await one.listen({ host: '127.0.0.1', port: 0 })
  const left = new AbortController()
  const response = await fetch(`${url}/calls/${call}/events`, { headers: { 'x-session-id': session }, signal: left.signal })
  t.equal(response.status, 200)
  left.abort()
  await one.deferredSettled()

  const reading = follow(one, session, call)
  await until(async () => (await one.inject('/livez')).statusCode === 200, 'the reading has begun')
  one.server.closeAllConnections()
  const closed = one.close()
  const events = eventsIn((await reading).body)
  t.match(events.at(-1), { event: 'error', data: { code: 'MCPC_ERR_CLOSING', retryable: true } })
  await closed
  letGo()
  const rest = eventsIn((await follow(two, session, call, events.at(-2)?.id ?? '')).body)
  t.match(rest.at(-1), { event: 'result' })
})

t.test('what a server over HTTP says goes to the call that it is about, and to no other session\'s', async t => {
  const upstream = await startUpstream(t, 'http-2026', ['--modern-only'])
  const service = await serviceOn(t, { up: { url: upstream.url } }, { MCP_ASYNC_CALLS: 'on' })
  const sessions = await Promise.all(Array.from({ length: 6 }, () => initSession(service)))
  await Promise.all(sessions.map(async (session, index) => {
    const steps = index + 2
    const call = await accept(service, session, { tool: 'progress', params: { steps, delay: 20 } })
    const said = eventsIn((await follow(service, session, call)).body).map(({ event }) => event)
    const expected = Array.from({ length: steps }, () => ['progress', 'log']).flat()
    t.strictSame([said.slice(0, -1).sort(), said.at(-1)], [expected.sort(), 'result'], `of ${steps} steps`)
  }))
})

t.test('the curls of docs/api.md do what it says', async t => {
  const { service, progress, letGo } = await start(t)
  progress(1)
  letGo()
  const URL = await service.listen({ host: '127.0.0.1', port: 0 })
  await postTo(service, '/init', { session_id: 'demo-1', apiUrl, jwtToken })
  const page = readFileSync(join(root, 'docs', 'api.md'), 'utf8')
  const curls = [...page.matchAll(/^curl .*(?:\$URL\/calls\/|Prefer: respond-async|Idempotency-Key).*$/gm)].map(([curl]) => curl)
  const shown = [/done/, /202 Accepted[^]*location: \/calls\/c_/, /"completed".*done/, /event: result/, /"completed"/, /event: progress[^]*event: result/]
  t.equal(curls.length, shown.length)
  let CALL = ''
  for (const [index, curl] of curls.entries()) {
    const env = { ...process.env, URL, CALL, no_proxy: '*' }
    const { stdout } = await promisify(execFile)('sh', ['-c', `${curl} --max-time 30`], { env })
    t.match(stdout, shown[index], curl)
    CALL ||= /^location: \/calls\/(\S+)/m.exec(stdout)?.[1] ?? ''
  }
})

t.test('a foreign call is an unknown one to its events, too, and to the byte, however often it is tried', async t => {
  const { service, session, letGo } = await start(t)
  letGo()
  const call = await accept(service, session)
  t.match(eventsIn((await follow(service, session, call)).body).at(-1), { event: 'result' })
  const other = await initSession(service)
  const { body } = await follow(service, other, createCallId())
  t.match(JSON.parse(body), { code: 'MCPC_ERR_UNKNOWN_CALL' })
  for (const id of [call, `${call}-1`, 'c_', 'x', '%00', '..%2f', call.toUpperCase()]) {
    const answer = await follow(service, other, id)
    t.strictSame([answer.statusCode, answer.body], [404, body], id)
  }
  const loaded = await service.sessions.load({ id: other, client: null })
  if (loaded === null) throw new Error('the session is gone')
  let found = 0
  for (let round = 0; round < (process.env.ALL_CASES === '1' ? 100 : 2); round++) {
    const ids = Array.from({ length: 100 }, (_, index) => index === 0 ? call : createCallId())
    const read = await Promise.all(ids.flatMap(id => [service.calls.read(loaded, id), service.calls.events.read(loaded, id, '0-0')]))
    found += read.filter(reading => reading !== null).length
  }
  t.equal(found, 0)
})

t.test('what a call said is sealed, and masked as for a caller who waits', async t => {
  const { service, say, letGo } = await start(t, 1, { MCP_ENCRYPTION_KEYS: `k1:${Buffer.alloc(32, 7).toString('base64')}` })
  const session = await initSession(service)
  say(JSON.stringify({ progress: 1, message: `canary with ${jwtToken}` }), '{"level":"info","data":{"canary":1}}')
  const call = await accept(service, session)
  await progressOf(service, session, call, 1)
  const redis = await redisClient(t)
  const key = callEventsKey(service.config.session.keyPrefix, `${service.config.session.keyPrefix}:${session}`, call)
  await until(async () => await redis.xlen(key) === 2, 'all is kept')
  const stored = JSON.stringify(await redis.xrange(key, '-', '+'))
  t.match(stored, /s1\.k1\./)
  t.notMatch(stored, /canary/)
  await redis.xadd(key, '*', 'e', 'log', 'd', '{"forged":1}', 'b', '1', 'x', 'y')
  const [[first = '', fields = []] = []] = await redis.xrange(key, '-', '+')
  t.ok(first)
  await redis.xadd(key, '*', ...fields.map(text => text.startsWith('s1.') ? text.slice(0, -2) : text))
  letGo()
  const { body } = await follow(service, session, call)
  t.match(body, /"canary with \[hidden\]"/)
  t.notMatch(body, jwtToken)
  t.equal(eventsIn(body).filter(({ event }) => event === 'progress').length, 1, 'one that was changed is left out')
})
