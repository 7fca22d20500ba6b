import { join } from 'node:path'
import { writeFile } from 'node:fs/promises'
import t from 'tap'
import { heldBy, startRepeatingApi } from '../canaries.ts'
import { fixture, freePort, post, type Service, spawnService, startRedis, startService, until } from '../helper.ts'

/** Values that nobody but a tool which declares them may ever see. */
const canaries = {
  token: 'canary-header.canary-payload-4711.canary-signature',
  refused: 'canary-refused.canary-payload-0815.canary-signature',
  apiUrl: 'https://canary-api.example.com/tenant-4711',
  redisPassword: 'canary-redis-password-4711'
}

/** The whole contract, good and bad, with the canaries in every place where a caller may put them. */
async function walkThrough ({ url }: Service): Promise<Array<{ what: string, text: string, fromTool?: boolean }>> {
  const answers: Array<{ what: string, text: string, fromTool?: boolean }> = []
  const good = { session_id: 'walk', apiUrl: canaries.apiUrl, jwtToken: canaries.token }
  const requests: Array<[string, unknown, { fromTool?: boolean }?]> = [
    ['/init', { ...good, jwtToken: canaries.refused }],
    ['/init', { ...good, jwtToken: canaries.token.replaceAll('.', '-') }],
    ['/init', { ...good, apiUrl: `ftp://${canaries.apiUrl}` }],
    ['/init', { ...good, session_id: 5.5 }],
    ['/init', { ...good, jwtToken: [canaries.token] }],
    ['/init', good],
    ['/init', good],
    ['/tools', { session_id: 'walk' }],
    ['/tools', { session_id: 'walk', jwtToken: canaries.token }],
    ['/call-tool', { session_id: 'walk', tool: 'act', params: { jwtToken: canaries.token, apiUrl: canaries.apiUrl } }],
    ['/call-tool', { session_id: 'walk', tool: 'act', params: canaries.token }],
    ['/call-tool', { session_id: 'walk', tool: [canaries.token] }],
    ['/call-tool', { session_id: 'walk', tool: 'nothing', params: good }],
    ['/shutdown', { session_id: 'walk' }],
    ['/shutdown', {}]
  ]
  for (const [path, body, options] of requests) {
    const { status, body: text } = await post(url + path, body)
    answers.push({ what: `${path} ${status}`, text: JSON.stringify(text), ...options })
  }
  const broken = `{"session_id": "walk", "jwtToken": "${canaries.token}", `
  for (const body of [broken, `"${canaries.token}"`, `["${canaries.token}"]`]) {
    const response = await fetch(`${url}/init`, { method: 'POST', body })
    answers.push({ what: `/init with a bad body ${response.status}`, text: await response.text() })
  }
  for (const path of ['/health', '/tools-schema', '/openapi.json', `/nothing/${'x'}`, '/livez', '/readyz']) {
    answers.push({ what: path, text: await (await fetch(url + path, { headers: { authorization: `Bearer ${canaries.token}` } })).text() })
  }
  return answers
}

for (const misbehaviour of ['well-behaved', 'dies-on-call', 'dies-at-start', 'answers-with-an-error']) {
  t.test(`no secret is in any answer or any log line at trace level: a server that is ${misbehaviour}`, async t => {
    // A refusal that repeats the token must not pass it on.
    const api = await startRepeatingApi(t, token => token === canaries.token)
    const redis = await startRedis(t, ['--requirepass', canaries.redisPassword])
    const serversFile = join(t.testdir(), 'servers.json')
    await writeFile(serversFile, JSON.stringify({ mcpServers: { zoo: { command: process.execPath, args: [fixture('zoo-server.mjs'), misbehaviour, 'no secret here'] } } }))
    const service = await startService(t, {
      REDIS_URL: redis.url.replace('unix://', `unix://:${canaries.redisPassword}@localhost`),
      MCP_SKIP_VALIDATION: undefined,
      MCP_API_BASE_URL: api.url,
      MCP_SERVERS_FILE: serversFile,
      MCP_TOOLS_CACHE_TTL: '0',
      MCP_LOG_LEVEL: 'trace'
    })

    const answers = await walkThrough(service)
    await redis.stop()
    answers.push({ what: '/call-tool without redis', text: JSON.stringify((await post(`${service.url}/call-tool`, { session_id: 'walk', tool: 'act' })).body) })
    service.kill('SIGTERM')
    await service.exited

    t.ok(service.output().length > 1_000, 'there is a log to search')
    const statuses = new Set(answers.map(({ what }) => what.split(' ').at(-1)))
    t.ok(statuses.has('401') && statuses.has('400') && statuses.has('200'), 'good and bad requests were among them')
    if (misbehaviour === 'dies-on-call') t.match(service.output(), /"line":"the token is \[hidden\]"/, 'what the server wrote is among it')
    t.strictSame(heldBy(service.output(), canaries), [], 'no log line holds a secret')
    for (const { what, text } of answers) t.strictSame(heldBy(text, canaries), [], `${what} holds no secret`)
  })
}

t.test('a Redis that refuses the password, or is not there, is named without it', async t => {
  const redis = await startRedis(t, ['--requirepass', 'another-one'])
  for (const REDIS_URL of [redis.url.replace('unix://', `unix://:${canaries.redisPassword}@localhost`), `redis://:${canaries.redisPassword}@127.0.0.1:${await freePort()}`]) {
    const { output, exited } = await spawnService(t, { REDIS_URL, MCP_SKIP_VALIDATION: 'true', MCP_SERVER_SCRIPT: fixture('tiny-server.mjs'), MCP_LOG_LEVEL: 'trace' })
    t.match(await exited, { code: 1 })
    await until(() => output().includes('cannot be used'), 'it says why')
    t.match(output(), /Redis at \S+ cannot be used: /)
    t.notOk(output().includes(canaries.redisPassword))
  }
})
