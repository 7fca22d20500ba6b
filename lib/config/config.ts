import Type, { type Static } from 'typebox'
import { type ApiHostRules, parseApiHosts } from '../sessions/api-hosts.ts'
import { type ApiKey, parseApiKeys } from '../http/api-keys.ts'
import { parseProxies } from '../http/caller-address.ts'
import { ConfigError } from '../errors.ts'
import { type HostName, parseHosts, parseOrigins } from '../http/origins.ts'
import type { RedisConfig } from '../redis/address.ts'
import { resolveRedis } from './redis.ts'
import { type EncryptionKey, parseEncryptionKeys } from '../sessions/field-encryption.ts'

/** `host:port`, or `[address]:port` for IPv6, one or more. */
const placesSchema = (options: { description: string }) =>
  Type.Optional(Type.String({ pattern: '^(\\[[\\da-fA-F:.]+\\]|[^\\s,:@/\\[\\]]+):\\d{1,5}(\\s*,\\s*(\\[[\\da-fA-F:.]+\\]|[^\\s,:@/\\[\\]]+):\\d{1,5})*$', title: 'host:port, several with commas between', ...options }))

const seconds = (options: { default: number, description: string }) =>
  Type.Number({ exclusiveMinimum: 0, maximum: 86_400, title: 'a number of seconds above 0, at most 86400', ...options })

/**
 * Every variable that the service reads: type, default, bounds, and one sentence for docs/configuration.md.
 * `title` completes "NAME must be …".
 */
