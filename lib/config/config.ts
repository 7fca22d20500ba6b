import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { ConfigError } from '../errors.ts'
import { parseApiKeys } from '../http/api-keys.ts'
import { parseProxies } from '../http/caller-address.ts'
import { parseDocsUrl } from '../http/failure-body.ts'
import { parseHosts, parseOrigins } from '../http/origins.ts'
import { type ApiHostRules, parseApiHosts } from '../sessions/api-hosts.ts'
import { parseEncryptionKeys } from '../sessions/field-encryption.ts'
import { describeInvalidVariable, type Environment } from './environment.ts'
import { resolveRedis } from './redis.ts'

/** The settings as the code uses them: resolved, with units in the names. */
export type Config = ReturnType<typeof resolveConfig>

/**
 * Settings from a checked environment.
 *
 * Throws ConfigError for values that cannot be parsed, and for what no single variable shows: no server, two servers,
 * no API to check credentials with. A service that is only described needs no server.
 */
export function resolveConfig (env: Environment, { isDescribed = false } = {}) {
  if (!isDescribed) checkServers(env)
  return {
    /** The service only says what it is: it connects to nothing, starts nothing, and answers no requests. */
    isDescribed,
    redis: resolveRedis(env, name => invalid(name, env[name])),
    session: {
      keyPrefix: env.MCP_SESSION_KEY_PREFIX,
      idleTtlSeconds: env.MCP_SESSION_IDLE_TTL,
      /** 0 for no end. */
      maxLifetimeSeconds: env.MCP_SESSION_MAX_LIFETIME,
      maxBytes: env.MCP_SESSION_MAX_BYTES,
      maxCredentialBytes: env.MCP_SESSION_MAX_CREDENTIAL_BYTES,
      maxConcurrency: env.MCP_SESSION_MAX_CONCURRENCY,
      maxSessionsPerClient: env.MCP_MAX_SESSIONS_PER_KEY
    },
    calls: {
      /** Whether a caller may leave a call to any worker. */
      isAsync: env.MCP_ASYNC_CALLS === 'on',
      ttlMs: env.MCP_CALL_TTL * 1000,
      idempotencyTtlMs: env.MCP_IDEMPOTENCY_TTL * 1000,
      maxCalls: env.MCP_MAX_CALLS_PER_SESSION
    },
    /** What sessions keep of results. */
    results: {
      /** Longer results are kept and referred to; 0 for none. */
      inlineBytes: env.MCP_INLINE_RESULT_BYTES,
      ttlMs: env.MCP_RESULT_TTL * 1000,
      maxResults: env.MCP_MAX_RESULTS_PER_SESSION,
      maxBytes: env.MCP_MAX_RESULTS_BYTES
    },
    /** Whether a request needs the session's token beside its id. */
    sessionTokens: env.MCP_SESSION_TOKENS === 'required',
    /** Secret. Without keys nothing is sealed. */
    encryptionKeys: parse(env, 'MCP_ENCRYPTION_KEYS', parseEncryptionKeys) ?? [],
    audit: resolveAudit(env.MCP_AUDIT_LOG),
    /** Names of the fields that are credentials. */
    sensitiveParams: resolveSensitive(env),
    /** Names of the credentials that are masked in what servers say; `null` for all that are no URL. */
    maskedParams: resolveMasked(env),
    cacheResults: env.MCP_CACHE_RESULTS,
    values: {
      policyDefaults: { values: env.MCP_VALUES, validation: env.MCP_VALIDATE_ARGUMENTS ?? 'warn' },
      scriptValidation: env.MCP_VALIDATE_ARGUMENTS ?? 'off',
      /** Whether lists show parameters that the session fills as not required. */
      listsFilled: env.MCP_SERVER_SCRIPT === undefined || env.MCP_LIST_FILLED === 'optional'
    },
    validation: resolveValidation(env),
    apiHosts: {
      allowed: parse(env, 'MCP_ALLOWED_API_HOSTS', parseApiHosts),
      requiresHttps: env.NODE_ENV === 'production'
    } satisfies ApiHostRules,
    timeouts: {
      listMs: env.MCP_API_DEFAULT_TIMEOUT * 1000,
      callMs: env.MCP_API_LONG_TIMEOUT * 1000,
      /** 0 for no bound but `callMs`. */
      inactivityMs: env.MCP_API_INACTIVITY_TIMEOUT * 1000,
      startMs: env.MCP_SESSION_START_TIMEOUT * 1000,
      stopStepMs: env.MCP_STOP_STEP_MS
    },
    /** Secret. `null` when anyone may call. */
    apiKeys: parse(env, 'MCP_CLIENT_API_KEYS', parseApiKeys),
    /** As browsers write them. */
    allowedOrigins: parse(env, 'MCP_ALLOWED_ORIGINS', parseOrigins) ?? [],
    /** Host names that a service on loopback answers to, besides loopback's own. */
    allowedHosts: parse(env, 'MCP_ALLOWED_HOSTS', parseHosts) ?? [],
    /** Proxies whose `X-Forwarded-For` is believed. */
    trustedProxies: parse(env, 'MCP_TRUSTED_PROXIES', parseProxies) ?? [],
    /** Requests a minute; 0 for any number. */
    rateLimits: { requestsOfSession: env.MCP_RATE_LIMIT_PER_MINUTE, initsOfAddress: env.MCP_INIT_RATE_LIMIT },
    maxBodyBytes: env.MCP_MAX_BODY_BYTES,
    maxJsonDepth: env.MCP_MAX_JSON_DEPTH,
    maxParameters: env.MCP_MAX_PARAMETERS,
    maxResultBytes: env.MCP_MAX_RESULT_BYTES,
    /** What one server may send. */
    serverBounds: {
      maxBytes: env.MCP_MAX_SERVER_BYTES,
      maxMessages: env.MCP_MAX_SERVER_MESSAGES,
      maxRequests: env.MCP_MAX_SERVER_REQUESTS,
      maxValues: env.MCP_MAX_MESSAGE_VALUES,
      maxListBytes: env.MCP_MAX_LIST_BYTES,
      maxListItems: env.MCP_MAX_LIST_ITEMS,
      maxInstructionsBytes: env.MCP_MAX_INSTRUCTIONS_BYTES
    },
    /** Most names of one result that are kept. */
    maxResultNames: env.MCP_MAX_RESULT_NAMES,
    processes: {
      /** `null`: as many as there are cores for this process. */
      maxStarting: env.MCP_MAX_STARTING ?? null,
      /** `null`: as many as fit into the memory. */
      maxAlive: env.MCP_MAX_PROCESSES ?? null,
      maxQueued: env.MCP_MAX_QUEUED,
      queueTimeoutMs: env.MCP_QUEUE_TIMEOUT * 1000,
      warmSpares: env.MCP_WARM_SPARES,
      spareMaxAgeMs: env.MCP_WARM_SPARE_MAX_AGE * 1000,
      sharedIdleMs: env.MCP_SHARED_IDLE_TIMEOUT * 1000,
      niceness: env.MCP_SERVER_NICENESS
    },
    /** The folder where MCP servers keep compiled code; `null` for none. */
    compileCache: resolveCompileCache(env.MCP_NODE_COMPILE_CACHE),
    /** Requests that a worker has at MCP servers over HTTP; their queue is that of the processes. */
    upstreams: { maxRequests: env.MCP_MAX_UPSTREAM_REQUESTS, maxTotal: env.MCP_MAX_UPSTREAM_TOTAL },
    toolsCacheTtlMs: env.MCP_TOOLS_CACHE_TTL * 1000,
    /** How long listings pass over a server that did not answer in time; 0 for not at all. */
    failingTtlMs: env.MCP_FAILING_TTL * 1000,
    /** Whether what servers offer is learned when the service starts, and how long the service is not ready for it. */
    learning: { isOn: env.MCP_LEARN_LISTS === 'on', readyWaitMs: env.MCP_READY_WAIT * 1000 },
    /** Whether a server's request for input is passed on to the caller. */
    elicitation: env.MCP_ELICITATION === 'on',
    /** Whether servers over HTTP are reached through the proxies of the environment. */
    upstreamProxy: env.MCP_UPSTREAM_PROXY === 'env',
    /** `null` for no metrics. */
    metrics: resolveMetrics(env),
    /** Empty, or begins with a slash. */
    basePath: env.MCP_BASE_PATH,
    /** Where the codes of failures are explained. A path where the service does it itself. */
    errorDocsUrl: parse(env, 'MCP_ERROR_DOCS_URL', parseDocsUrl) ?? `${env.MCP_BASE_PATH}/docs/errors`,
    closeGraceMs: env.MCP_CLOSE_GRACE * 1000,
    /** How late the event loop may be before requests are refused; 0 for no bound. */
    maxLoopDelayMs: env.MCP_MAX_LOOP_DELAY_MS,
    writeTimeoutMs: env.MCP_WRITE_TIMEOUT * 1000,
    heartbeatMs: env.MCP_HEARTBEAT_INTERVAL * 1000,
    ...(env.MCP_LOG_LEVEL && { logLevel: env.MCP_LOG_LEVEL }),
    ...(env.MCP_SERVER_SCRIPT && { serverScript: env.MCP_SERVER_SCRIPT }),
    ...(env.MCP_SERVERS_FILE && { serversFile: env.MCP_SERVERS_FILE }),
    /** An entry with a fault stops the start, and a reload. */
    isServersFileStrict: env.MCP_SERVERS_STRICT,
    ...(env.MCP_NOTIFY_FILE && { notifyFile: env.MCP_NOTIFY_FILE }),
    ...(env.MCP_GUIDANCE_FILE && { guidanceFile: env.MCP_GUIDANCE_FILE })
  }
}

