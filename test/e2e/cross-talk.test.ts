import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { heldBy, labelOf } from '../support/canaries.ts'
import { makeFolder } from '../support/folders.ts'
import { startUpstream, type Upstream } from '../support/mcp-servers.ts'
import { fixture } from '../support/paths.ts'
import { freePort } from '../support/ports.ts'
import { watchChildren } from '../support/processes.ts'
import { redisClient, startRedis } from '../support/redis.ts'
import { post } from '../support/requests.ts'
import { environment, type Service, startService } from '../support/service.ts'
import { startRepeatingApi } from '../support/validation-api.ts'

interface User {
  name: string
  session: string
  token: string
  apiUrl: string
  note?: string
}

/**
 * All that is anybody's has a word of its owner's in it, which is found also where it is cut, encoded, or in pieces.
 */
const marks = { alice: 'canary-alice', bob: 'canary-bob' }
const tokenOf = (mark: string) => `${mark}-header.${mark}-payload.${mark}-signature`

const alice: User = {
  name: 'alice',
  session: 'session-a',
  token: tokenOf(marks.alice),
  apiUrl: `https://${marks.alice}.example.com/tenant`,
  note: `${marks.alice}-note`
}
/** Has no note: where one is filled in for him, it is hers. */
const bob: User = {
  name: 'bob',
  session: 'session-b',
  token: tokenOf(marks.bob),
  apiUrl: `https://${marks.bob}.example.com/tenant`
}
const users = [alice, bob]

/**
 * A short run by default; .ci/run says 2000. For 10,000, tap must wait longer, too: `npm test -- --timeout=900
 * test/e2e/cross-talk.test.ts`.
 */
const totalCalls = Number(process.env.CROSS_TALK_CALLS ?? 500)
const concurrency = 16

/**
 * What is called, and how often of a hundred times. Nearly all is HTTP: over stdio, a call costs the start of a
 * process.
 */
const mix: Array<[call: string, share: number]> = [
  ['http25__whoami', 36],
  ['http25__kept', 2],
  ['http26__whoami', 22],
  ['sse__echo', 9],
  ['sse__whoami', 7],
  ['stdio__whoami', 3],
  ['plain__echo', 2],
  ['http25__fail', 3],
  ['http26__fail', 1],
  ['http25__refuse', 3],
  ['http26__refuse', 2],
  ['http25__break', 1],
  ['http26__break', 1],
  ['http25__nothing', 1],
  ['nothing', 1],
  ['dead__whoami', 1],
  ['closed__whoami', 1],
  ['list', 1],
  ['later__http25__whoami', 2],
  ['later__http26__whoami', 2],
  ['badly', 1]
]
const kinds = mix.flatMap(([call, share]) => Array.from({ length: share }, () => call))

type Json = Record<string, unknown>