export const EnvironmentSchema = Type.Object({
  REDIS_URL: Type.Optional(Type.String({ pattern: '^(rediss?|unix)://', title: 'a redis://, rediss:// or unix:// URL', description: 'Where Redis is, in one URL; when set, REDIS_HOST, REDIS_PORT and REDIS_DB are not read, and REDIS_USERNAME and REDIS_PASSWORD only when the URL has none. `unix:///run/redis.sock?db=0` for a socket.' })),
  REDIS_HOST: Type.String({ default: 'localhost', title: 'a host name or address', description: 'Host of Redis.' }),
  REDIS_PORT: Type.Integer({ default: 6379, minimum: 1, maximum: 65_535, title: 'a port from 1 to 65535', description: 'Port of Redis.' }),
  REDIS_DB: Type.Integer({ default: 0, minimum: 0, maximum: 1_000_000, title: 'a database number from 0', description: 'Database number.' }),
  REDIS_USERNAME: Type.Optional(Type.String({ title: 'a user of Redis\'s ACL', description: 'User of Redis. Unset: `default`.' })),
  REDIS_PASSWORD: Type.Optional(Type.String({ title: 'a password', description: 'Password of Redis. Never logged.' })),
  REDIS_TLS_CA: Type.Optional(Type.String({ title: 'a path', description: 'PEM file of the certificate authorities that are trusted; connections are encrypted when it is set. With REDIS_URL only for `rediss://`, which without it trusts the usual authorities.' })),
  REDIS_SENTINELS: placesSchema({ description: 'Sentinels, which know where Redis is; when set, REDIS_HOST and REDIS_PORT are not read.' }),
  REDIS_SENTINEL_NAME: Type.Optional(Type.String({ title: 'a name', description: 'Name under which the sentinels know the primary. Required with REDIS_SENTINELS.' })),
  REDIS_SENTINEL_USERNAME: Type.Optional(Type.String({ title: 'a user of the sentinels\' ACL', description: 'User of the sentinels themselves.' })),
  REDIS_SENTINEL_PASSWORD: Type.Optional(Type.String({ title: 'a password', description: 'Password of the sentinels themselves. Never logged.' })),
  REDIS_CLUSTER_NODES: placesSchema({ description: 'Some nodes of a Redis Cluster, which know the others; when set, REDIS_HOST and REDIS_PORT are not read.' }),
  REDIS_COMMAND_TIMEOUT_MS: Type.Integer({ default: 500, minimum: 10, maximum: 60_000, title: 'milliseconds from 10 to 60000', description: 'How long one Redis command may take before the request is answered 503 (ms).' }),

  MCP_SESSION_IDLE_TTL: Type.Integer({ default: 86_400, minimum: 1, maximum: 315_360_000, title: 'whole seconds from 1 to 315360000', description: 'How long an unused session lives (s); every access restarts it.' }),
  MCP_SESSION_MAX_LIFETIME: Type.Integer({ default: 2_592_000, minimum: 0, maximum: 315_360_000, title: 'whole seconds from 0 to 315360000', description: 'How long a session lives at most, however much it is used (s); 0 for no end. Counts for sessions that are opened from then on.' }),
  MCP_SESSION_KEY_PREFIX: Type.String({ default: 'mcp_session', pattern: '^(?!mcp_(index|audit|rate|era|probe)(:|$))[\\w.:{}-]+$', title: 'letters, digits and _ . : { } -, and no name that the service has for other keys', description: 'A session is kept at the Redis key `<prefix>:<session_id>`, or `<prefix>:<name of the API key>:<session_id>`.' }),
  MCP_SENSITIVE_PARAMS: Type.String({ default: 'apiUrl,jwtToken', pattern: '^[^,\\s]+(\\s*,\\s*[^,\\s]+)*$', title: 'names with commas between', description: 'Fields of /init that are credentials: hidden from listed tools, set by the session, never by the caller.' }),
  MCP_CACHE_RESULTS: Type.Union([Type.Literal('success'), Type.Literal('any'), Type.Literal('off')], { default: 'success', title: 'success, any or off', description: 'Which object results fill later calls: those whose `status` is `"success"`, any that is no failure, or none.' }),
  MCP_SESSION_MAX_BYTES: Type.Integer({ default: 16_777_216, minimum: 0, maximum: 1_073_741_824, title: 'bytes from 0 to 1073741824', description: 'How much a session may cache (bytes, names included, as stored); what does not fit is not cached, and `X-MCP-Not-Cached` names it.' }),

  MCP_SESSION_TOKENS: Type.Union([Type.Literal('off'), Type.Literal('required')], { default: 'off', title: 'off or required', description: 'Whether /init and /sessions give a `session_token` that every later request for the session must carry as `Authorization: Bearer`.' }),
  MCP_MAX_SESSIONS_PER_KEY: Type.Integer({ default: 100_000, minimum: 1, maximum: 100_000_000, title: 'a number from 1 to 100000000', description: 'How many sessions an API key may have open; further ones are answered 429.' }),
  MCP_ENCRYPTION_KEYS: Type.Optional(Type.String({ title: 'pairs id:key with commas between, each key 32 bytes in Base64', description: 'Keys that seal what is anybody\'s in Redis. The first one seals, all of them open. Never logged.' })),
  MCP_AUDIT_LOG: Type.String({ default: 'on', pattern: '^(on|off|.*/.+)$', title: 'on, off, or a path with a / in it', description: 'Where the audit lines go: into the log, nowhere, or into a file of their own.' }),

  MCP_API_BASE_URL: Type.Optional(Type.String({ pattern: '^https?://[^/\\s]', title: 'an http(s) URL', description: 'The API that validates credentials. Required unless MCP_SKIP_VALIDATION is true.' })),
  INSIGHT_DIGGER_API_URL: Type.Optional(Type.String({ pattern: '^https?://[^/\\s]', title: 'an http(s) URL', description: 'Older name of MCP_API_BASE_URL; read when that is not set.' })),
  MCP_ALLOWED_API_HOSTS: Type.Optional(Type.String({ title: 'hosts like api.example.com, *.example.com or http://localhost:8080, with commas between', description: 'Hosts that the `apiUrl` of a session may have, each with a scheme and a port, or without. Unset: any host.' })),
  MCP_API_VALIDATION_PATH: Type.String({ default: '/settings/validate', pattern: '^/[^\\s]*$', title: 'a path that starts with /', description: 'Path of the check, after MCP_API_BASE_URL.' }),
  MCP_API_VALIDATION_TIMEOUT: seconds({ default: 5, description: 'How long the check of credentials may take (s).' }),
  MCP_API_DEFAULT_TIMEOUT: seconds({ default: 60, description: 'How long listing tools may take once a server runs (s).' }),
  MCP_API_LONG_TIMEOUT: seconds({ default: 300, description: 'How long a tool call may take (s).' }),
  MCP_SKIP_VALIDATION: Type.Boolean({ default: false, title: 'true or false', description: 'Takes any credentials without asking the API. Development only; the service warns at start.' }),

  MCP_CLIENT_HOST: Type.String({ default: '0.0.0.0', title: 'a host name or address', description: 'Address that `npm start` and `npm run dev` listen on.' }),
  MCP_CLIENT_PORT: Type.Integer({ default: 33_000, minimum: 0, maximum: 65_535, title: 'a port from 0 to 65535', description: 'Port that `npm start` and `npm run dev` listen on; 0 takes a free one.' }),
  MCP_CLOSE_GRACE: seconds({ default: 30, description: 'How long running requests may take to finish after SIGTERM (s).' }),
  MCP_MAX_BODY_BYTES: Type.Integer({ default: 8_388_608, minimum: 1_024, maximum: 1_073_741_824, title: 'bytes from 1024 to 1073741824', description: 'Largest request body (bytes); a larger one is answered 413.' }),
  MCP_MAX_JSON_DEPTH: Type.Integer({ default: 100, minimum: 3, maximum: 1_000, title: 'levels from 3 to 1000', description: 'Deepest nesting of a request body (levels); a deeper one is answered 400.' }),
  MCP_MAX_PARAMETERS: Type.Integer({ default: 1_000, minimum: 1, maximum: 100_000, title: 'a number from 1 to 100000', description: 'Most parameters of a call, and most further fields of an /init; more are answered 400.' }),
  MCP_LOG_LEVEL: Type.Optional(Type.Union([Type.Literal('trace'), Type.Literal('debug'), Type.Literal('info'), Type.Literal('warn'), Type.Literal('error'), Type.Literal('fatal'), Type.Literal('silent')], { title: 'trace, debug, info, warn, error, fatal or silent', description: 'Least level that is logged, `info` under `npm start`. Upper case and Python\'s WARNING and CRITICAL are understood. Unset: what fastify-cli was told.' })),

  MCP_CLIENT_API_KEYS: Type.Optional(Type.String({ title: 'name:sha256 pairs with commas or spaces between', description: 'Keys of those who may call, each as `name:sha256`; `npm run api-key` makes one. One name may have several. Unset: anyone may call. Never logged.' })),
  MCP_ALLOWED_ORIGINS: Type.Optional(Type.String({ title: 'origins (scheme://host[:port]) with commas between', description: 'Web origins whose pages may call, like `https://app.example.com`. A request with any other `Origin` is answered 403.' })),
  MCP_ALLOWED_HOSTS: Type.Optional(Type.String({ title: 'host names or addresses, with or without a port, with commas between', description: 'Names besides those of loopback by which a service that listens on loopback only may be called, like that of a proxy in front. Any other `Host` is answered 403.' })),
  MCP_TRUSTED_PROXIES: Type.Optional(Type.String({ title: 'addresses, networks (10.0.0.0/8), or loopback, linklocal, uniquelocal, with commas between', description: 'Proxies whose `X-Forwarded-For` says who calls. Unset: the caller is whoever connects.' })),
  MCP_RATE_LIMIT_PER_MINUTE: Type.Integer({ default: 0, minimum: 0, maximum: 1_000_000, title: 'a number from 0 to 1000000', description: 'How many requests of one session are answered in a minute, over all workers; further ones are answered 429. 0 turns it off.' }),
  MCP_INIT_RATE_LIMIT: Type.Integer({ default: 0, minimum: 0, maximum: 1_000_000, title: 'a number from 0 to 1000000', description: 'How many times a minute one address may open a session, over all workers; further attempts are answered 429. 0 turns it off.' }),

  MCP_SERVER_SCRIPT: Type.Optional(Type.String({ title: 'a path', description: 'The MCP server, by its script: `.py`, `.js`, `.mjs`, `.cjs`, or an executable.' })),
  MCP_SERVERS_FILE: Type.Optional(Type.String({ title: 'a path', description: 'The MCP servers, by a JSON file with `mcpServers`. Set this or MCP_SERVER_SCRIPT.' })),
  MCP_SESSION_START_TIMEOUT: seconds({ default: 30, description: 'How long a server may take from its start to its handshake (s).' }),
  MCP_STOP_STEP_MS: Type.Integer({ default: 500, minimum: 0, maximum: 60_000, title: 'milliseconds from 0 to 60000', description: 'How long a server may take to end after its input closed, and again after SIGTERM, before the next step (ms).' }),
  MCP_MAX_RESULT_BYTES: Type.Integer({ default: 33_554_432, minimum: 1_024, maximum: 1_073_741_824, title: 'bytes from 1024 to 1073741824', description: 'Largest message that a server may send (bytes); a larger one is answered 502.' }),
  MCP_MAX_STARTING: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, title: 'a number from 1 to 1000', description: 'How many servers may start at once in a worker. Unset: as many as there are cores.' })),
  MCP_MAX_PROCESSES: Type.Integer({ default: 50, minimum: 1, maximum: 10_000, title: 'a number from 1 to 10000', description: 'How many servers may be alive in a worker, warm spares included.' }),
  MCP_QUEUE_TIMEOUT: seconds({ default: 10, description: 'How long a request may wait for its server to be allowed to start (s), then 503.' }),
  MCP_MAX_QUEUED: Type.Integer({ default: 1_000, minimum: 0, maximum: 1_000_000, title: 'a number from 0 to 1000000', description: 'How many requests of a worker may wait for that; further ones are answered 503 at once.' }),
  MCP_SESSION_MAX_CONCURRENCY: Type.Integer({ default: 10, minimum: 1, maximum: 10_000, title: 'a number from 1 to 10000', description: 'How many tool calls of one session may run at once, over all workers; further ones are answered 429.' }),
  MCP_WARM_SPARES: Type.Integer({ default: 1, minimum: 0, maximum: 1_000, title: 'a number from 0 to 1000', description: 'How many servers a worker starts ahead of demand; each serves one request. 0 turns it off.' }),
  MCP_WARM_SPARE_MAX_AGE: seconds({ default: 300, description: 'How old a spare may become before it is replaced (s).' }),
  MCP_SHARED_IDLE_TIMEOUT: seconds({ default: 300, description: 'How long a server with `"lifecycle": "shared"` may be unused before it is ended (s).' }),
  MCP_TOOLS_CACHE_TTL: Type.Integer({ default: 60, minimum: 0, maximum: 86_400, title: 'whole seconds from 0 to 86400', description: 'How long a worker remembers a server\'s list of tools (s); 0 asks every time.' }),
  MCP_ELICITATION: Type.Union([Type.Literal('on'), Type.Literal('off')], { default: 'off', title: 'on or off', description: 'Whether a server of the 2026-07-28 era may ask the caller of a tool something: /call-tool then answers 202. `off` tells servers that nobody answers.' }),
  MCP_HEARTBEAT_INTERVAL: seconds({ default: 15, description: 'How often a /call-tool that streams events says that it is alive (s).' }),
  MCP_GUIDANCE_FILE: Type.Optional(Type.String({ title: 'a path', description: 'JSON file with `system_info` and `workflow_guidance` for /tools-schema and /tools.' })),

  NODE_ENV: Type.Optional(Type.String({ title: 'a word', description: 'With `production`, `apiUrl` must be https, but for hosts that MCP_ALLOWED_API_HOSTS lists with `http://`.' })),
  VIRTUAL_ENV: Type.Optional(Type.String({ title: 'a path', description: 'Python environment whose `mcp` and `python3` run a `.py` server; set by its activate script.' }))
})

