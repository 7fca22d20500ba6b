import { isIP } from 'node:net'

/**
 * An origin as browsers write it: `scheme://host[:port]` without a default port. `null` for other text, also for `*`.
 */
export function normalizeOrigin (text: string): string | null {
  if (!/^[a-z][a-z\d+.-]*:\/\/[^\s/?#@\\]+$/i.test(text) || !URL.canParse(text)) return null
  const { protocol, host } = new URL(text)
  return host === '' ? null : `${protocol}//${host}`
}

/** Origins with commas between; `null` when an entry is not an origin. */
export function parseOrigins (text: string): string[] | null {
  const origins = text.split(',').map(entry => normalizeOrigin(entry.trim().replace(/\/$/, '')))
  return origins.every(origin => origin !== null) ? origins : null
}

/** A host that a request may name. `port` is `null` for any port. */
export interface HostName { name: string, port: string | null }

/** The name and the port in a `Host` header, as URLs write them; `null` for any other text. */
export function parseHost (text: string): HostName | null {
  const port = /:(\d{1,5})$/.exec(text)?.[1] ?? null
  const name = port === null ? text : text.slice(0, -port.length - 1)
  if (!/^([\w.-]+|\[[\da-f:.]+\])$/i.test(name) || !URL.canParse(`http://${name}`)) return null
  return { name: new URL(`http://${name}`).hostname, port }
}

/** Hosts with commas between; `null` when an entry is not a host. */
export function parseHosts (text: string): HostName[] | null {
  const hosts = text.split(',').map(entry => parseHost(entry.trim()))
  return hosts.every(host => host !== null) ? hosts : null
}

export const isListed = (hosts: readonly HostName[], { name, port }: HostName) =>
  hosts.some(host => host.name === name && (host.port === null || host.port === port))

/** Whether a name is this machine's whatever DNS servers answer. */
export const isLoopback = (name: string) =>
  name === 'localhost' || name === '[::1]' || /^127(\.\d{1,3}){3}$/.test(name)

/** Whether a host is an address: no DNS server can make it another machine's. */
const isAddress = (name: string) => isIP(name.replace(/^\[|\]$/g, '')) !== 0

/** Where a browser sees this service, by what a request says of it. */
export interface OwnAddress {
  /** The `Host` that the caller named, or the one that a trusted proxy says it named. */
  host: string | undefined
  /** `https` where a trusted proxy says so. The service itself cannot know what is in front of it. */
  scheme: string | undefined
  /** `Sec-Fetch-Site`. Browsers leave it out for plain http, but for names of loopback. */
  site: string | undefined
}

/**
 * Whether an origin is that of a page of this service.
 *
 * That `Origin` and `Host` agree proves nothing by itself: with a name that resolves to this machine (DNS rebinding)
 * they agree, and so says `Sec-Fetch-Site`. So the host must be loopback's, an address, or a listed one.
 *
 * @see https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
 */
export function isOwnOrigin (origin: string, own: OwnAddress, allowedHosts: readonly HostName[]): boolean {
  const from = normalizeOrigin(origin)
  const host = own.host === undefined ? null : parseHost(own.host)
  if (from === null || host === null || !/^https?:/.test(from)) return false
  if (own.site !== undefined && own.site !== 'same-origin') return false
  const { protocol, hostname, port } = new URL(from)
  // A page that came unprotected may hold anybody's scripts: to the same name behind TLS it is another origin.
  if (protocol === 'http:' && own.scheme === 'https') return false
  const defaultPort = protocol === 'https:' ? '443' : '80'
  const isSame = hostname === host.name && (port || defaultPort) === (host.port ?? defaultPort)
  return isSame && (isLoopback(host.name) || isAddress(host.name) || isListed(allowedHosts, host))
}
