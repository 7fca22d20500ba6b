import { ConfigError } from '../errors.ts'
import type { HostAndPort, RedisConfig } from '../redis/address.ts'
import type { Environment } from './environment.ts'

type RedisVariables = Pick<Environment, Extract<keyof Environment, `REDIS_${string}`>>
type AddressVariable = 'REDIS_URL' | 'REDIS_SENTINELS' | 'REDIS_CLUSTER_NODES'

/**
 * Where Redis is, from a checked environment. `invalid` makes the error for a variable that cannot be.
 *
 * Throws ConfigError for a value that no pattern invalids, and for variables that contradict each other.
 */
export function resolveRedis (env: RedisVariables, invalid: (name: AddressVariable) => Error): RedisConfig {
  checkAddresses(env, invalid)
  checkCombinations(env)
  return {
    ...(env.REDIS_URL && { url: env.REDIS_URL }),
    host: env.REDIS_HOST,
    port: env.REDIS_PORT,
    db: env.REDIS_DB,
    ...(env.REDIS_USERNAME && { username: env.REDIS_USERNAME }),
    ...(env.REDIS_PASSWORD && { password: env.REDIS_PASSWORD }),
    ...(env.REDIS_TLS_CA && { tlsCaFile: env.REDIS_TLS_CA }),
    ...(env.REDIS_SENTINELS && env.REDIS_SENTINEL_NAME && {
      sentinels: {
        addresses: parseAddresses(env.REDIS_SENTINELS),
        group: env.REDIS_SENTINEL_NAME,
        ...(env.REDIS_SENTINEL_USERNAME && { username: env.REDIS_SENTINEL_USERNAME }),
        ...(env.REDIS_SENTINEL_PASSWORD && { password: env.REDIS_SENTINEL_PASSWORD })
      }
    }),
    ...(env.REDIS_CLUSTER_NODES && { clusterNodes: parseAddresses(env.REDIS_CLUSTER_NODES) }),
    commandTimeoutMs: env.REDIS_COMMAND_TIMEOUT_MS
  }
}

function checkAddresses (env: RedisVariables, invalid: (name: AddressVariable) => Error): void {
  if (env.REDIS_URL && !isRedisUrl(env.REDIS_URL)) throw invalid('REDIS_URL')
  for (const name of ['REDIS_SENTINELS', 'REDIS_CLUSTER_NODES'] as const) {
    if (env[name] && parseAddresses(env[name]).some(({ port }) => port < 1 || port > 65_535)) throw invalid(name)
  }
}

const addressVariables = ['REDIS_URL', 'REDIS_SENTINELS', 'REDIS_CLUSTER_NODES'] as const
const sentinelVariables = ['REDIS_SENTINEL_NAME', 'REDIS_SENTINEL_USERNAME', 'REDIS_SENTINEL_PASSWORD'] as const

function checkCombinations (env: RedisVariables): void {
  const given = addressVariables.filter(name => env[name])
  if (given.length > 1) {
    const all = given.length === 2 ? 'both' : 'all'
    throw new ConfigError(`${given.join(' and ')} are ${all} set: keep the one that is meant`)
  }
  if (env.REDIS_SENTINELS && !env.REDIS_SENTINEL_NAME) {
    throw new ConfigError('REDIS_SENTINEL_NAME must be set to the name under which REDIS_SENTINELS know the primary')
  }
  const orphan = sentinelVariables.find(name => env[name] && !env.REDIS_SENTINELS)
  if (orphan) throw new ConfigError(`${orphan} is set, but REDIS_SENTINELS is not: set both or neither`)
  if (env.REDIS_CLUSTER_NODES && env.REDIS_DB !== 0) {
    throw new ConfigError(
      `REDIS_DB must be 0 with REDIS_CLUSTER_NODES, for a cluster has no other database, but is ${env.REDIS_DB}`
    )
  }
  if (env.REDIS_TLS_CA && env.REDIS_URL && !env.REDIS_URL.startsWith('rediss:')) {
    throw new ConfigError(
      'REDIS_TLS_CA is set, but REDIS_URL is no rediss:// URL: its connection would not be encrypted'
    )
  }
}

/** The schema's pattern has checked the form. */
function parseAddresses (text: string): HostAndPort[] {
  return text.split(',').map(address => {
    const [, host = '', port] = /^\[?(.*?)\]?:(\d+)$/.exec(address.trim()) ?? []
    return { host, port: Number(port) }
  })
}

/** Catches faults that the schema's pattern misses: a bad encoding, a database that is no number, `unix://run`. */
function isRedisUrl (value: string): boolean {
  try {
    const { protocol, host, pathname, searchParams, username, password } = new URL(value)
    for (const part of [username, password, pathname]) decodeURIComponent(part)
    if (protocol !== 'unix:') return host !== '' && /^\/?\d*$/.test(pathname)
    // A URL has a password only beside a host; the host of a socket can only be this machine.
    return ['', 'localhost'].includes(host) && pathname.length > 1 && /^\d+$/.test(searchParams.get('db') ?? '0')
  } catch {
    return false // it cannot be parsed or decoded
  }
}