/** Variables whose value may never be repeated, not even when it is wrong. */
const secretNames = new Set(['REDIS_URL', 'REDIS_PASSWORD', 'REDIS_SENTINEL_PASSWORD', 'MCP_ENCRYPTION_KEYS', 'MCP_CLIENT_API_KEYS'])

export type Environment = Static<typeof EnvironmentSchema>

/** The settings as the code uses them: resolved, with units in the names. */
export interface Config {
  redis: RedisConfig
  session: {
    keyPrefix: string
    idleTtlSeconds: number
    /** 0: no end. */
    maxLifetimeSeconds: number
    maxBytes: number
    maxConcurrency: number
    maxSessionsPerClient: number
  }
  /** Whether a session is used by its token, and not by its id alone. */
  sessionTokens: boolean
  /** Secret. None: nothing is sealed. */
  encryptionKeys: readonly EncryptionKey[]
  /** Where audit lines go. */
  audit: 'log' | 'off' | { file: string }
  /** Names of the fields that are credentials. */
  sensitiveParams: readonly string[]
  cacheResults: 'success' | 'any' | 'off'
  /** Where credentials are checked; `null` when checking is switched off. */
  validation: { url: string, timeoutMs: number } | null
  /** Where sessions may point. */
  apiHosts: ApiHostRules
  timeouts: { listMs: number, callMs: number, startMs: number, stopStepMs: number }
  /** Of those who may call; `null` when anyone may. */
  apiKeys: readonly ApiKey[] | null
  /** As browsers write them. */
  allowedOrigins: readonly string[]
  /** What a service on loopback may be called, besides loopback's own names. */
  allowedHosts: readonly HostName[]
  /** Those whose word on who calls is taken. */
  trustedProxies: readonly string[]
  /** How many a minute; 0 for any number. */
  rateLimits: { requestsOfSession: number, initsOfAddress: number }
  maxBodyBytes: number
  maxJsonDepth: number
  maxParameters: number
  maxResultBytes: number
  processes: {
    /** `null`: as many as there are cores. */
    maxStarting: number | null
    maxAlive: number
    maxQueued: number
    queueTimeoutMs: number
    warmSpares: number
    spareMaxAgeMs: number
    sharedIdleMs: number
  }
  toolsCacheTtlMs: number
  /** Whether questions of a server are put to the caller. */
  elicitation: boolean
  heartbeatMs: number
  logLevel?: NonNullable<Environment['MCP_LOG_LEVEL']>
  serverScript?: string
  serversFile?: string
  guidanceFile?: string
}