const invalid = (name: keyof Environment, value: string | undefined) =>
  new ConfigError(describeInvalidVariable(name, value))

type TextVariable = Extract<keyof Environment,
  `MCP_ALLOWED_${string}` | `MCP_${string}_KEYS` | 'MCP_TRUSTED_PROXIES' | 'MCP_ERROR_DOCS_URL'>

/** A variable that is only a text to the schema; `null` when it is not set. `parseText` gives `null` for a fault. */
function parse<Value> (env: Environment, name: TextVariable, parseText: (text: string) => Value | null): Value | null {
  const text = env[name]
  if (!text) return null
  const value = parseText(text)
  if (value === null) throw invalid(name, text)
  return value
}

function checkServers (env: Environment): void {
  if (!env.MCP_SERVER_SCRIPT && !env.MCP_SERVERS_FILE) {
    throw new ConfigError('MCP_SERVER_SCRIPT or MCP_SERVERS_FILE must be set: no MCP server is configured')
  }
  if (env.MCP_SERVER_SCRIPT && env.MCP_SERVERS_FILE) {
    throw new ConfigError('MCP_SERVER_SCRIPT and MCP_SERVERS_FILE are both set: keep the one that is meant')
  }
}

const namesIn = (list: string) => list.split(',').map(name => name.trim())

