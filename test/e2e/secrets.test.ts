import { createHash } from 'node:crypto'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { heldBy } from '../support/canaries.ts'
import { cases } from '../support/cases.ts'
import { fixture } from '../support/paths.ts'
import { freePort } from '../support/ports.ts'
import { watchChildren } from '../support/processes.ts'
import { startRedis } from '../support/redis.ts'
import { post } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { type Service, spawnService, startService } from '../support/service.ts'
import { startRepeatingApi } from '../support/validation-api.ts'
import { until } from '../support/wait.ts'

/** Values that nobody but a tool which declares them may ever see. */
const canaries = {
  token: 'canary-header.canary-payload-4711.canary-signature',
  refused: 'canary-refused.canary-payload-0815.canary-signature',
  apiUrl: 'https://canary-api.example.com/tenant-4711',
  redisPassword: 'canary-redis-password-4711',
  value: 'canary-value-4711',
  apiKey: 'mcpk_canary-api-key-4711',
  encryptionKey: Buffer.from('canary-encryption-key-4711-32-by').toString('base64')
}

/** What is answered, and the secrets that were made on the way. */
interface Walk {
  answers: Array<{ what: string; text: string }>
  tokens: Record<string, string>
}

/** The whole contract, good and bad, with the canaries in every place where a caller may put them. */
async function walkThrough ({ url }: Service): Promise<Walk> {
  const answers: Walk['answers'] = []
  const key = { 'x-api-key': canaries.apiKey }
  const good = { apiUrl: canaries.apiUrl, jwtToken: canaries.token }
  const open = async (path: string, body: object): Promise<string> => {
    const { status, body: opened } = await post(url + path, { ...good, ...body }, key)
    const { session_token: token, session_id: id, ...rest } = opened as Record<string, string>
    answers.push({ what: `${path} ${status}`, text: JSON.stringify(rest) })
    return token ?? ''
  }
  const tokens = {
    sessionToken: await open('/init', { session_id: 'walk', note: canaries.value }),
    otherToken: await open('/sessions', {})
  }
  const bearer = { ...key, authorization: `Bearer ${tokens.sessionToken}` }

  const requests: Array<[path: string, body: unknown, headers?: Record<string, string>]> = [
    ['/init', { ...good, session_id: 'walk', jwtToken: canaries.refused }],
    ['/init', { ...good, session_id: 'walk', jwtToken: canaries.token.replaceAll('.', '-') }],
    ['/init', { ...good, session_id: 'walk', apiUrl: `ftp://${canaries.apiUrl}` }],
    ['/init', { ...good, session_id: 5.5 }],
    ['/init', { ...good, session_id: 'walk', jwtToken: [canaries.token] }],
    ['/sessions', { ...good, session_id: canaries.token }],
    ['/sessions', { ...good, jwtToken: canaries.refused }],
    ['/tools', { session_id: 'walk' }],
    ['/tools', { session_id: 'walk' }, { ...key, authorization: `Bearer ${tokens.otherToken}` }],
    ['/tools', { session_id: 'walk' }, { 'x-api-key': `${canaries.apiKey}-wrong` }],
    ['/tools', { session_id: 'walk' }, { ...bearer, origin: 'https://evil.example' }],
    ['/tools', { session_id: 'walk', jwtToken: canaries.token }],
    [
      '/call-tool',
      {
        session_id: 'walk',
        tool: 'act',
        params: { jwtToken: canaries.token, apiUrl: canaries.apiUrl, kept: canaries.value }
      }
    ],
    ['/call-tool', { session_id: 'walk', tool: 'act', params: { kept: canaries.value }, reference: true }],
    ['/call-tool', { session_id: 'walk', tool: 'act', params: { kept: { $result: `r_${'x'.repeat(32)}`, pointer: canaries.token } } }],
    ['/call-tool', { session_id: 'walk', tool: 'act', params: canaries.token }],
    ['/call-tool', { session_id: 'walk', tool: [canaries.token] }],
    ['/call-tool', { session_id: 'walk', tool: 'nothing', params: good }],
    [
      '/call-tool',
      { session_id: 'walk', tool: 'act', params: { apiUrl: canaries.apiUrl, kept: canaries.value } },
      { ...bearer, prefer: 'respond-async, wait=20', 'idempotency-key': canaries.token }
    ],
    ['/prompts', { session_id: 'walk' }],
    ['/read-resource', { session_id: 'walk', uri: 'file:///a', jwtToken: canaries.token }],
    ['/complete', { session_id: 'walk', ref: canaries.token, argument: {} }]
  ]
  const send = async (path: string, body: unknown, headers: Record<string, string> = bearer) => {
    const { status, body: text } = await post(url + path, body, headers)
    answers.push({ what: `${path} ${status}`, text: JSON.stringify(text) })
  }
  for (const request of requests) await send(...request)
  const broken = `{"session_id": "walk", "jwtToken": "${canaries.token}", `
  for (const body of [broken, `"${canaries.token}"`, `["${canaries.token}"]`]) {
    const response = await fetch(`${url}/init`, { method: 'POST', body, headers: key })
    answers.push({ what: `/init with a bad body ${response.status}`, text: await response.text() })
  }
  const { calls = [] } = await (
    await fetch(`${url}/calls`, { headers: { ...bearer, 'x-session-id': 'walk' } })
  ).json() as { calls?: Array<{ call: string }> }
  const followed = calls.flatMap(({ call }) => [`/calls/${call}`, `/calls/${call}/events`])
  for (const path of [...followed, '/calls', '/health', '/tools-schema', '/openapi.json', '/nothing/x', '/livez', '/readyz', '/session', `/results/${canaries.token}`, `/results/r_1?pointer=${canaries.token}`]) {
    answers.push({
      what: path,
      text: await (await fetch(url + path, { headers: { ...bearer, 'x-session-id': 'walk' } })).text()
    })
  }
  answers.push({
    what: 'DELETE /session',
    text: await (
      await fetch(`${url}/session`, { method: 'DELETE', headers: { ...bearer, 'x-session-id': 'walk' } })
    ).text()
  })
  await send('/shutdown', { session_id: 'walk' })
  await send('/shutdown', {})
  return { answers, tokens }
}

