import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import Fastify, { type FastifyError } from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import app from '../../app.ts'
import { cases } from '../support/cases.ts'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { makeFolder } from '../support/folders.ts'
import { fixture } from '../support/paths.ts'
import { freePort } from '../support/ports.ts'
import { isAlive, serversOf } from '../support/processes.ts'
import { isGiven, redisClient, startRedis } from '../support/redis.ts'
import { post } from '../support/requests.ts'
import { type Environment, environment, listen, spawnService, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

t.jobs = 4
t.setTimeout(170_000)

const root = join(import.meta.dirname, '..', '..')
const secret = 'canary-that-nobody-may-read'

/** Starts the service, which must refuse, and gives the one line that it wrote. */
async function refusal (t: Test, env: Environment): Promise<string> {
  const { exited, output } = await spawnService(t, {
    MCP_CLIENT_HOST: '127.0.0.1',
    MCP_CLIENT_PORT: '0',
    MCP_API_BASE_URL: 'https://api.example.com',
    ...env
  })
  const end = await exited
  t.strictSame(end, { code: 1, signal: null }, 'it ends with exit code 1')
  const lines = output().trimEnd().split('\n')
  t.equal(lines.length, 1, `one line, not ${output()}`)
  return lines[0] ?? ''
}

/**
 * The same in this process, where the next line is what the start would have written: most rows of the tables below
 * need no more.
 */
async function refusalHere (t: Test, env: Environment, code = 'MCPC_ERR_CONFIG'): Promise<string> {
  const service = Fastify({ logger: false, pluginTimeout: 60_000 })
  t.teardown(() => service.close())
  const loading = service.register(fp(app), { env: { MCP_API_BASE_URL: 'https://api.example.com', ...env } })
  const error = await Promise.resolve(loading)
    .then(() => service.ready())
    .then(
      () => new Error('it started'),
      (error: FastifyError) => error
    )
  t.match(error, { code })
  t.notMatch(error.message, '\n')
  return error.message
}

const inProcessesOfTheirOwn = new Set(['no server', 'whose server has a command that is not there'])
const refusalOf = (title: string) => (inProcessesOfTheirOwn.has(title) ? refusal : refusalHere)

const script = fixture('tiny-server.mjs')

/** What no Redis is needed to refuse: where it would be, nobody listens. */
const refusedSettings: Array<[title: string, env: Environment, line: RegExp]> = [
  ['no server', {}, /^MCP_SERVER_SCRIPT or MCP_SERVERS_FILE must be set/],
  [
    'two servers',
    { MCP_SERVER_SCRIPT: script, MCP_SERVERS_FILE: 'servers.json' },
    /^MCP_SERVER_SCRIPT and MCP_SERVERS_FILE are both set/
  ],
  [
    'no API to check credentials with',
    { MCP_SERVER_SCRIPT: script, MCP_API_BASE_URL: '' },
    /^MCP_API_BASE_URL must be set to an http\(s\) URL/
  ],
  [
    'no API while checking is not switched off',
    { MCP_SERVER_SCRIPT: script, MCP_API_BASE_URL: '', MCP_SKIP_VALIDATION: 'False' },
    /^MCP_API_BASE_URL must be set/
  ],
  [
    'an API that is no URL',
    { MCP_SERVER_SCRIPT: script, MCP_API_BASE_URL: 'api.example.com' },
    /^MCP_API_BASE_URL must be an http\(s\) URL, but is "api\.example\.com"$/
  ],
  [
    'a folder of compiled code that is a file',
    { MCP_SERVER_SCRIPT: script, MCP_NODE_COMPILE_CACHE: script },
    /^MCP_NODE_COMPILE_CACHE must name a folder .*, but ".*tiny-server\.mjs" is no folder$/
  ],
  [
    'a number that is none',
    { MCP_SERVER_SCRIPT: script, MCP_API_LONG_TIMEOUT: 'soon' },
    /^MCP_API_LONG_TIMEOUT must be a number of seconds .*, but is "soon"$/
  ],
  [
    'a fraction where there is none',
    { MCP_SERVER_SCRIPT: script, REDIS_DB: '1.5' },
    /^REDIS_DB must be a database number from 0, but is "1\.5"$/
  ],
  [
    'a TTL of 0',
    { MCP_SERVER_SCRIPT: script, MCP_SESSION_IDLE_TTL: '0' },
    /^MCP_SESSION_IDLE_TTL must be whole seconds from 1 to \d+, but is "0"$/
  ],
  [
    'a TTL below 0',
    { MCP_SERVER_SCRIPT: script, MCP_SESSION_IDLE_TTL: '-60' },
    /^MCP_SESSION_IDLE_TTL must be .*, but is "-60"$/
  ],
  [
    'a port out of range',
    { MCP_SERVER_SCRIPT: script, MCP_CLIENT_PORT: '70000' },
    /^MCP_CLIENT_PORT must be a port from 0 to 65535, but is "70000"$/
  ],
  [
    'a port below 0',
    { MCP_SERVER_SCRIPT: script, MCP_CLIENT_PORT: '-1' },
    /^MCP_CLIENT_PORT must be a port from 0 to 65535, but is "-1"$/
  ],
  [
    'a port of Redis out of range',
    { MCP_SERVER_SCRIPT: script, REDIS_PORT: '0' },
    /^REDIS_PORT must be a port from 1 to 65535, but is "0"$/
  ],
  [
    'a grace that is no number',
    { MCP_SERVER_SCRIPT: script, MCP_CLOSE_GRACE: '-5' },
    /^MCP_CLOSE_GRACE must be a number of seconds/
  ],
  [
    'a log level that there is not',
    { MCP_SERVER_SCRIPT: script, MCP_LOG_LEVEL: 'loud' },
    /^MCP_LOG_LEVEL must be trace, debug, .*, but is "loud"$/
  ],
  [
    'several at once',
    { MCP_SERVER_SCRIPT: script, MCP_SESSION_IDLE_TTL: '0', REDIS_PORT: 'x' },
    /^REDIS_PORT must be .*; MCP_SESSION_IDLE_TTL must be /
  ],
  [
    'a URL of Redis of another protocol',
    { MCP_SERVER_SCRIPT: script, REDIS_URL: `http://user:${secret}@localhost` },
    /^REDIS_URL must be .*, but is a value that is not shown$/
  ],
  [
    'a URL of Redis that cannot be decoded',
    { MCP_SERVER_SCRIPT: script, REDIS_URL: `redis://user:%ZZ${secret}@localhost` },
    /^REDIS_URL must be .*, but is a value that is not shown$/
  ]
]
for (const [title, env, line] of cases(refusedSettings, 4)) {
  t.test(`a start with ${title} is refused in one line that names the variable`, async t => {
    const written = await refusalOf(title)(t, { REDIS_PORT: '1', REDIS_PASSWORD: secret, ...env })
    t.match(written, line)
    t.notMatch(written, secret)
  })
}

/** Contents of MCP_SERVERS_FILE; `null` for a file that is not there. */
const refusedServers: Array<[title: string, content: string | null, line: RegExp]> = [
  [
    'that is not there',
    null,
    /^MCP_SERVERS_FILE must be a JSON file with mcpServers, but \S+servers\.json cannot be read$/
  ],
  [
    'that is no JSON',
    '{"mcpServers": {',
    /^MCP_SERVERS_FILE must be a JSON file with mcpServers, but \S+servers\.json is not valid JSON: line 1, column 17: /
  ],
  ['without servers', '{"server": {}}', /^MCP_SERVERS_FILE must hold an object "mcpServers" or "servers"/],
  ['with no server', '{"mcpServers": {}}', /^MCP_SERVERS_FILE must name a server/],
  [
    'whose server has a command that is not there',
    '{"mcpServers": {"weather": {"command": "no-such-command"}}}',
    /^MCP_SERVERS_FILE: server "weather": command must be an executable, but "no-such-command" was not found on PATH$/
  ],
  [
    'whose server has no command',
    '{"mcpServers": {"weather": {"args": []}}}',
    /^MCP_SERVERS_FILE: server "weather": command must be a non-empty string/
  ],
  [
    'whose server has arguments that are no list',
    `{"mcpServers": {"weather": {"command": "node", "args": "${secret}"}}}`,
    /^MCP_SERVERS_FILE: server "weather": args must be an array of strings$/
  ],
  [
    'whose server has a variable that is no text',
    `{"mcpServers": {"weather": {"command": "node", "env": {"KEY": ["${secret}"]}}}}`,
    /^MCP_SERVERS_FILE: server "weather": env must be an object of strings, numbers, true and false$/
  ]
]
for (const [title, content, line] of cases(refusedServers, 3)) {
  t.test(`a start with a servers file ${title} is refused in one line`, async t => {
    const file = join(await makeFolder(t), 'servers.json')
    if (content !== null) await writeFile(file, content)

    const written = await refusalOf(title)(t, {
      ...(await environment(t)),
      MCP_SKIP_VALIDATION: undefined,
      MCP_SERVER_SCRIPT: undefined,
      MCP_SERVERS_FILE: file
    })

    t.match(written, line)
    t.notMatch(written, secret)
  })
}

t.test('a start with a script that is not there is refused in one line that names the variable', async t => {
  const written = await refusalHere(t, {
    ...(await environment(t, { MCP_SERVER_SCRIPT: 'no-such-server.py' })),
    MCP_SKIP_VALIDATION: undefined
  })
  t.match(written, /^MCP_SERVER_SCRIPT must be a file, but there is none at \/\S+no-such-server\.py$/)
})

t.test('a start without a Redis is refused in one line that says where it should be', async t => {
  const port = await freePort()
  const written = await refusal(t, {
    MCP_SERVER_SCRIPT: script,
    REDIS_HOST: '127.0.0.1',
    REDIS_PORT: String(port),
    REDIS_PASSWORD: secret
  })
  t.equal(written, `Redis at 127.0.0.1:${port} cannot be used: connect ECONNREFUSED 127.0.0.1:${port}`)
})

t.test('a password that Redis refuses is not repeated', async t => {
  const port = await freePort()
  await startRedis(t, ['--port', String(port), '--requirepass', 'not-a-real-password'])
  const place = { MCP_SERVER_SCRIPT: script, REDIS_HOST: '127.0.0.1', REDIS_PORT: String(port) }

  const refused = (env: Environment) => refusalHere(t, { ...place, ...env }, 'MCPC_ERR_STORE_START')

  const wrong = await refused({ REDIS_PASSWORD: secret })
  t.match(wrong, new RegExp(`^Redis at 127\\.0\\.0\\.1:${port} cannot be used: WRONGPASS`))
  t.notMatch(wrong, secret)

  const inUrl = await refused({ REDIS_URL: `redis://:${secret}@127.0.0.1:${port}/0` })
  t.match(inUrl, new RegExp(`^Redis at 127\\.0\\.0\\.1:${port} cannot be used: WRONGPASS`))
  t.notMatch(inUrl, secret)

  t.match(await refused({}), /cannot be used: NOAUTH/)

  const service = await listen(t, { ...place, REDIS_URL: undefined, REDIS_PASSWORD: 'not-a-real-password' })
  t.equal((await fetch(`${service.url}/readyz`)).status, 200, 'the right one is taken')
})

t.test('a database that Redis does not have is refused', async t => {
  const { REDIS_URL: url, ...env } = await environment(t)
  const written = await refusalHere(
    t,
    { ...env, MCP_SKIP_VALIDATION: undefined, REDIS_URL: `${url}?db=4711` },
    'MCPC_ERR_STORE_START'
  )
  t.match(written, /^Redis at \/\S+ cannot be used: ERR DB index is out of range/)
})

t.test('a port that is taken is refused in one line that names the variable', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }

  const written = await refusal(t, {
    ...(await environment(t)),
    MCP_SKIP_VALIDATION: undefined,
    MCP_CLIENT_PORT: String(port)
  })

  t.equal(written, `MCP_CLIENT_PORT must be a free port, but 127.0.0.1:${port} is taken by another process`)
})