/** The checked credentials are hidden also where an operator's list leaves them out. */
const resolveSensitive = (env: Environment) =>
  [...new Set([...namesIn(env.MCP_SENSITIVE_PARAMS), 'apiUrl', 'jwtToken'])]

function resolveMasked (env: Environment): string[] | null {
  if (!env.MCP_MASKED_PARAMS) return null
  const names = namesIn(env.MCP_MASKED_PARAMS)
  const sensitive = resolveSensitive(env)
  if (!names.every(name => sensitive.includes(name))) throw invalid('MCP_MASKED_PARAMS', env.MCP_MASKED_PARAMS)
  return names
}

/** Where audit lines go: into the log, nowhere, or into a file of their own. */
function resolveAudit (value: string): 'log' | 'off' | { file: string } {
  if (value === 'on') return 'log'
  return value === 'off' ? 'off' : { file: value }
}

/** A user's own name keeps services of several users on one machine apart. */
function resolveCompileCache (value: string): string | null {
  if (value === 'off') return null
  return value === 'on' ? join(tmpdir(), `mcp-compile-cache-${process.geteuid?.() ?? ''}`) : resolve(value)
}

/** Where metrics are served. One port cannot be the service's, too, on whatever addresses the two are. */
function resolveMetrics (env: Environment): { host: string, port: number } | null {
  const { MCP_METRICS_PORT: port, MCP_METRICS_HOST: host } = env
  if (port === undefined) return null
  if (port !== 0 && port === env.MCP_CLIENT_PORT) {
    throw new ConfigError(`MCP_METRICS_PORT must be another port than MCP_CLIENT_PORT, but both are ${port}`)
  }
  return { host, port }
}

/** The API that checks credentials; `null` when checking is switched off. */
function resolveValidation (env: Environment): { url: string, timeoutMs: number } | null {
  const name = env.MCP_API_BASE_URL ? 'MCP_API_BASE_URL' : 'INSIGHT_DIGGER_API_URL'
  const baseUrl = env[name]
  if (!baseUrl && !env.MCP_SKIP_VALIDATION) {
    throw new ConfigError(
      'MCP_API_BASE_URL must be set to an http(s) URL, or MCP_SKIP_VALIDATION to true for development'
    )
  }
  if (baseUrl && !URL.canParse(baseUrl)) throw invalid(name, baseUrl)
  if (!baseUrl || env.MCP_SKIP_VALIDATION) return null
  const url = `${baseUrl.replace(/\/+$/, '')}${env.MCP_API_VALIDATION_PATH}`
  return { url, timeoutMs: env.MCP_API_VALIDATION_TIMEOUT * 1000 }
}