t.test(`two users never meet: ${totalCalls} interleaved calls on two workers, over three transports`, async t => {
  t.setTimeout(Math.max(170_000, 60 * totalCalls))
  let isAlicesTokenGood = true
  const api = await startRepeatingApi(t, token => token === bob.token || (token === alice.token && isAlicesTokenGood))
  const closed = await startClosedServer(t)
  const [http25, http26, sse] = await Promise.all([
    startUpstream(t, 'canary', ['--era=2025']),
    startUpstream(t, 'canary', ['--era=2026']),
    startUpstream(t, 'sse')
  ])
  const file = join(await makeFolder(t), 'servers.json')
  await writeFile(
    file,
    JSON.stringify({
      mcpServers: serversOn({
        http25: http25.url,
        http26: http26.url,
        sse: sse.url,
        closed,
        dead: `http://127.0.0.1:${await freePort()}/mcp`
      })
    })
  )
  // A Redis of its own: every key in it is looked at.
  const { url: REDIS_URL } = await startRedis(t)
  const env = await environment(t, {
    REDIS_URL,
    MCP_SERVERS_FILE: file,
    MCP_SKIP_VALIDATION: undefined,
    MCP_API_BASE_URL: api.url,
    MCP_LOG_LEVEL: 'trace',
    MCP_ASYNC_CALLS: 'on',
    MCP_WARM_SPARES: '1',
    // Lists are asked for again and again, by both users at once.
    MCP_TOOLS_CACHE_TTL: '1',
    MCP_SESSION_MAX_CONCURRENCY: '100',
    // The machine may be busy.
    MCP_QUEUE_TIMEOUT: '120',
    REDIS_COMMAND_TIMEOUT_MS: '10000'
  })
  const workers = await Promise.all([startService(t, env), startService(t, env)])
  const watch = watchChildren(workers.map(({ pid }) => pid))
  t.teardown(watch.stop)

  for (const [index, { session, token, apiUrl }] of users.entries()) {
    t.equal((await post(`${workers[index]?.url}/init`, { session_id: session, apiUrl, jwtToken: token })).status, 200)
  }
  // What one call leaves for the next ones of its session, without its caller seeing it.
  t.strictSame((await callTool(workers[0], alice, 'http25__keep', { nonce: { text: alice.note } })).body, {
    status: 'success'
  })

  const faults: string[] = []
  const told: Array<{ what: string; text: string }> = []
  const tell = (what: string, body: unknown) => told.push({ what, text: JSON.stringify(body) })
  let next = 0
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (next < totalCalls) {
        const index = next++
        const user = index % 2 === 0 ? alice : bob
        // Both users make the same call at the same time, on one worker or on two.
        const round = index >> 1
        const kind = kinds[(round * 37) % kinds.length] as string
        const worker = workers[(round + (index % 3 === 0 ? 1 : 0)) % 2] as Service
        if (index === totalCalls / 2) await http25.control({ forgetSessions: true })
        const fault = await oneCall({ worker, user, kind, nonce: `nonce-${index}`, tell })
        if (fault !== null) faults.push(`${user.name}, ${kind}: ${fault}`)
      }
    })
  )
  t.strictSame(faults, [], "every answer is its caller's own")

  isAlicesTokenGood = false
  const refused = await callTool(workers[0], alice, 'closed__whoami', {})
  t.equal(refused.status, 401, 'credentials that are no longer good are refused')
  tell('a refusal of the API', refused.body)
  tell('a list without a session', await (await fetch(`${workers[1].url}/tools-schema`)).json())
  watch.stop()

  await t.test('the servers were asked for one user at a time, and in sessions of one user', async t => {
    for (const [name, upstream] of Object.entries({ http25, http26, sse })) await checkRequests(t, name, upstream)
    t.equal(((await http25.stats()) as unknown as { foreign: number }).foreign, 0)
  })

  t.test("no process held what is another user's", async t => {
    const held = [...watch.seen].map(([what, text]) => ({
      what,
      names: heldBy(text, marks),
      isPlain: !what.includes('canary-server')
    }))
    t.strictSame(
      held.filter(({ names, isPlain }) => names.length > (isPlain ? 0 : 1)),
      []
    )
    for (const name of Object.keys(marks)) {
      t.ok(
        held.some(({ names }) => names[0] === name),
        `one of ${name}'s was looked at`
      )
    }
  })

  t.test('no list and no error holds a canary', async t => {
    t.ok(told.length > totalCalls / 10, `${told.length} were searched`)
    t.strictSame(
      told.filter(({ text }) => heldBy(text, marks).length > 0),
      []
    )
    t.ok(
      told.some(({ text }) => text.includes('the token [hidden] is not good at [hidden]')),
      "a server's sentence was among them"
    )
  })

  await t.test("in Redis, what is a user's is in his session", async t => {
    const redis = await redisClient(t, REDIS_URL)
    const keys = await redis.keys('*')
    const own = new Map(users.flatMap(({ session, name }) => {
      const key = `${env.MCP_SESSION_KEY_PREFIX}:${session}`
      return [[key, name], [`mcp_results:{${key}}`, name]]
    }))
    for (const key of keys) {
      const type = await redis.type(key)
      const text = type === 'hash'
        ? JSON.stringify(await redis.hgetall(key))
        : type === 'string'
          ? await redis.get(key)
          : type === 'stream' ? JSON.stringify(await redis.xrange(key, '-', '+')) : ''
      t.strictSame(heldBy(text ?? '', marks), own.has(key) ? [own.get(key)] : [], key)
    }
    t.ok([...own.keys()].every(key => keys.includes(key)))
  })

  for (const { session } of users) {
    tell("a session's end", (await post(`${workers[0].url}/shutdown`, { session_id: session })).body)
  }
  for (const { kill, exited } of workers) {
    kill('SIGTERM')
    t.match(await exited, { code: 0 })
  }
  for (const [index, { output }] of workers.entries()) {
    const log = output()
    t.match(
      log,
      /"line":"the token \[hidden\] is not good at \[hidden\]"/,
      `worker ${index} logged what a server wrote on stderr`
    )
    t.strictSame(
      log.split('\n').filter(line => heldBy(line, marks).length > 0),
      [],
      `no line of worker ${index} holds a canary`
    )
  }
})

