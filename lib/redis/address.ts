import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { CommonRedisOptions, SentinelConnectionOptions } from 'ioredis'
import { ConfigError } from '../errors.ts'

/** Where Redis is: the URL, else the sentinels, else the cluster, else host and port. */
export interface RedisConfig {
  url?: string
  host: string
  port: number
  db: number
  username?: string
  password?: string
  tlsCaFile?: string
  sentinels?: { addresses: HostAndPort[], group: string, username?: string, password?: string }
  clusterNodes?: HostAndPort[]
  commandTimeoutMs: number
}

export interface HostAndPort { host: string, port: number }

/** Where Redis is, as ioredis takes it. `name` is for messages: it has no password. */
export type RedisAddress = { name: string, options: Login } & (
  | { kind: 'server', at: { path: string } | { host: string, port: number } }
  | { kind: 'sentinels', at: Pick<SentinelConnectionOptions, SentinelOption> }
  | { kind: 'cluster', at: HostAndPort[] }
)

type SentinelOption =
  'sentinels' | 'name' | 'sentinelUsername' | 'sentinelPassword' | 'sentinelTLS' | 'enableTLSForSentinelMode'

type Login = Pick<CommonRedisOptions, 'username' | 'password' | 'db'> & { tls?: { ca?: string } }

/** Throws ConfigError when the file of the certificate authority cannot be used. */
export function resolveAddress (redis: RedisConfig): RedisAddress {
  const { host, port, db, username, password, tlsCaFile, url, sentinels, clusterNodes } = redis
  const login = { ...(username !== undefined && { username }), ...(password !== undefined && { password }) }
  const tls = tlsCaFile === undefined ? {} : { tls: { ca: readCa(tlsCaFile) } }
  if (url !== undefined) return addressOfUrl(new URL(url), login, tls)
  if (sentinels !== undefined) {
    const { addresses, group, username: sentinelUsername, password: sentinelPassword } = sentinels
    return {
      kind: 'sentinels',
      name: `${group} of sentinels ${addresses.map(nameOf).join(', ')}`,
      options: { ...login, ...tls, db },
      at: {
        sentinels: addresses,
        name: group,
        ...(sentinelUsername !== undefined && { sentinelUsername }),
        ...(sentinelPassword !== undefined && { sentinelPassword }),
        ...(tls.tls && { sentinelTLS: tls.tls, enableTLSForSentinelMode: true })
      }
    }
  }
  if (clusterNodes !== undefined) {
    const name = `cluster ${clusterNodes.map(nameOf).join(', ')}`
    return { kind: 'cluster', name, options: { ...login, ...tls }, at: clusterNodes }
  }
  return { kind: 'server', name: nameOf({ host, port }), options: { ...login, ...tls, db }, at: { host, port } }
}

/** The URL comes first; the other variables fill in the parts that it leaves out. */
function addressOfUrl (url: URL, login: Login, tls: Pick<Login, 'tls'>): RedisAddress {
  const password = decodeURIComponent(url.password)
  const username = decodeURIComponent(url.username)
  const options = { ...login, ...(password && { password }), ...(username && { username }) }
  if (url.protocol === 'unix:') {
    const path = decodeURIComponent(url.pathname)
    const db = Number(url.searchParams.get('db') ?? 0)
    return { kind: 'server', name: path, options: { ...options, db }, at: { path } }
  }
  // An IPv6 address stands in brackets in a URL, and nowhere else.
  const at = { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(url.port || 6379) }
  const db = Number(url.pathname.slice(1) || 0)
  return {
    kind: 'server',
    name: `${url.hostname}:${at.port}`,
    options: { ...options, db, ...(url.protocol === 'rediss:' && { tls: {}, ...tls }) },
    at
  }
}

const nameOf = ({ host, port }: HostAndPort) => host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

/** PEM text. Read once: the certificates of an authority change less often than the service is restarted. */
function readCa (file: string): string {
  try {
    const text = readFileSync(file, 'utf8')
    // node:tls accepts a text that is no certificate without a word, and then trusts no server.
    return new X509Certificate(text) && text
  } catch {
    const shown = JSON.stringify(file)
    throw new ConfigError(`REDIS_TLS_CA must be a file of certificates in PEM form, but ${shown} cannot be read as one`)
  }
}
