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
