import Type, { type Static } from 'typebox'

const hostAndPort = '(\\[[\\da-fA-F:.]+\\]|[^\\s,:@/\\[\\]]+):\\d{1,5}'

/** `host:port`, or `[address]:port` for IPv6, one or more. */
const addresses = (options: { description: string }) =>
  Type.Optional(Type.String({
    pattern: `^${hostAndPort}(\\s*,\\s*${hostAndPort})*$`,
    title: 'host:port, several with commas between',
    ...options
  }))

const seconds = (options: { default: number, description: string }) =>
  Type.Number({
    exclusiveMinimum: 0,
    maximum: 86_400,
    title: 'a number of seconds above 0, at most 86400',
    ...options
  })

/** A secret may be in a file instead, which no other process finds in this one's environment. */
const fileOf = (name: string) =>
  Type.Optional(Type.String({ title: 'a path', description: `File that holds ${name}, instead of that variable.` }))

/**
 * Every variable that the service reads: type, default, bounds, and one sentence for docs/configuration.md.
 * `title` completes "NAME must be …".
 */
export const EnvironmentSchema = Type.Object({
  REDIS_URL: Type.Optional(Type.String({
    pattern: '^(rediss?|unix)://',
    title: 'a redis://, rediss:// or unix:// URL',
    description:
      'Address of Redis, in one URL. REDIS_HOST, REDIS_PORT and REDIS_DB are then not read; REDIS_USERNAME and ' +
      'REDIS_PASSWORD are read only when the URL has none. `unix:///run/redis.sock?db=0` for a socket.'
  })),
  REDIS_URL_FILE: fileOf('REDIS_URL'),
  REDIS_HOST: Type.String({ default: 'localhost', title: 'a host name or address', description: 'Host of Redis.' }),
  REDIS_PORT: Type.Integer({
    default: 6379,
    minimum: 1,
    maximum: 65_535,
    title: 'a port from 1 to 65535',
    description: 'Port of Redis.'
  }),
  REDIS_DB: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 1_000_000,
    title: 'a database number from 0',
    description: 'Database number.'
  }),
  REDIS_USERNAME: Type.Optional(Type.String({
    title: 'a user of Redis\'s ACL',
    description: 'User of Redis. Unset: `default`.'
  })),
  REDIS_PASSWORD: Type.Optional(Type.String({
    title: 'a password',
    description: 'Password of Redis. Never logged.'
  })),
  REDIS_PASSWORD_FILE: fileOf('REDIS_PASSWORD'),
  REDIS_TLS_CA: Type.Optional(Type.String({
    title: 'a path',
    description:
      'PEM file of the certificate authorities to trust. Connections are encrypted when it is set. With REDIS_URL ' +
      'it needs `rediss://`, which trusts the usual authorities without it.'
  })),
  REDIS_SENTINELS: addresses({
    description: 'Sentinels that know the address of Redis. REDIS_HOST and REDIS_PORT are then not read.'
  }),
  REDIS_SENTINEL_NAME: Type.Optional(Type.String({
    title: 'a name',
    description: 'Name under which the sentinels know the primary. Required with REDIS_SENTINELS.'
  })),
  REDIS_SENTINEL_USERNAME: Type.Optional(Type.String({
    title: 'a user of the sentinels\' ACL',
    description: 'User of the sentinels themselves.'
  })),
  REDIS_SENTINEL_PASSWORD: Type.Optional(Type.String({
    title: 'a password',
    description: 'Password of the sentinels themselves. Never logged.'
  })),
  REDIS_SENTINEL_PASSWORD_FILE: fileOf('REDIS_SENTINEL_PASSWORD'),
  REDIS_CLUSTER_NODES: addresses({
    description: 'Some nodes of a Redis Cluster; they know the others. REDIS_HOST and REDIS_PORT are then not read.'
  }),
  REDIS_COMMAND_TIMEOUT_MS: Type.Integer({
    default: 500,
    minimum: 10,
    maximum: 60_000,
    title: 'milliseconds from 10 to 60000',
    description: 'How long one Redis command may take before the request is answered 503 (ms).'
  }),

  MCP_SESSION_IDLE_TTL: Type.Integer({
    default: 86_400,
    minimum: 1,
    maximum: 315_360_000,
    title: 'whole seconds from 1 to 315360000',
    description: 'How long an unused session lives (s); every access restarts it.'
  }),
  MCP_SESSION_MAX_LIFETIME: Type.Integer({
    default: 2_592_000,
    minimum: 0,
    maximum: 315_360_000,
    title: 'whole seconds from 0 to 315360000',
    description:
      'How long a session lives at most, however much it is used (s); 0 for no end. It holds for sessions that are ' +
      'opened after the change.'
  }),
  MCP_SESSION_MAX_CREDENTIAL_BYTES: Type.Integer({
    default: 65_536,
    minimum: 1_024,
    maximum: 16_777_216,
    title: 'bytes from 1024 to 16777216',
    description:
      'How much the credentials of a session may take together (bytes, names included); larger ones are answered ' +
      '400. They count for MCP_SESSION_MAX_BYTES, too.'
  }),
  MCP_SESSION_KEY_PREFIX: Type.String({
    default: 'mcp_session',
    pattern: '^(?!mcp_(index|audit|rate|era|lists|probe|jobs|tasks|events|notices|results)(:|$))[\\w.:{}-]+$',
    title: 'letters, digits and _ . : { } -, and no name that the service has for other keys',
    description:
      'A session is kept at the Redis key `<prefix>:<session_id>`, or `<prefix>:<name of the API ' +
      'key>:<session_id>`.'
  }),
  MCP_SENSITIVE_PARAMS: Type.String({
    default: 'apiUrl,jwtToken',
    pattern: '^[^,\\s]+(\\s*,\\s*[^,\\s]+)*$',
    title: 'names with commas between',
    description:
      'Fields of /init that are credentials: hidden from listed tools, set by the session, never by the caller. ' +
      '`apiUrl` and `jwtToken` are, also where they are left out; the validation API checks no others.'
  }),
  MCP_MASKED_PARAMS: Type.Optional(Type.String({
    pattern: '^[^,\\s]+(\\s*,\\s*[^,\\s]+)*$',
    title: 'names of MCP_SENSITIVE_PARAMS with commas between',
    description:
      'Credentials that are masked in what a server says: failed results, progress, log messages, questions. ' +
      '`jwtToken` always is. Unset: all that are no URL.'
  })),
  MCP_CACHE_RESULTS: Type.Enum(['success', 'any', 'off'], {
    default: 'success',
    title: 'success, any or off',
    description:
      'Which object results fill later calls: those whose `status` is `"success"`, any that is no failure, or ' +
      'none.'
  }),
  MCP_VALUES: Type.Enum(['chain', 'none'], {
    default: 'none',
    title: 'chain or none',
    description:
      'What an entry of MCP_SERVERS_FILE means that says no `values`: `chain` keeps parameters and results and fills ' +
      'later calls, `none` does neither. The server of MCP_SERVER_SCRIPT is always `chain`.'
  }),
  MCP_VALIDATE_ARGUMENTS: Type.Optional(Type.Enum(['off', 'warn', 'on'], {
    title: 'off, warn or on',
    description:
      'Whether arguments are checked against their tool\'s input schema before a server is started: `warn` logs and ' +
      'calls, `on` answers 422. Unset: `warn` for entries of MCP_SERVERS_FILE, `off` for MCP_SERVER_SCRIPT.'
  })),
  MCP_LIST_FILLED: Type.Enum(['unchanged', 'optional'], {
    default: 'unchanged',
    title: 'unchanged or optional',
    description:
      'Whether the lists of MCP_SERVER_SCRIPT show parameters that the session fills as not required. Lists of ' +
      'MCP_SERVERS_FILE always do.'
  }),
  MCP_SESSION_MAX_BYTES: Type.Integer({
    default: 16_777_216,
    minimum: 0,
    maximum: 1_073_741_824,
    title: 'bytes from 0 to 1073741824',
    description:
      'How much a session may cache (bytes, names included, as stored). A value that does not fit is not cached, ' +
      'and `X-MCP-Not-Cached` names it.'
  }),

  MCP_SESSION_TOKENS: Type.Enum(['off', 'required'], {
    default: 'off',
    title: 'off or required',
    description:
      'Whether /init and /sessions give a `session_token` that every later request for the session must carry as ' +
      '`Authorization: Bearer`.'
  }),
  MCP_MAX_SESSIONS_PER_KEY: Type.Integer({
    default: 100_000,
    minimum: 1,
    maximum: 100_000_000,
    title: 'a number from 1 to 100000000',
    description: 'How many sessions an API key may have open; further ones are answered 429.'
  }),
  MCP_ENCRYPTION_KEYS: Type.Optional(Type.String({
    title: 'pairs id:key with commas between, each key 32 bytes in Base64',
    description: 'Keys that seal a user\'s data in Redis. The first one seals, all of them open. Never logged.'
  })),
  MCP_ENCRYPTION_KEYS_FILE: fileOf('MCP_ENCRYPTION_KEYS'),
  MCP_AUDIT_LOG: Type.String({
    default: 'on',
    pattern: '^(on|off|.*/.+)$',
    title: 'on, off, or a path with a / in it',
    description: 'Where the audit lines go: into the log, nowhere, or into a file of their own.'
  }),

  MCP_API_BASE_URL: Type.Optional(Type.String({
    pattern: '^https?://[^/\\s]',
    title: 'an http(s) URL',
    description: 'The API that validates credentials. Required unless MCP_SKIP_VALIDATION is true.'
  })),
  INSIGHT_DIGGER_API_URL: Type.Optional(Type.String({
    pattern: '^https?://[^/\\s]',
    title: 'an http(s) URL',
    description: 'Older name of MCP_API_BASE_URL; read when that is not set.'
  })),
  MCP_ALLOWED_API_HOSTS: Type.Optional(Type.String({
    title: 'hosts like api.example.com, *.example.com or http://localhost:8080, with commas between',
    description:
      'Hosts that the `apiUrl` of a session may have, each with a scheme and a port, or without. Unset: any host.'
  })),
  MCP_API_VALIDATION_PATH: Type.String({
    default: '/settings/validate',
    pattern: '^/[^\\s]*$',
    title: 'a path that starts with /',
    description: 'Path of the check, after MCP_API_BASE_URL.'
  }),
  MCP_API_VALIDATION_TIMEOUT: seconds({ default: 5, description: 'How long the check of credentials may take (s).' }),
  MCP_API_DEFAULT_TIMEOUT: seconds({
    default: 60,
    description: 'How long listing tools may take once a server runs (s).'
  }),
  MCP_API_LONG_TIMEOUT: seconds({ default: 300, description: 'How long a tool call may take (s).' }),
  MCP_API_INACTIVITY_TIMEOUT: Type.Number({
    default: 0,
    minimum: 0,
    maximum: 86_400,
    title: 'a number of seconds from 0 to 86400',
    description:
      'How long a tool may send neither its answer nor progress (s); 0 for as long as the call may take. Most ' +
      'servers never send progress.'
  }),
  MCP_SKIP_VALIDATION: Type.Boolean({
    default: false,
    title: 'true or false',
    description: 'Takes any credentials without asking the API. Development only; the service warns at start.'
  }),

  MCP_CLIENT_HOST: Type.String({
    default: '0.0.0.0',
    title: 'a host name or address',
    description: 'Address that `npm start` and `npm run dev` listen on.'
  }),
  MCP_CLIENT_PORT: Type.Integer({
    default: 33_000,
    minimum: 0,
    maximum: 65_535,
    title: 'a port from 0 to 65535',
    description: 'Port that `npm start` and `npm run dev` listen on; 0 takes a free one.'
  }),
  MCP_METRICS_PORT: Type.Optional(Type.Integer({
    minimum: 0,
    maximum: 65_535,
    title: 'a port from 0 to 65535',
    description:
      'Port that serves metrics for Prometheus at /metrics, without an API key; 0 takes a free one. Unset: no metrics.'
  })),
  MCP_METRICS_HOST: Type.String({
    default: '127.0.0.1',
    minLength: 1,
    title: 'a host name or address',
    description: 'Address that the metrics are served on. Whoever reaches it can read them.'
  }),
  MCP_BASE_PATH: Type.String({
    default: '',
    pattern: '^(/[\\w.~-]+)*$',
    title: 'a path like /mcp, without a / at its end',
    description: 'Path under which all paths of the service are, for a proxy that passes it on unchanged.'
  }),
  MCP_ERROR_DOCS_URL: Type.Optional(Type.String({
    title: 'an http(s) URL without credentials and without #',
    description:
      'Where docs/errors.md is published for callers; `type` of problem details leads there. Unset: ' +
      'the path `/docs/errors`, which serves nothing.'
  })),
  MCP_MAX_LOOP_DELAY_MS: Type.Integer({
    default: 1_000,
    minimum: 0,
    maximum: 60_000,
    title: 'milliseconds from 0 to 60000',
    description:
      'How late a worker may be with its work, on average over half a second, before requests are answered 503 ' +
      '`MCPC_ERR_SATURATED` (ms); 0 for no bound. Probes are always answered.'
  }),
  MCP_CLOSE_GRACE: seconds({
    default: 30,
    description: 'How long running requests may take to finish after SIGTERM (s).'
  }),
  MCP_MAX_BODY_BYTES: Type.Integer({
    default: 8_388_608,
    minimum: 1_024,
    maximum: 1_073_741_824,
    title: 'bytes from 1024 to 1073741824',
    description: 'Largest request body (bytes); a larger body is answered 413.'
  }),
  MCP_MAX_JSON_DEPTH: Type.Integer({
    default: 100,
    minimum: 3,
    maximum: 1_000,
    title: 'levels from 3 to 1000',
    description: 'Deepest nesting of a request body (levels); a deeper body is answered 400.'
  }),
  MCP_MAX_PARAMETERS: Type.Integer({
    default: 1_000,
    minimum: 1,
    maximum: 100_000,
    title: 'a number from 1 to 100000',
    description: 'Most parameters of a call, and most further fields of an /init; more are answered 400.'
  }),
  MCP_LOG_LEVEL: Type.Optional(Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
    title: 'trace, debug, info, warn, error, fatal or silent',
    description:
      'Least level that is logged, `info` under `npm start`. Upper case and Python\'s WARNING and CRITICAL are ' +
      'understood. Unset: the level given to fastify-cli.'
  })),

  MCP_CLIENT_API_KEYS: Type.Optional(Type.String({
    title: 'name:sha256 pairs with commas or spaces between',
    description:
      'API keys that may call, each as `name:sha256`; `npm run api-key` makes one. A name may have several keys. ' +
      'Unset: anyone may call. Never logged.'
  })),
  MCP_CLIENT_API_KEYS_FILE: fileOf('MCP_CLIENT_API_KEYS'),
  MCP_ALLOWED_ORIGINS: Type.Optional(Type.String({
    title: 'origins (scheme://host[:port]) with commas between',
    description:
      'Web origins whose pages may call, like `https://app.example.com`. A request with any other `Origin` is ' +
      'answered 403.'
  })),
  MCP_ALLOWED_HOSTS: Type.Optional(Type.String({
    title: 'host names or addresses, with or without a port, with commas between',
    description:
      'Host names that a service on loopback answers to, besides loopback\'s own: the name of a proxy in front, ' +
      'for example. Any other `Host` is answered 403. The page `/docs` may call under these names, too.'
  })),
  MCP_TRUSTED_PROXIES: Type.Optional(Type.String({
    title: 'addresses, networks (10.0.0.0/8), or loopback, linklocal, uniquelocal, with commas between',
    description:
      'Proxies whose `X-Forwarded-For` names the caller, and whose `X-Forwarded-Host` and `X-Forwarded-Proto` say ' +
      'where a browser sees the page `/docs`. Unset: the caller is the address that connects.'
  })),
  MCP_RATE_LIMIT_PER_MINUTE: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 1_000_000,
    title: 'a number from 0 to 1000000',
    description:
      'How many requests of one session are answered in a minute, over all workers; further ones are answered 429. ' +
      '0 turns it off.'
  }),
  MCP_INIT_RATE_LIMIT: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 1_000_000,
    title: 'a number from 0 to 1000000',
    description:
      'How many times a minute one address may open a session, over all workers; further attempts are answered ' +
      '429. 0 turns it off.'
  }),

  MCP_SERVER_SCRIPT: Type.Optional(Type.String({
    title: 'a path',
    description: 'The MCP server, by its script: `.py`, `.js`, `.mjs`, `.cjs`, or an executable.'
  })),
  MCP_SERVERS_FILE: Type.Optional(Type.String({
    title: 'a path',
    description: 'The MCP servers, by a JSON file with `mcpServers`. Set this or MCP_SERVER_SCRIPT.'
  })),
  MCP_SERVERS_STRICT: Type.Boolean({
    default: false,
    title: 'true or false',
    description:
      'With true, one entry of MCP_SERVERS_FILE with a fault stops the start, and a reload. Otherwise the other ' +
      'servers run, and the log and /health name the entry.'
  }),
  MCP_SESSION_START_TIMEOUT: seconds({
    default: 30,
    description: 'How long a server may take from its start to its handshake (s).'
  }),
  MCP_STOP_STEP_MS: Type.Integer({
    default: 500,
    minimum: 0,
    maximum: 60_000,
    title: 'milliseconds from 0 to 60000',
    description:
      'How long a server may take to end after its input is closed, and again after SIGTERM, before the next step ' +
      '(ms).'
  }),
  MCP_MAX_RESULT_BYTES: Type.Integer({
    default: 33_554_432,
    minimum: 1_024,
    maximum: 1_073_741_824,
    title: 'bytes from 1024 to 1073741824',
    description: 'Largest message that a server may send (bytes); a larger one is answered 502.'
  }),
  MCP_MAX_SERVER_BYTES: Type.Integer({
    default: 268_435_456,
    minimum: 65_536,
    maximum: 1_099_511_627_776,
    title: 'bytes from 65536 to 1099511627776',
    description: 'What a server may send in a minute without an answer, or in the answer to one HTTP request (bytes).'
  }),
  MCP_MAX_SERVER_MESSAGES: Type.Integer({
    default: 50_000,
    minimum: 100,
    maximum: 100_000_000,
    title: 'a number from 100 to 100000000',
    description:
      'How many messages, and lines that are none, a server may send in the same.'
  }),
  MCP_MAX_SERVER_REQUESTS: Type.Integer({
    default: 100,
    minimum: 1,
    maximum: 100_000,
    title: 'a number from 1 to 100000',
    description: 'How many requests of a server, pings above all, may wait for it to take their answers.'
  }),
  MCP_MAX_MESSAGE_VALUES: Type.Integer({
    default: 500_000,
    minimum: 1_000,
    maximum: 100_000_000,
    title: 'a number from 1000 to 100000000',
    description: 'How many values a message of a server may have, four levels down. Structured content does not count.'
  }),
  MCP_MAX_LIST_BYTES: Type.Integer({
    default: 33_554_432,
    minimum: 1_024,
    maximum: 1_073_741_824,
    title: 'bytes from 1024 to 1073741824',
    description: 'How much all pages of one list of a server may take together (bytes); a longer list is answered 502.'
  }),
  MCP_MAX_LIST_ITEMS: Type.Integer({
    default: 10_000,
    minimum: 1,
    maximum: 1_000_000,
    title: 'a number from 1 to 1000000',
    description: 'How many items one list of a server may have; a longer list is answered 502.'
  }),
  MCP_MAX_INSTRUCTIONS_BYTES: Type.Integer({
    default: 65_536,
    minimum: 0,
    maximum: 16_777_216,
    title: 'bytes from 0 to 16777216',
    description:
      'How long the instructions of a server may be (bytes); longer ones are left out, and `warnings` in the ' +
      'listing says so.'
  }),
  MCP_MAX_RESULT_NAMES: Type.Integer({
    default: 5_000,
    minimum: 0,
    maximum: 100_000,
    title: 'a number from 0 to 100000',
    description:
      'How many names one result may have to fill later calls; of a result with more, none is kept, and ' +
      '`X-MCP-Not-Cached` says so.'
  }),
  MCP_MAX_STARTING: Type.Optional(Type.Integer({
    minimum: 1,
    maximum: 1_000,
    title: 'a number from 1 to 1000',
    description:
      'How many servers may start at once in a worker; one that takes much longer than usual no longer counts. ' +
      'Unset: as many as there are cores, or its control group has.'
  })),
  MCP_MAX_PROCESSES: Type.Optional(Type.Integer({
    minimum: 1,
    maximum: 10_000,
    title: 'a number from 1 to 10000',
    description:
      'How many servers may be alive in a worker, warm spares included. Unset: what fits into the memory of its ' +
      'control group, at most 50.'
  })),
  MCP_QUEUE_TIMEOUT: seconds({
    default: 10,
    description:
      'How long a listing, a reading or a prompt may wait for a server to start, and any request for its turn at a ' +
      'server with a `url` (s), then 503. A tool call waits for a start as long as its tool may ' +
      'take, where that is longer.'
  }),
  MCP_MAX_QUEUED: Type.Integer({
    default: 1_000,
    minimum: 0,
    maximum: 1_000_000,
    title: 'a number from 0 to 1000000',
    description:
      'How many tool calls of a worker may wait for a process to start, how many listings, and how many requests for ' +
      'each server with a `url`; further ones are answered 503 at once.'
  }),
  MCP_MAX_UPSTREAM_REQUESTS: Type.Integer({
    default: 100,
    minimum: 1,
    maximum: 100_000,
    title: 'a number from 1 to 100000',
    description: 'How many requests a server with a `url` may get from a worker at once; further ones wait.'
  }),
  MCP_MAX_UPSTREAM_TOTAL: Type.Integer({
    default: 1_000,
    minimum: 1,
    maximum: 1_000_000,
    title: 'a number from 1 to 1000000',
    description: 'How many requests all servers with a `url` may get from a worker at once; further ones wait.'
  }),
  MCP_SESSION_MAX_CONCURRENCY: Type.Integer({
    default: 10,
    minimum: 1,
    maximum: 10_000,
    title: 'a number from 1 to 10000',
    description:
      'How many requests of one session may ask servers at once, over all workers, tool calls above all; further ' +
      'ones are answered 429.'
  }),
  MCP_WARM_SPARES: Type.Integer({
    default: 1,
    minimum: 0,
    maximum: 1_000,
    title: 'a number from 0 to 1000',
    description:
      'How many processes of each server a worker starts ahead of demand; each serves one request. 0 turns it off.'
  }),
  MCP_WARM_SPARE_MAX_AGE: seconds({
    default: 300,
    description: 'How old a spare may become before it is replaced (s).'
  }),
  MCP_SHARED_IDLE_TIMEOUT: seconds({
    default: 300,
    description: 'How long a server with `"lifecycle": "shared"` may be unused before it is ended (s).'
  }),
  MCP_SERVER_NICENESS: Type.Integer({
    default: 10,
    minimum: 0,
    maximum: 19,
    title: 'a number from 0 to 19',
    description:
      'How far stdio servers stand back from the worker where both want the processor: it is added to the niceness ' +
      'of the worker. 0: not at all.'
  }),
  MCP_NODE_COMPILE_CACHE: Type.String({
    default: 'off',
    pattern: '^(on|off|.*/.+)$',
    title: 'on, off, or a path with a / in it',
    description:
      'Where stdio servers that run on Node 22.1 or newer keep compiled code, so that they start faster: nowhere, in ' +
      'a folder of the service below the temporary one, or in a folder that nobody else may write to.'
  }),
  MCP_TOOLS_CACHE_TTL: Type.Integer({
    default: 60,
    minimum: 0,
    maximum: 86_400,
    title: 'whole seconds from 0 to 86400',
    description: 'How long a worker remembers a server\'s list of tools (s); 0 asks every time.'
  }),
  MCP_FAILING_TTL: Type.Number({
    default: 10,
    minimum: 0,
    maximum: 3_600,
    title: 'a number of seconds from 0 to 3600',
    description:
      'How long listings of several servers pass over one that did not answer in time, and how long a list that was ' +
      'longer than its bound is not asked for again (s); 0 asks every time.'
  }),
  MCP_LEARN_LISTS: Type.Enum(['on', 'off'], {
    default: 'on',
    title: 'on or off',
    description:
      'Whether a worker asks servers that are the same for everybody what they offer when it starts, in the ' +
      'background. With `off`, and with MCP_TOOLS_CACHE_TTL=0, they are asked on demand only.'
  }),
  MCP_READY_WAIT: Type.Number({
    default: 10,
    minimum: 0,
    maximum: 3_600,
    title: 'a number of seconds from 0 to 3600',
    description: 'How long /readyz says after the start that the service is not ready while that goes on (s).'
  }),
  MCP_ELICITATION: Type.Enum(['on', 'off'], {
    default: 'off',
    title: 'on or off',
    description:
      'Whether a server of the 2026-07-28 era may ask a tool\'s caller for input: /call-tool then answers 202. ' +
      'With `off`, servers are told that no input is given.'
  }),
  MCP_ASYNC_CALLS: Type.Enum(['on', 'off'], {
    default: 'off',
    title: 'on or off',
    description:
      'Whether a tool is called after the answer where its caller sends `Prefer: respond-async`: any worker with ' +
      '`on` then calls it. With `off` the preference is ignored.'
  }),
  MCP_NOTIFY_FILE: Type.Optional(Type.String({
    title: 'a path',
    description:
      'JSON file with the receivers that callers may name in `notify`: each has a `url`, and a `secret` or a ' +
      '`secretFile`. Read again at SIGHUP.'
  })),
  MCP_CALL_TTL: seconds({
    default: 86_400,
    description:
      'How long a call that waits for responses, and the answer of a call that can be read again, is kept (s). It ' +
      'ends with its session in any case.'
  }),
  MCP_IDEMPOTENCY_TTL: seconds({
    default: 86_400,
    description:
      'How long a call with an `Idempotency-Key` is not made again (s). Its session must live as long.'
  }),
  MCP_MAX_CALLS_PER_SESSION: Type.Integer({
    default: 1_000,
    minimum: 1,
    maximum: 5_000,
    title: 'a number from 1 to 5000',
    description:
      'How many calls of one session are kept, those with an `Idempotency-Key` above all; a further one is answered ' +
      '429. Their data and answers take at most MCP_SESSION_MAX_BYTES together, apart from values.'
  }),
  MCP_INLINE_RESULT_BYTES: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 1_073_741_824,
    title: 'bytes from 0 to 1073741824',
    description:
      'A longer result of a tool or a resource is kept and answered by a reference, unless its caller says ' +
      '`"reference": false`; 0 for none.'
  }),
  MCP_RESULT_TTL: seconds({
    default: 3_600,
    description:
      'How long a result with a reference is kept after it was made or last read (s), and no longer than its session ' +
      'lives unused.'
  }),
  MCP_MAX_RESULTS_PER_SESSION: Type.Integer({
    default: 100,
    minimum: 1,
    maximum: 1_000,
    title: 'a number from 1 to 1000',
    description: 'How many results with a reference a session has; the oldest makes room for the next.'
  }),
  MCP_MAX_RESULTS_BYTES: Type.Integer({
    default: 67_108_864,
    minimum: 1_024,
    maximum: 1_073_741_824,
    title: 'bytes from 1024 to 1073741824',
    description:
      'How much the results with a reference of one session take together (bytes); the oldest make room for the ' +
      'next. A result that is longer alone is sent as it is.'
  }),
  MCP_UPSTREAM_PROXY: Type.Enum(['env', 'off'], {
    default: 'off',
    title: 'env or off',
    description:
      'With `env`, servers with a `url` are reached through the proxies of HTTP_PROXY, HTTPS_PROXY and NO_PROXY: ' +
      'never loopback, and never with a credential over http.'
  }),
  MCP_WRITE_TIMEOUT: seconds({
    default: 60,
    description: 'How long a caller may read nothing of its answer before the connection is ended (s).'
  }),
  MCP_HEARTBEAT_INTERVAL: seconds({
    default: 15,
    description: 'How often a /call-tool that streams events sends a heartbeat (s).'
  }),
  MCP_GUIDANCE_FILE: Type.Optional(Type.String({
    title: 'a path',
    description: 'JSON file with `system_info` and `workflow_guidance` for /tools-schema and /tools.'
  })),

  NODE_ENV: Type.Optional(Type.String({
    title: 'a word',
    description:
      'With `production`, `apiUrl` must be https, but for hosts that MCP_ALLOWED_API_HOSTS lists with `http://`.'
  })),
  VIRTUAL_ENV: Type.Optional(Type.String({
    title: 'a path',
    description: 'Python environment whose `mcp` and `python3` run a `.py` server; set by its activate script.'
  }))
})