const pythonLevels = new Map([['warning', 'warn'], ['critical', 'fatal'], ['notset', 'trace']])

/**
 * What an operator wrote, in the form the schema checks: an empty value counts as not set (`REDIS_PASSWORD=`), and the
 * spellings that the replaced service took are turned into ours.
 */
export function normalizeEnvironment (environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const known: Record<string, string> = {}
  for (const name of Object.keys(EnvironmentSchema.properties)) {
    const value = environment[name]
    if (value?.trim()) known[name] = secretNames.has(name) ? value : value.trim()
  }
  const level = known.MCP_LOG_LEVEL?.toLowerCase()
  if (level) known.MCP_LOG_LEVEL = pythonLevels.get(level) ?? level
  if (/^(1|yes|true)$/i.test(known.MCP_SKIP_VALIDATION ?? '')) known.MCP_SKIP_VALIDATION = 'true'
  if (/^(0|no|false)$/i.test(known.MCP_SKIP_VALIDATION ?? '')) known.MCP_SKIP_VALIDATION = 'false'
  return known
}

/** One line for a variable that the schema refused. */
export function describeInvalidVariable (name: string, value: string | undefined): string {
  const schema = (EnvironmentSchema.properties as Record<string, { title?: string }>)[name]
  // Whoever writes a place with a user and a password before it, as in a URL, is not to read them in a log.
  const isHidden = secretNames.has(name) || (name.startsWith('REDIS_') && value?.includes('@'))
  const got = isHidden ? 'a value that is not shown' : JSON.stringify(value)
  return `${name} must be ${schema?.title ?? 'valid'}, but is ${got}`
}

