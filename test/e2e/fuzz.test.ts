import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { Agent, request } from 'undici'
import { withDeadline } from '../../lib/cancellation.ts'
import { heldBy } from '../support/canaries.ts'
import { apiUrl, tokenOf } from '../support/credentials.ts'
import {
  type Description,
  type HostileRequest,
  hostileRequest,
  plainRequest,
  smugglingRequests
} from '../support/hostile-requests.ts'
import { fixture } from '../support/paths.ts'
import { post } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { type Service, startService } from '../support/service.ts'

/** A short run by default; .ci/run says 20000. */
const total = Number(process.env.FUZZ_REQUESTS ?? 1_000)
const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31)
/** Nothing takes a second; a busy machine may. What hangs takes forever. */
const limitMs = Number(process.env.FUZZ_LIMIT_MS ?? 30_000)
const concurrency = 16

/** What the one who sends hostile requests does not know, and what he knows and nobody may repeat. */
const foreign = {
  token: tokenOf({ sub: 'canary-victim' }),
  value: 'canary-victim-value',
  redisPassword: 'canary-redis-password',
  encryptionKey: randomBytes(32).toString('base64')
}
const own = { token: tokenOf({ sub: 'canary-sender' }) }
const apiKeys = { victim: 'mcpk_canary-victim', sender: 'mcpk_canary-sender' }
const victim = { 'x-api-key': apiKeys.victim }
const hash = (text: string) => createHash('sha256').update(text).digest('hex')

const agent = new Agent({ connections: concurrency, headersTimeout: limitMs, bodyTimeout: limitMs })
t.teardown(() => agent.destroy())

t.test(
  `${total} hostile requests: no failure but those that are foreseen, no crash, no hang, nothing secret (FUZZ_SEED=${seed})`,
  async t => {
    t.setTimeout(170_000)
    const service = await startFuzzed()
    const description = (await (
      await fetch(`${service.url}/openapi.json`, { headers: victim })
    ).json()) as Description
    const sessions = ['s1', 's2', '會話']
    await post(
      `${service.url}/init`,
      { session_id: 'victim', apiUrl, jwtToken: foreign.token, text: foreign.value },
      victim
    )
    await post(`${service.url}/call-tool`, { session_id: 'victim', tool: 'echo' }, victim)
    for (const session_id of sessions) { await post(`${service.url}/init`, { session_id, apiUrl, jwtToken: own.token }, { 'x-api-key': apiKeys.sender }) } // eslint-disable-line camelcase
    const references = await Promise.all(['victim', 's1'].map(async id => {
      const headers = { 'x-api-key': id === 'victim' ? apiKeys.victim : apiKeys.sender }
      const { body } = await post(`${service.url}/call-tool`, { session_id: id, tool: 'echo', reference: true }, headers)
      return (body as { ref: string }).ref
    }))
    t.ok(references.every(ref => /^r_/.test(ref)))
    const hostile = hostileRequest(description, {
      sessions: [...sessions, 'victim'],
      tools: ['slow', 'nothing'],
      references,
      secrets: [own.token]
    })

    const slowest = { ms: 0, what: '' }
    const statuses = new Map<number, number>()
    const faultOf = async (sent: HostileRequest): Promise<string | null> => {
      const start = performance.now()
      const { status, text } = await withDeadline(
        send(service, sent),
        limitMs,
        () => new Error(`not within ${limitMs} ms`)
      )
      const ms = performance.now() - start
      if (ms > slowest.ms) Object.assign(slowest, { ms, what: `${sent.method} ${sent.path}` })
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      return faultIn(status, text, sent)
    }

    await t.test('at once, driven by the description', async t => {
      const requests = fc.sample(hostile, { numRuns: Math.floor(total * 0.8), seed })
      const quarter = Math.floor(requests.length / 4)
      t.strictSame(await sendAll(requests.slice(0, quarter), faultOf), [])
      const before = memoryOf(service.pid)
      t.strictSame(await sendAll(requests.slice(quarter), faultOf), [])
      const grown = memoryOf(service.pid) - before
      t.ok(grown < 64_000_000, `memory grew by ${Math.round(grown / 1_000_000)} MB`)
    })

    await t.test('one after the other, so that the smallest that fails is found', async () => {
      await fc.assert(
        fc.asyncProperty(hostile, async sent => {
          const fault = await faultOf(sent)
          if (fault !== null) throw new Error(fault)
        }),
        { numRuns: Math.ceil(total * 0.2), seed, endOnFailure: false }
      )
    })

    await t.test('what no client library sends does not do what is hidden in it', async t => {
      const own = `Host: localhost\r\nX-API-Key: ${apiKeys.victim}\r\n`
      const ending = (id: string) => plainRequest('/shutdown', own, JSON.stringify({ session_id: id }))
      t.match(
        await sendRaw(service, ending('another')),
        /Session another shut down/,
        'it would be done, were it not hidden'
      )
      const texts = smugglingRequests(ending('victim'), own)
      const received = await Promise.all(texts.map(async text => [text, await sendRaw(service, text)] as const))
      for (const [text, answers] of received) {
        const codes = [...answers.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, code]) => Number(code))
        t.ok(
          codes.every(code => code < 500 || code === 505),
          `${JSON.stringify(text.slice(0, 80))}: ${codes.join(', ')}`
        )
        t.notMatch(answers, /shut down/)
      }
    })

    t.comment(
      `slowest: ${Math.round(slowest.ms)} ms, ${slowest.what}; statuses: ${[...statuses]
        .sort(([a], [b]) => a - b)
        .map(([status, count]) => `${status}: ${count}`)
        .join(', ')}`
    )
    t.ok(statuses.get(200), 'some were good')
    t.ok(statuses.get(400) && statuses.get(404) && statuses.get(409), 'and many were not')
    const untouched = await post(`${service.url}/call-tool`, { session_id: 'victim', tool: 'echo' }, victim)
    t.match(untouched, { status: 200, body: { text: foreign.value } }, "another caller's session is as it was")
    t.match(await (await fetch(`${service.url}/health`)).json(), { status: 'ok' })
    service.kill('SIGTERM')
    t.match(await service.exited, { code: 0 })
    const log = service.output()
    t.ok(log.length > total, 'there is a log to search')
    t.strictSame(heldBy(log, { ...foreign, ...own, keyOfVictim: apiKeys.victim, keyOfSender: apiKeys.sender }), [])
    t.notMatch(log, /"msg":"[^"]*(unhandled|uncaught)/i)
    t.strictSame(
      log.split('\n').filter(line => line.includes('MCPC_ERR_INTERNAL')),
      []
    )
  }
)