function serversOn (urls: Record<'http25' | 'http26' | 'sse' | 'closed' | 'dead', string>) {
  const token = '${session.jwtToken}' // eslint-disable-line no-template-curly-in-string -- a placeholder of the servers file
  const address = '${session.apiUrl}' // eslint-disable-line no-template-curly-in-string
  const headers = { authorization: `Bearer ${token}`, 'x-api-url': address }
  return {
    stdio: { command: process.execPath, args: [fixture('canary-server.mjs'), address], env: { TOKEN: token } },
    // Takes no credentials, and is started ahead of demand, for whoever comes.
    plain: { command: process.execPath, args: [fixture('tiny-server.mjs')] },
    http25: { type: 'http', url: urls.http25, headers },
    http26: { type: 'http', url: urls.http26, headers },
    sse: { type: 'sse', url: `${urls.sse}?token=${token}`, headers },
    closed: { type: 'http', url: `${urls.closed}?token=${token}`, headers },
    dead: { type: 'http', url: `${urls.dead}?token=${token}&at=${address}`, headers }
  }
}

/** Refuses everybody, and repeats what it was called with. */
async function startClosedServer (t: Test): Promise<string> {
  const server = createServer((request, response) => {
    response
      .writeHead(401, { 'content-type': 'application/json' })
      .end(JSON.stringify({ error: { message: `${request.url} ${JSON.stringify(request.headers)}` } }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`
}

const callTool = (
  worker: Service | undefined, { session }: User, tool: string, params: unknown, headers: Record<string, string> = {}
) => post(`${worker?.url}/call-tool`, { session_id: session, tool, params }, headers)

interface Call {
  worker: Service
  user: User
  kind: string
  nonce: string
  tell: (what: string, body: unknown) => void
}

/** What is wrong with the answer; `null` when it is this user's, and this call's. */
async function oneCall ({ worker, user, kind: asked, nonce, tell }: Call): Promise<string | null> {
  const kind = asked.replace(/^later__/, '')
  const headers = asked === kind ? {} : { prefer: 'respond-async, wait=60' }
  const [server, tool] = kind.split('__')
  if (kind === 'list') return await oneList({ worker, user, tell })
  const params =
    kind === 'badly' ? user.token : tool === 'fail' || tool === 'echo' || tool === 'whoami' ? { nonce } : {}
  const called = kind === 'badly' ? 'http25__whoami' : kind
  const { status, body } = tool === 'kept'
    ? await readKept(worker, user, nonce)
    : await callTool(worker, user, called, params, headers)
  const failed = body as Json
  if (status !== 200 || failed.status === 'error') tell(kind, body)

  const expectedStatus =
    new Map([
      ['nothing', 404]
    ]).get(tool ?? kind) ??
    new Map([
      ['dead', 502],
      ['closed', 502],
      ['badly', 400]
    ]).get(server ?? '') ??
    200
  if (status !== expectedStatus) return `status ${status}: ${JSON.stringify(body)}`
  if (status !== 200) return null
  const wrong = differences(failed, expectedBody(user, kind, nonce))
  if (wrong.length > 0) return `${wrong.join(', ')} in ${JSON.stringify(body)}`
  const others = heldBy(JSON.stringify(body), marks).filter(name => name !== user.name)
  return others.length > 0 ? `${JSON.stringify(body)} has what is ${others}'s` : null
}

/** A result that is kept, as its own session reads it, and unless another one's is refused. */
async function readKept ({ url }: Service, user: User, nonce: string): Promise<{ status: number, body: unknown }> {
  const payload = { session_id: user.session, tool: 'http25__whoami', params: { nonce }, result: 'json', reference: true }
  const { body } = await post(`${url}/call-tool`, payload)
  const read = (session: string) =>
    fetch(`${url}/results/${(body as { ref: string }).ref}`, { headers: { 'x-session-id': session } })
  for (const { session } of users.filter(({ session }) => session !== user.session)) {
    const foreign = await read(session)
    if (foreign.status !== 404) return { status: foreign.status, body: await foreign.text() }
  }
  const own = await read(user.session)
  return { status: own.status, body: await own.json() }
}

/** The fields of a good answer that tell whose it is. */
function expectedBody ({ token, apiUrl, note }: User, kind: string, nonce: string): Json {
  // The note is a value of http25: no other server of the same user gets it.
  const noted = ['http25__whoami', 'http25__kept'].includes(kind) && note !== undefined
  const args = { nonce, jwtToken: token, apiUrl, text: noted ? note : undefined }
  const asked = { authorization: `Bearer ${token}`, 'x-api-url': apiUrl }
  switch (kind) {
    case 'stdio__whoami':
    case 'http25__whoami':
    case 'http25__kept':
    case 'http26__whoami':
      return { token, apiUrl, args }
    case 'sse__echo':
      return { status: 'success', ...args }
    case 'sse__whoami':
      return { ...asked, stream: { ...asked, token } }
    case 'http25__refuse':
    case 'http26__refuse':
    case 'http25__break':
    case 'http26__break':
      return { status: 'error', error: 'the token [hidden] is not good at [hidden]' }
    case 'plain__echo':
      return { nonce, jwtToken: token, text: undefined, apiUrl: undefined }
    default:
      return { status: 'error', error: JSON.stringify({ failed: labelOf(token) }) }
  }
}

/** A list, its instructions and its errors are this user's, and say nothing of what only the servers may see. */
async function oneList ({ worker, user, tell }: Pick<Call, 'worker' | 'user' | 'tell'>): Promise<string | null> {
  const { status, body } = await post(`${worker.url}/tools`, { session_id: user.session })
  tell('a list', body)
  const {
    tools,
    workflow_guidance: guidance,
    errors
  } = body as { tools: Array<{ name: string; description?: string }>; workflow_guidance: Json; errors: Json }
  const own = `for ${labelOf(user.token)}`
  const labels = new Set(
    tools.filter(({ name }) => /^(stdio|http25|http26)__/.test(name)).map(({ description }) => description)
  )
  const isOwn =
    status === 200 && labels.size === 1 && labels.has(own) && tools.some(({ name }) => name === 'sse__echo')
  const { stdio, http25, http26 } = guidance.instructions as Json
  const isGuided = [stdio, http25, http26].every(instructions => instructions === own)
  const isComplete = JSON.stringify(Object.keys(errors).sort()) === '["closed","dead"]'
  return isOwn && isGuided && isComplete ? null : `the list is ${JSON.stringify(body)}`
}

/** The names of the expected fields that are different. */
function differences (body: Json, expected: Json): string[] {
  const same = (one: unknown, other: unknown): boolean => {
    if (typeof other !== 'object' || other === null) return one === other
    return (
      typeof one === 'object' &&
      one !== null &&
      Object.entries(other).every(([name, value]) => same((one as Json)[name], value)) &&
      // What a server was given is all that it was given: a value too many is somebody else's.
      Object.entries(one).every(([name, value]) => name in other || value === null)
    )
  }
  return Object.keys(expected).filter(name => !same(body[name], expected[name]))
}

/** Of the requests that a server got last: none is of two users, none of a user in a session of the other. */
async function checkRequests (t: Test, name: string, upstream: Upstream): Promise<void> {
  const requests = await upstream.requests()
  const owners = new Map<string, string>()
  const faults: unknown[] = []
  for (const request of requests) {
    const holders = heldBy(decodeURIComponent(JSON.stringify(request)), marks)
    if (holders.length !== 1) faults.push(request)
    const session = request.headers['mcp-session-id']
    if (session === undefined) continue
    const owner = owners.get(session) ?? holders[0] ?? ''
    owners.set(session, owner)
    if (owner !== holders[0]) faults.push(request)
  }
  t.ok(requests.length > 100, `${requests.length} requests to ${name} were looked at`)
  t.strictSame(faults, [])
}