/** What a variable says in a form of its own, in which the schema sees but a text. */
function parsed<Value> (name: keyof Environment, text: string, parse: (text: string) => Value | null): Value {
  const value = parse(text)
  if (value === null) throw new ConfigError(describeInvalidVariable(name, text))
  return value
}

/**
 * Settings from a checked environment.
 *
 * Throws ConfigError for what no single variable shows: no server, two servers, no API to check credentials with.
 */
export function resolveConfig (environment: Environment): Config {
  const env = environment
  if (!env.MCP_SERVER_SCRIPT && !env.MCP_SERVERS_FILE) {
    throw new ConfigError('MCP_SERVER_SCRIPT or MCP_SERVERS_FILE must be set: no MCP server is configured')
  }
  if (env.MCP_SERVER_SCRIPT && env.MCP_SERVERS_FILE) {
    throw new ConfigError('MCP_SERVER_SCRIPT and MCP_SERVERS_FILE are both set: keep the one that is meant')
  }
  const apiBaseUrl = env.MCP_API_BASE_URL ?? env.INSIGHT_DIGGER_API_URL
  if (!apiBaseUrl && !env.MCP_SKIP_VALIDATION) {
    throw new ConfigError('MCP_API_BASE_URL must be set to an http(s) URL, or MCP_SKIP_VALIDATION to true for development')
  }
  if (apiBaseUrl && !URL.canParse(apiBaseUrl)) {
    throw new ConfigError(describeInvalidVariable(env.MCP_API_BASE_URL ? 'MCP_API_BASE_URL' : 'INSIGHT_DIGGER_API_URL', apiBaseUrl))
  }

  return {
    redis: resolveRedis(env, name => new ConfigError(describeInvalidVariable(name, env[name]))),
    session: {
      keyPrefix: env.MCP_SESSION_KEY_PREFIX,
      idleTtlSeconds: env.MCP_SESSION_IDLE_TTL,
      maxLifetimeSeconds: env.MCP_SESSION_MAX_LIFETIME,
      maxBytes: env.MCP_SESSION_MAX_BYTES,
      maxConcurrency: env.MCP_SESSION_MAX_CONCURRENCY,
      maxSessionsPerClient: env.MCP_MAX_SESSIONS_PER_KEY
    },
    sessionTokens: env.MCP_SESSION_TOKENS === 'required',
    encryptionKeys: env.MCP_ENCRYPTION_KEYS ? parsed('MCP_ENCRYPTION_KEYS', env.MCP_ENCRYPTION_KEYS, parseEncryptionKeys) : [],
    audit: env.MCP_AUDIT_LOG === 'on' ? 'log' : env.MCP_AUDIT_LOG === 'off' ? 'off' : { file: env.MCP_AUDIT_LOG },
    sensitiveParams: env.MCP_SENSITIVE_PARAMS.split(',').map(name => name.trim()),
    cacheResults: env.MCP_CACHE_RESULTS,
    validation: env.MCP_SKIP_VALIDATION
      ? null
      : { url: `${apiBaseUrl?.replace(/\/+$/, '')}${env.MCP_API_VALIDATION_PATH}`, timeoutMs: env.MCP_API_VALIDATION_TIMEOUT * 1000 },
    apiHosts: {
      allowed: env.MCP_ALLOWED_API_HOSTS ? parsed('MCP_ALLOWED_API_HOSTS', env.MCP_ALLOWED_API_HOSTS, parseApiHosts) : null,
      requiresHttps: env.NODE_ENV === 'production'
    },
    timeouts: {
      listMs: env.MCP_API_DEFAULT_TIMEOUT * 1000,
      callMs: env.MCP_API_LONG_TIMEOUT * 1000,
      startMs: env.MCP_SESSION_START_TIMEOUT * 1000,
      stopStepMs: env.MCP_STOP_STEP_MS
    },
    apiKeys: env.MCP_CLIENT_API_KEYS ? parsed('MCP_CLIENT_API_KEYS', env.MCP_CLIENT_API_KEYS, parseApiKeys) : null,
    allowedOrigins: env.MCP_ALLOWED_ORIGINS ? parsed('MCP_ALLOWED_ORIGINS', env.MCP_ALLOWED_ORIGINS, parseOrigins) : [],
    allowedHosts: env.MCP_ALLOWED_HOSTS ? parsed('MCP_ALLOWED_HOSTS', env.MCP_ALLOWED_HOSTS, parseHosts) : [],
    trustedProxies: env.MCP_TRUSTED_PROXIES ? parsed('MCP_TRUSTED_PROXIES', env.MCP_TRUSTED_PROXIES, parseProxies) : [],
    rateLimits: { requestsOfSession: env.MCP_RATE_LIMIT_PER_MINUTE, initsOfAddress: env.MCP_INIT_RATE_LIMIT },
    maxBodyBytes: env.MCP_MAX_BODY_BYTES,
    maxJsonDepth: env.MCP_MAX_JSON_DEPTH,
    maxParameters: env.MCP_MAX_PARAMETERS,
    maxResultBytes: env.MCP_MAX_RESULT_BYTES,
    processes: {
      maxStarting: env.MCP_MAX_STARTING ?? null,
      maxAlive: env.MCP_MAX_PROCESSES,
      maxQueued: env.MCP_MAX_QUEUED,
      queueTimeoutMs: env.MCP_QUEUE_TIMEOUT * 1000,
      warmSpares: env.MCP_WARM_SPARES,
      spareMaxAgeMs: env.MCP_WARM_SPARE_MAX_AGE * 1000,
      sharedIdleMs: env.MCP_SHARED_IDLE_TIMEOUT * 1000
    },
    toolsCacheTtlMs: env.MCP_TOOLS_CACHE_TTL * 1000,
    elicitation: env.MCP_ELICITATION === 'on',
    heartbeatMs: env.MCP_HEARTBEAT_INTERVAL * 1000,
    ...(env.MCP_LOG_LEVEL && { logLevel: env.MCP_LOG_LEVEL }),
    ...(env.MCP_SERVER_SCRIPT && { serverScript: env.MCP_SERVER_SCRIPT }),
    ...(env.MCP_SERVERS_FILE && { serversFile: env.MCP_SERVERS_FILE }),
    ...(env.MCP_GUIDANCE_FILE && { guidanceFile: env.MCP_GUIDANCE_FILE })
  }
}