t.test("an address that is not this machine's is refused in one line that names the variable", async t => {
  const written = await refusal(t, {
    ...(await environment(t)),
    MCP_SKIP_VALIDATION: undefined,
    MCP_CLIENT_HOST: '192.0.2.1'
  })
  t.match(written, /^MCP_CLIENT_HOST must be an address of this machine, but is 192\.0\.2\.1/)
})

t.test('the settings of .env in the working folder are read, and the environment comes first', async t => {
  const { MCP_SERVER_SCRIPT, REDIS_URL, MCP_SESSION_KEY_PREFIX, MCP_SKIP_VALIDATION, ...env } = await environment(t)
  const dotEnv = Object.entries({
    MCP_SERVER_SCRIPT,
    REDIS_URL,
    MCP_SESSION_KEY_PREFIX,
    MCP_SKIP_VALIDATION,
    MCP_SESSION_IDLE_TTL: '77',
    MCP_CLIENT_PORT: '1',
    MCP_CLIENT_HOST: '127.0.0.1'
  })
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
  const unset = {
    MCP_SERVER_SCRIPT: undefined,
    REDIS_URL: undefined,
    MCP_SESSION_KEY_PREFIX: undefined,
    MCP_SKIP_VALIDATION: undefined,
    MCP_CLIENT_HOST: undefined
  }

  const service = await startService(t, { ...env, ...unset, MCP_CLIENT_PORT: '0' }, { files: { '.env': dotEnv } })
  await post(`${service.url}/init`, { session_id: 'from-file', apiUrl, jwtToken })

  t.ok(await isGiven(await redisClient(t), `${MCP_SESSION_KEY_PREFIX}:from-file`, 77))
})