async function startFuzzed (): Promise<Service> {
  return await startService(t, {
    MCP_SERVERS_FILE: await serversFile(t, {
      tiny: { command: process.execPath, args: [fixture('tiny-server.mjs')], lifecycle: 'shared' }
    }),
    MCP_CLIENT_API_KEYS: Object.entries(apiKeys)
      .map(([name, key]) => `${name}:${hash(key)}`)
      .join(),
    MCP_ENCRYPTION_KEYS: `k1:${foreign.encryptionKey}`,
    MCP_SESSION_MAX_BYTES: '1000000',
    MCP_SESSION_MAX_CONCURRENCY: '1000',
    MCP_ASYNC_CALLS: 'on',
    MCP_LOG_LEVEL: 'trace'
  })
}

async function send (
  { url }: Service,
  { method, path, headers, body }: HostileRequest
): Promise<{ status: number; text: string }> {
  const response = await request(url + path, {
    method: method as 'GET',
    // Hostile as it may be, it is from somebody who may call.
    headers: { ...headers, 'x-api-key': apiKeys.sender, ...(headers.origin === '' && { origin: 'null' }) },
    ...(body !== undefined && { body }),
    dispatcher: agent
  })
  return { status: response.statusCode, text: await response.body.text() }
}

/** `null` when the answer is one that may be. */
function faultIn (status: number, text: string, sent: HostileRequest): string | null {
  const about = `${JSON.stringify(sent).slice(0, 600)} was answered ${status} ${text.slice(0, 200)}`
  if (heldBy(text, foreign).length > 0) return `a secret: ${about}`
  if (status < 400 || sent.method === 'HEAD') return null
  if (heldBy(text, own).length > 0) return `the sender's own secret, repeated: ${about}`
  const failure = JSON.parse(text) as Record<string, unknown>
  const isShaped =
    failure.status === 'error' &&
    typeof failure.error === 'string' &&
    typeof failure.retryable === 'boolean' &&
    /^MCPC_ERR_[A-Z_]+$/.test(String(failure.code))
  if (!isShaped) return `no failure of ours: ${about}`
  // Those that a server brings about: it has no prompts and no resources, and runs for as long as it was told to.
  const isForeseen = status < 500 || ['MCPC_ERR_MCP_CALL', 'MCPC_ERR_MCP_TIMEOUT'].includes(String(failure.code))
  return isForeseen ? null : `not foreseen: ${about}`
}

/** The faults. */
async function sendAll (
  requests: readonly HostileRequest[],
  faultOf: (sent: HostileRequest) => Promise<string | null>
): Promise<string[]> {
  const faults: string[] = []
  let next = 0
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      // A few tell what is wrong; to go on could take as long as all of them wait.
      while (next < requests.length && faults.length < 10) {
        const sent = requests[next++] as HostileRequest
        const fault = await faultOf(sent).catch(
          (error: Error) => `${JSON.stringify(sent).slice(0, 600)} was not answered: ${error.message}`
        )
        if (fault !== null) faults.push(fault)
      }
    })
  )
  return faults
}

/** After this long without a byte, nothing more is expected, also of a busy machine. */
const silenceMs = 3_000

/** All that comes back over a connection of its own, until it ends, or nothing has come for a while. */
function sendRaw ({ url }: Service, text: string): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise(resolve => {
    let answers = ''
    const socket = connect(Number(port), hostname, () => socket.write(text, 'latin1'))
    socket.setTimeout(silenceMs, () => socket.destroy())
    socket
      .on('data', chunk => {
        answers += chunk.toString('latin1')
      })
      .on('error', () => {})
      .on('close', () => resolve(answers))
  })
}

/** Resident bytes. */
function memoryOf (pid: number): number {
  const [, pages] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')
  return Number(pages) * 4_096
}
