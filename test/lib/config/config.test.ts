import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Value } from 'typebox/value'
import { resolveConfig } from '../../../lib/config/config.ts'
import {
  describeInvalidVariable,
  type Environment,
  EnvironmentSchema,
  normalizeEnvironment
} from '../../../lib/config/environment.ts'

const root = join(import.meta.dirname, '..', '..', '..')
const read = (...path: string[]) => readFileSync(join(root, ...path), 'utf8')

interface Documented {
  default?: unknown
  title?: string
  description?: string
}
const properties = Object.entries(EnvironmentSchema.properties) as Array<[string, Documented]>
const defaultText = ({ default: value }: Documented) => (value === undefined ? '' : String(value))

/** The smallest environment that is complete, with the schema's defaults. */
const complete = (environment: Record<string, string>): Environment =>
  Value.Default(EnvironmentSchema, {
    MCP_SERVER_SCRIPT: 'server.mjs',
    MCP_API_BASE_URL: 'https://api.example.com',
    ...environment
  }) as Environment

t.test('.env.example names the variables of the schema with their defaults, each once, and no others', async t => {
  const lines = [...read('.env.example').matchAll(/^#?(\w+)=(.*)$/gm)].map(([, name, value]) => [name, value])

  t.strictSame(lines.sort(), properties.map(([name, schema]) => [name, defaultText(schema)]).sort())
})

t.test('.env.example says of each variable what the schema says', async t => {
  const text = read('.env.example')
  for (const [name, { description }] of properties) {
    t.ok(
      text.includes(`# ${description?.replaceAll('`', '')}\n${text.includes(`\n#${name}=`) ? '#' : ''}${name}=`),
      name
    )
  }
})

t.test('.env.example sets no secret', async t => {
  t.notMatch(
    read('.env.example'),
    /^#?(REDIS_(PASSWORD|URL|SENTINEL_PASSWORD)|MCP_CLIENT_API_KEYS|MCP_ENCRYPTION_KEYS)=./m
  )
})

t.test(
  'docs/configuration.md lists the variables of the schema with default, values and description, each once, and no others',
  async t => {
    const rows = [...read('docs', 'configuration.md').matchAll(/^\| `([A-Z_]+)` \| (.*) \|$/gm)].map(
      ([, name, rest]) => `${name}: ${rest}`
    )
    const expected = properties.map(([name, schema]) => {
      const value = defaultText(schema)
      return `${name}: ${value && `\`${value}\``} | ${schema.title} | ${schema.description}`
    })

    t.strictSame(rows.sort(), expected.sort())
  }
)

t.test('every variable says what it takes and what it does', async t => {
  for (const [name, { title, description }] of properties) t.ok(title && description?.endsWith('.'), name)
})

t.test('an empty value counts as not set, and what is no variable of ours is left out', async t => {
  t.strictSame(
    normalizeEnvironment({
      REDIS_PASSWORD: '',
      REDIS_HOST: '  ',
      REDIS_PORT: ' 6380 ',
      PATH: '/bin',
      MCP_LOG_LEVEL: undefined
    }),
    { REDIS_PORT: '6380' }
  )
})

t.test('a secret is taken as it is, spaces included', async t => {
  t.strictSame(normalizeEnvironment({ REDIS_PASSWORD: ' not-a-password ' }), { REDIS_PASSWORD: ' not-a-password ' })
})

t.test('the spellings of the replaced service are understood', async t => {
  const levels = { DEBUG: 'debug', WARNING: 'warn', Critical: 'fatal', NOTSET: 'trace', info: 'info', loud: 'loud' }
  for (const [given, level] of Object.entries(levels)) {
    t.equal(normalizeEnvironment({ MCP_LOG_LEVEL: given }).MCP_LOG_LEVEL, level, given)
  }
  for (const given of ['True', '1', 'yes']) { t.equal(normalizeEnvironment({ MCP_SKIP_VALIDATION: given }).MCP_SKIP_VALIDATION, 'true', given) }
  for (const given of ['FALSE', '0', 'no']) { t.equal(normalizeEnvironment({ MCP_SKIP_VALIDATION: given }).MCP_SKIP_VALIDATION, 'false', given) }
  t.equal(
    normalizeEnvironment({ MCP_SKIP_VALIDATION: 'maybe' }).MCP_SKIP_VALIDATION,
    'maybe',
    'left for the schema to refuse'
  )
})

t.test('the defaults are those that are documented', async t => {
  t.strictSame(resolveConfig(complete({})), {
    isDescribed: false,
    redis: { host: 'localhost', port: 6379, db: 0, commandTimeoutMs: 500 },
    session: {
      keyPrefix: 'mcp_session',
      idleTtlSeconds: 86_400,
      maxLifetimeSeconds: 30 * 86_400,
      maxBytes: 16 * 1024 * 1024,
      maxCredentialBytes: 65_536,
      maxConcurrency: 10,
      maxSessionsPerClient: 100_000
    },
    metrics: null,
    calls: { isAsync: false, ttlMs: 86_400_000, idempotencyTtlMs: 86_400_000, maxCalls: 1_000 },
    results: { inlineBytes: 0, ttlMs: 3_600_000, maxResults: 100, maxBytes: 67_108_864 },
    sessionTokens: false,
    encryptionKeys: [],
    audit: 'log',
    sensitiveParams: ['apiUrl', 'jwtToken'],
    maskedParams: null,
    cacheResults: 'success',
    values: {
      policyDefaults: { values: 'none', validation: 'warn' },
      scriptValidation: 'off',
      listsFilled: false
    },
    validation: { url: 'https://api.example.com/settings/validate', timeoutMs: 5_000 },
    apiHosts: { allowed: null, requiresHttps: false },
    timeouts: { listMs: 60_000, callMs: 300_000, inactivityMs: 0, startMs: 30_000, stopStepMs: 500 },
    apiKeys: null,
    allowedOrigins: [],
    allowedHosts: [],
    trustedProxies: [],
    rateLimits: { requestsOfSession: 0, initsOfAddress: 0 },
    maxBodyBytes: 8 * 1024 * 1024,
    maxJsonDepth: 100,
    maxParameters: 1_000,
    serverBounds: {
      maxBytes: 268_435_456,
      maxMessages: 50_000,
      maxRequests: 100,
      maxValues: 500_000,
      maxListBytes: 32 * 1024 * 1024,
      maxListItems: 10_000,
      maxInstructionsBytes: 65_536
    },
    maxResultBytes: 32 * 1024 * 1024,
    maxResultNames: 5_000,
    processes: {
      maxStarting: null,
      maxAlive: null,
      maxQueued: 1_000,
      queueTimeoutMs: 10_000,
      warmSpares: 1,
      spareMaxAgeMs: 300_000,
      sharedIdleMs: 300_000,
      niceness: 10
    },
    compileCache: null,
    upstreams: { maxRequests: 100, maxTotal: 1_000 },
    toolsCacheTtlMs: 60_000,
    failingTtlMs: 10_000,
    learning: { isOn: true, readyWaitMs: 10_000 },
    elicitation: false,
    upstreamProxy: false,
    isServersFileStrict: false,
    basePath: '',
    errorDocsUrl: '/docs/errors',
    closeGraceMs: 30_000,
    maxLoopDelayMs: 1_000,
    writeTimeoutMs: 60_000,
    heartbeatMs: 15_000,
    serverScript: 'server.mjs'
  })
})

t.test('names with spaces between are names', async t => {
  t.strictSame(resolveConfig(complete({ MCP_SENSITIVE_PARAMS: 'apiUrl , jwtToken,tenant' })).sensitiveParams, [
    'apiUrl',
    'jwtToken',
    'tenant'
  ])
})

t.test('the checked credentials are hidden also where the list leaves them out, and only credentials are masked', async t => {
  const sensitive = (list: string) => resolveConfig(complete({ MCP_SENSITIVE_PARAMS: list })).sensitiveParams
  t.strictSame(sensitive('tenant'), ['tenant', 'apiUrl', 'jwtToken'])
  t.strictSame(sensitive('jwtToken,tenant,tenant'), ['jwtToken', 'tenant', 'apiUrl'])
  const masked = (list: string) =>
    resolveConfig(complete({ MCP_SENSITIVE_PARAMS: 'tenant', MCP_MASKED_PARAMS: list })).maskedParams
  t.strictSame(masked('tenant, apiUrl'), ['tenant', 'apiUrl'])
  t.throws(() => masked('tenant,other'), {
    message: 'MCP_MASKED_PARAMS must be names of MCP_SENSITIVE_PARAMS with commas between, but is "tenant,other"'
  })
})

t.test('the validation API is asked under the older name, too, and slashes are not doubled', async t => {
  const older = {
    ...complete({ INSIGHT_DIGGER_API_URL: 'http://older.example.com//' }),
    MCP_API_BASE_URL: undefined
  } as unknown as Environment
  t.equal(resolveConfig(older).validation?.url, 'http://older.example.com/settings/validate')
  t.equal(
    resolveConfig(complete({ INSIGHT_DIGGER_API_URL: 'http://older.example.com' })).validation?.url,
    'https://api.example.com/settings/validate'
  )
})

t.test('checking can be switched off', async t => {
  t.equal(resolveConfig({ ...complete({}), MCP_SKIP_VALIDATION: true }).validation, null)
})

t.test('what no single variable shows is refused by name', async t => {
  const without = (name: keyof Environment) => ({ ...complete({}), [name]: undefined }) as unknown as Environment
  t.throws(() => resolveConfig(without('MCP_SERVER_SCRIPT')), {
    code: 'MCPC_ERR_CONFIG',
    message: /^MCP_SERVER_SCRIPT or MCP_SERVERS_FILE must be set/
  })
  t.throws(() => resolveConfig(complete({ MCP_SERVERS_FILE: 'servers.json' })), {
    message: /^MCP_SERVER_SCRIPT and MCP_SERVERS_FILE are both set/
  })
  t.throws(() => resolveConfig(without('MCP_API_BASE_URL')), { message: /^MCP_API_BASE_URL must be set/ })
  t.throws(() => resolveConfig(complete({ MCP_API_BASE_URL: 'http://[api' })), {
    message: 'MCP_API_BASE_URL must be an http(s) URL, but is "http://[api"'
  })
  t.throws(() => resolveConfig({ ...without('MCP_API_BASE_URL'), INSIGHT_DIGGER_API_URL: 'http://[api' }), {
    message: /^INSIGHT_DIGGER_API_URL must be/
  })
})

t.test('a URL of Redis that leads nowhere is refused without repeating it', async t => {
  const urls = [
    'redis://user:canary@[host',
    'redis://user:canary%ZZ@host',
    'redis://:canary@host/first',
    'unix://run/redis.sock?canary',
    'unix://:canary@host/run/redis.sock',
    'unix:///run/redis.sock?db=canary',
    'redis:///1?canary'
  ]
  for (const url of urls) {
    t.throws(
      () => resolveConfig(complete({ REDIS_URL: url })),
      { message: 'REDIS_URL must be a redis://, rediss:// or unix:// URL, but is a value that is not shown' },
      url
    )
  }
})

t.test('a URL of Redis is taken in each of its forms', async t => {
  for (const url of [
    'redis://host',
    'redis://user:not%20a%20password@host:6380/2',
    'rediss://host/',
    'redis://[::1]:6379',
    'unix:///run/redis.sock',
    'unix:///run/redis.sock?db=3'
  ]) {
    t.equal(resolveConfig(complete({ REDIS_URL: url })).redis.url, url)
  }
})

t.test('keys that are none are refused without being repeated', async t => {
  for (const keys of [
    'canary',
    'k1:canary',
    `k1:${Buffer.alloc(32).toString('base64')},k1:${Buffer.alloc(32).toString('base64')}`
  ]) {
    t.throws(() => resolveConfig(complete({ MCP_ENCRYPTION_KEYS: keys })), {
      message:
        'MCP_ENCRYPTION_KEYS must be pairs id:key with commas between, each key 32 bytes in Base64, but is a value that is not shown'
    })
  }
  t.match(
    resolveConfig(complete({ MCP_ENCRYPTION_KEYS: `k2:${Buffer.alloc(32).toString('base64')}` })).encryptionKeys,
    [{ id: 'k2', key: Buffer }]
  )
})

t.test('keys that are none are refused without repeating them', async t => {
  for (const keys of [
    'canary',
    'mcpk_canary',
    `billing:${'0'.repeat(63)}`,
    `billing:${'0'.repeat(64)}, canary`,
    ','
  ]) {
    t.throws(
      () => resolveConfig(complete({ MCP_CLIENT_API_KEYS: keys })),
      {
        code: 'MCPC_ERR_CONFIG',
        message:
          'MCP_CLIENT_API_KEYS must be name:sha256 pairs with commas or spaces between, but is a value that is not shown'
      },
      keys
    )
  }
})

t.test('origins and hosts are taken as URLs write them, and refused by name', async t => {
  const { allowedOrigins, allowedHosts } = resolveConfig(
    complete({
      MCP_ALLOWED_ORIGINS: 'https://App.example.com:443/, http://localhost:5173',
      MCP_ALLOWED_HOSTS: 'MCP.example.com, 10.0.0.7:8080'
    })
  )
  t.strictSame(allowedOrigins, ['https://app.example.com', 'http://localhost:5173'])
  t.strictSame(allowedHosts, [
    { name: 'mcp.example.com', port: null },
    { name: '10.0.0.7', port: '8080' }
  ])
  t.throws(() => resolveConfig(complete({ MCP_ALLOWED_ORIGINS: '*' })), {
    message: 'MCP_ALLOWED_ORIGINS must be origins (scheme://host[:port]) with commas between, but is "*"'
  })
  t.throws(() => resolveConfig(complete({ MCP_ALLOWED_HOSTS: 'https://mcp.example.com' })), {
    message: /^MCP_ALLOWED_HOSTS must be host names or addresses, with or without a port, with commas between, but is/
  })
})

t.test('https is required in production, and hosts that are none are refused by name', async t => {
  for (const [env, required] of [
    ['production', true],
    ['development', false],
    ['test', false]
  ] as const) {
    t.equal(resolveConfig(complete({ NODE_ENV: env })).apiHosts.requiresHttps, required, env)
  }
  t.throws(() => resolveConfig(complete({ MCP_ALLOWED_API_HOSTS: '*' })), {
    message: /^MCP_ALLOWED_API_HOSTS must be hosts like api.example.com, .*, but is "\*"$/
  })
})

t.test('proxies that are none are refused by name', async t => {
  t.throws(() => resolveConfig(complete({ MCP_TRUSTED_PROXIES: '1' })), {
    message: /^MCP_TRUSTED_PROXIES must be addresses, networks .*, but is "1"$/
  })
})

t.test('sentinels and nodes of a cluster are addresses with commas between', async t => {
  const sentinels = { REDIS_SENTINELS: 'sentinel-1:26379, [::1]:26380', REDIS_SENTINEL_NAME: 'main' }
  const addresses = [
    { host: 'sentinel-1', port: 26379 },
    { host: '::1', port: 26380 }
  ]
  t.strictSame(resolveConfig(complete(sentinels)).redis.sentinels, { addresses, group: 'main' })
  const login = { REDIS_SENTINEL_USERNAME: 'watcher', REDIS_SENTINEL_PASSWORD: 'not-a-password' }
  t.strictSame(resolveConfig(complete({ ...sentinels, ...login })).redis.sentinels, {
    addresses,
    group: 'main',
    username: 'watcher',
    password: 'not-a-password'
  })
  t.strictSame(resolveConfig(complete({ REDIS_CLUSTER_NODES: '10.0.0.1:6379,10.0.0.2:6379' })).redis.clusterNodes, [
    { host: '10.0.0.1', port: 6379 },
    { host: '10.0.0.2', port: 6379 }
  ])
  for (const place of [
    'localhost',
    'localhost:',
    ':6379',
    'localhost:6379,',
    'a:1 b:2',
    'user:canary@localhost:6379',
    'redis://localhost:6379',
    '::1:6379'
  ]) {
    for (const name of ['REDIS_SENTINELS', 'REDIS_CLUSTER_NODES'] as const) { t.notOk(Value.Check(EnvironmentSchema.properties[name], place), `${name}=${place}`) }
  }
})

t.test('compiled code is kept nowhere, in a folder of the user\'s own, or where a path says', async t => {
  const folder = (value: string) => resolveConfig(complete({ MCP_NODE_COMPILE_CACHE: value })).compileCache
  t.equal(folder('off'), null)
  t.equal(folder('on'), join(tmpdir(), `mcp-compile-cache-${process.geteuid?.()}`))
  t.equal(folder('/var/cache/mcp'), '/var/cache/mcp')
  t.equal(folder('./cache'), join(process.cwd(), 'cache'))
  const takes = (value: string) => Value.Check(EnvironmentSchema.properties.MCP_NODE_COMPILE_CACHE, value)
  for (const value of ['true', 'cache', 'On']) t.notOk(takes(value), `${value} may be a misspelling`)
})

t.test('variables of Redis that contradict each other are refused by name', async t => {
  const url = { REDIS_URL: 'rediss://:canary@localhost' }
  const sentinels = { REDIS_SENTINELS: 'localhost:26379', REDIS_SENTINEL_NAME: 'main' }
  const cluster = { REDIS_CLUSTER_NODES: 'localhost:7000' }
  const refused: Array<[Record<string, string | number>, RegExp]> = [
    [{ ...url, ...sentinels }, /^REDIS_URL and REDIS_SENTINELS are both set: /],
    [{ ...url, ...cluster }, /^REDIS_URL and REDIS_CLUSTER_NODES are both set: /],
    [{ ...url, ...sentinels, ...cluster }, /^REDIS_URL and REDIS_SENTINELS and REDIS_CLUSTER_NODES are all set: /],
    [{ REDIS_SENTINELS: 'localhost:26379' }, /^REDIS_SENTINEL_NAME must be set /],
    [{ REDIS_SENTINEL_NAME: 'main' }, /^REDIS_SENTINEL_NAME is set, but REDIS_SENTINELS is not/],
    [{ REDIS_SENTINEL_PASSWORD: 'canary' }, /^REDIS_SENTINEL_PASSWORD is set, but REDIS_SENTINELS is not/],
    [{ ...cluster, REDIS_DB: 1 }, /^REDIS_DB must be 0 with REDIS_CLUSTER_NODES, .* but is 1$/],
    [{ REDIS_CLUSTER_NODES: 'localhost:0' }, /^REDIS_CLUSTER_NODES must be host:port, .* but is "localhost:0"$/],
    [
      { REDIS_SENTINELS: 'localhost:65536', REDIS_SENTINEL_NAME: 'main' },
      /^REDIS_SENTINELS must be host:port, .* but is "localhost:65536"$/
    ],
    [
      { REDIS_TLS_CA: 'ca.pem', REDIS_URL: 'redis://:canary@localhost' },
      /^REDIS_TLS_CA is set, but REDIS_URL is no rediss:\/\/ URL/
    ]
  ]
  for (const [environment, message] of refused) {
    t.throws(() => resolveConfig(complete(environment as Record<string, string>)), {
      code: 'MCPC_ERR_CONFIG',
      message
    })
    t.throws(() => resolveConfig(complete(environment as Record<string, string>)), { message: /^(?!.*canary)/ })
  }
})

t.test('a place that is written with a password is not repeated', async t => {
  for (const name of ['REDIS_SENTINELS', 'REDIS_CLUSTER_NODES', 'REDIS_HOST']) { t.notMatch(describeInvalidVariable(name, 'user:canary@localhost:6379'), /canary/, name) }
  t.match(describeInvalidVariable('REDIS_CLUSTER_NODES', 'localhost'), /, but is "localhost"$/)
})

t.test('the prefix of sessions is none that other keys have', async t => {
  const takes = (prefix: string) => Value.Check(EnvironmentSchema.properties.MCP_SESSION_KEY_PREFIX, prefix)
  for (const prefix of ['mcp_index', 'mcp_audit', 'mcp_rate:x', 'mcp_era', 'mcp_lists', 'mcp_results', 'mcp_probe:a:b']) { t.notOk(takes(prefix), prefix) }
  for (const prefix of ['mcp_session', 'mcp_indexes', 'app:mcp_index', '{tag}:s']) t.ok(takes(prefix), prefix)
})

t.test('a refused variable is named with what it takes and what it got', async t => {
  t.equal(
    describeInvalidVariable('MCP_SESSION_IDLE_TTL', '0'),
    'MCP_SESSION_IDLE_TTL must be whole seconds from 1 to 315360000, but is "0"'
  )
})

t.test('a secret is never repeated, not even when it is wrong', async t => {
  for (const name of [
    'REDIS_PASSWORD',
    'REDIS_URL',
    'REDIS_SENTINEL_PASSWORD',
    'MCP_ENCRYPTION_KEYS',
    'MCP_CLIENT_API_KEYS'
  ]) { t.notMatch(describeInvalidVariable(name, 'canary'), /canary/, name) }
})