t.test('plain `fastify start` works, without our start script and without --options', async t => {
  const port = await freePort()
  const command = [
    join(root, 'node_modules', 'fastify-cli', 'cli.js'),
    'start',
    '--address',
    '127.0.0.1',
    '--port',
    String(port),
    join(root, 'dist', 'app.js')
  ]
  const service = await startService(t, { MCP_LOG_LEVEL: 'info', MCP_MAX_BODY_BYTES: '2000000' }, { command })

  t.equal(service.url, `http://127.0.0.1:${port}`)
  t.strictSame((await post(`${service.url}/init`, { session_id: 'plain', apiUrl, jwtToken })).body, { status: 'ok' })
  t.match(await post(`${service.url}/call-tool`, { session_id: 'plain', tool: 'echo', params: { text: '5' } }), {
    status: 200,
    body: { text: '5' }
  })
  t.match(
    await post(`${service.url}/call-tool`, { session_id: 'plain', tool: 5 }),
    { status: 400, body: { code: 'MCPC_ERR_INVALID_FIELD' } },
    'nothing is converted'
  )
  t.match(
    await post(`${service.url}/call-tool`, {
      session_id: 'plain',
      tool: 'echo',
      params: { text: 'x'.repeat(1_500_000) }
    }),
    { status: 200 },
    "a body above Fastify's own limit"
  )
  t.notMatch(service.output(), jwtToken)

  service.kill('SIGTERM')
  t.strictSame(await service.exited, { code: 0, signal: null })
})