/** All that a Redis is asked and told from now on, scripts and their arguments included. */
async function watchRedis (t: Test, path: string, password: string): Promise<() => string> {
  const lines: string[] = []
  const client = new Redis({ path, password, retryStrategy: null })
  const monitor = await client.monitor()
  client.disconnect()
  monitor.on('monitor', (_time: string, command: string[]) => lines.push(command.join(' ')))
  t.teardown(() => monitor.disconnect())
  return () => lines.join('\n')
}

const behaviours = ['dies-on-call', 'answers-with-an-error', 'well-behaved', 'dies-at-start']

for (const misbehaviour of cases(behaviours, 4)) {
  t.test(`no secret is in any answer or any log line at trace level: a server that is ${misbehaviour}`, async t => {
    // A refusal that repeats the token must not pass it on.
    const api = await startRepeatingApi(t, token => token === canaries.token)
    const redis = await startRedis(t, ['--requirepass', canaries.redisPassword])
    const redisUrl = redis.url.replace('unix://', `unix://:${canaries.redisPassword}@localhost`)
    const zoo = { command: process.execPath, args: [fixture('zoo-server.mjs'), misbehaviour, 'no secret here'] }
    // Before anybody uses Redis: a command in the packet of the reply to MONITOR would be taken for a reply.
    const told = await watchRedis(t, redis.socket, canaries.redisPassword)
    const service = await startService(t, {
      REDIS_URL: redisUrl,
      MCP_CLIENT_API_KEYS: `walker:${createHash('sha256').update(canaries.apiKey).digest('hex')}`,
      MCP_ENCRYPTION_KEYS: `k1:${canaries.encryptionKey}`,
      MCP_SESSION_TOKENS: 'required',
      MCP_SKIP_VALIDATION: undefined,
      MCP_API_BASE_URL: api.url,
      MCP_SERVERS_FILE: await serversFile(t, { zoo }),
      MCP_TOOLS_CACHE_TTL: '0',
      MCP_ASYNC_CALLS: 'on',
      MCP_LOG_LEVEL: 'trace'
    })

    const watch = watchChildren([service.pid])
    t.teardown(watch.stop)
    const { answers, tokens } = await walkThrough(service)
    const secrets = { ...canaries, ...tokens }
    await redis.stop()
    const headers = { 'x-api-key': canaries.apiKey, authorization: `Bearer ${tokens.sessionToken}` }
    answers.push({
      what: '/call-tool without redis',
      text: JSON.stringify(
        (await post(`${service.url}/call-tool`, { session_id: 'walk', tool: 'act' }, headers)).body
      )
    })
    service.kill('SIGTERM')
    await service.exited

    t.ok(service.output().length > 1_000, 'there is a log to search')
    const statuses = new Set(answers.map(({ what }) => what.split(' ').at(-1)))
    t.ok(statuses.has('401') && statuses.has('400') && statuses.has('200'), 'good and bad requests were among them')
    if (misbehaviour === 'dies-on-call') { t.match(service.output(), /"line":"the token is \[hidden\]"/, 'what the server wrote is among it') }
    t.strictSame(heldBy(service.output(), secrets), [], 'no log line holds a secret')
    for (const { what, text } of answers) t.strictSame(heldBy(text, secrets), [], `${what} holds no secret`)

    t.match(told(), /s1\.k1\./, 'what is sealed went to Redis')
    t.strictSame(heldBy(told(), secrets), [], 'nothing that Redis is told holds a secret')
    const children = [...watch.seen.values()].join('\n')
    if (misbehaviour !== 'dies-at-start') t.match(children, /zoo-server/, 'servers were looked at')
    t.strictSame(heldBy(children, secrets), [], 'no process is given a secret that its entry does not name')
  })
}

t.test('a Redis that refuses the password, or is not there, is named without it', async t => {
  const redis = await startRedis(t, ['--requirepass', 'another-one'])
  for (const REDIS_URL of [
    redis.url.replace('unix://', `unix://:${canaries.redisPassword}@localhost`),
    `redis://:${canaries.redisPassword}@127.0.0.1:${await freePort()}`
  ]) {
    const { output, exited } = await spawnService(t, {
      REDIS_URL,
      MCP_SKIP_VALIDATION: 'true',
      MCP_SERVER_SCRIPT: fixture('tiny-server.mjs'),
      MCP_LOG_LEVEL: 'trace'
    })
    t.match(await exited, { code: 1 })
    await until(() => output().includes('cannot be used'), 'it says why')
    t.match(output(), /Redis at \S+ cannot be used: /)
    t.notOk(output().includes(canaries.redisPassword))
  }
})