/** Variables whose value is never repeated, not even when it is wrong. Each may be in a file: `<NAME>_FILE`. */
export const secretNames: ReadonlySet<string> = new Set([
  'REDIS_URL', 'REDIS_PASSWORD', 'REDIS_SENTINEL_PASSWORD', 'MCP_ENCRYPTION_KEYS', 'MCP_CLIENT_API_KEYS'
])

export type Environment = Static<typeof EnvironmentSchema>

const pythonLevels = new Map([['warning', 'warn'], ['critical', 'fatal'], ['notset', 'trace']])

/**
 * The variables in the form that the schema checks. An empty value counts as not set (`REDIS_PASSWORD=`), and the
 * spellings that the Flask service took become ours. Does not modify its input.
 */
export function normalizeEnvironment (
  environment: Readonly<Record<string, string | undefined>>
): Record<string, string> {
  const known: Record<string, string> = {}
  for (const name of Object.keys(EnvironmentSchema.properties)) {
    const value = environment[name]
    if (value?.trim()) known[name] = secretNames.has(name) ? value : value.trim()
  }
  const level = known.MCP_LOG_LEVEL?.toLowerCase()
  if (level) known.MCP_LOG_LEVEL = pythonLevels.get(level) ?? level
  for (const name of ['MCP_SKIP_VALIDATION', 'MCP_SERVERS_STRICT']) {
    if (/^(1|yes|true)$/i.test(known[name] ?? '')) known[name] = 'true'
    if (/^(0|no|false)$/i.test(known[name] ?? '')) known[name] = 'false'
  }
  return known
}

/** One line for a variable that the schema refused. */
export function describeInvalidVariable (name: string, value: string | undefined): string {
  const schema = (EnvironmentSchema.properties as Record<string, { title?: string }>)[name]
  // An address may be written with a user and a password before it, as in a URL: they stay out of the log.
  const isHidden = secretNames.has(name) || (/^REDIS_|_URL$/.test(name) && value?.includes('@'))
  const got = isHidden ? 'a value that is not shown' : JSON.stringify(value)
  return `${name} must be ${schema?.title ?? 'valid'}, but is ${got}`
}