/** A service with a call of `ms` under way, and the process that answers it. */
async function startSlowCall (t: Test, ms: number, env: Environment = {}) {
  const service = await startService(t, env)
  await post(`${service.url}/init`, { session_id: 'slow', apiUrl, jwtToken })
  await post(`${service.url}/call-tool`, { session_id: 'slow', tool: 'echo' }) // now the tools are known, and the next server is the call's own
  await until(() => serversOf(service.pid).length === 0, 'the server of that call is gone')
  const call = post(`${service.url}/call-tool`, { session_id: 'slow', tool: 'wait', params: { ms } })
  call.catch(() => {}) // looked at by the test; until then it may break off
  let servers: number[] = []
  await until(() => (servers = serversOf(service.pid)).length > 0, 'the server runs')
  return { service, call, servers }
}

t.test('SIGTERM during a slow call: the answer is delivered, the exit code is 0, and no process is left', async t => {
  const { service, call, servers } = await startSlowCall(t, 2_000)

  service.kill('SIGTERM')

  t.match(await call, { status: 200, body: { status: 'success', waited: 2_000 } })
  t.strictSame(await service.exited, { code: 0, signal: null })
  t.strictSame(servers.filter(isAlive), [], 'the server ended, too')
})

t.test('SIGTERM with nothing to do ends at once, idle connections or not', async t => {
  const service = await startService(t, { MCP_CLOSE_GRACE: '10' })
  await fetch(`${service.url}/livez`) // leaves a connection open for the next request
  service.kill('SIGTERM')

  t.strictSame(await service.exited, { code: 0, signal: null }, 'and not as one whose grace is over')
})

t.test(
  'a call that takes longer than the grace is broken off, its caller is told, and no process is left',
  async t => {
    const { service, call, servers } = await startSlowCall(t, 60_000, { MCP_CLOSE_GRACE: '0.5' })

    service.kill('SIGTERM')

    t.match(await call, { status: 503, body: { code: 'MCPC_ERR_CLOSING', retryable: true, acted: 'unknown' } })
    t.strictSame(await service.exited, { code: 0, signal: null })
    await until(() => !servers.some(isAlive), 'the server is gone, too')
  }
)
