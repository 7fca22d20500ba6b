/**
 * An origin as browsers write it, `scheme://host[:port]` without a default port; `null` for any other text, `null` and `*` included.
 */
export function normalizeOrigin (text: string): string | null {
  if (!/^[a-z][a-z\d+.-]*:\/\/[^\s/?#@\\]+$/i.test(text) || !URL.canParse(text)) return null
  const { protocol, host } = new URL(text)
  return host === '' ? null : `${protocol}//${host}`
}

/** Origins with commas between; `null` when one of them is none. */
export function parseOrigins (text: string): string[] | null {
  const origins = text.split(',').map(entry => normalizeOrigin(entry.trim().replace(/\/$/, '')))
  return origins.every(origin => origin !== null) ? origins : null
}

/** What a request may be addressed to: `port` is `null` where any is meant. */
export interface HostName { name: string, port: string | null }

/** The name and the port in a `Host` header, as URLs write them; `null` for what is none. */
export function parseHost (text: string): HostName | null {
  const port = /:(\d{1,5})$/.exec(text)?.[1] ?? null
  const name = port === null ? text : text.slice(0, -port.length - 1)
  if (!/^([\w.-]+|\[[\da-f:.]+\])$/i.test(name) || !URL.canParse(`http://${name}`)) return null
  return { name: new URL(`http://${name}`).hostname, port }
}

/** Names with commas between; `null` when one of them is none. */
export function parseHosts (text: string): HostName[] | null {
  const hosts = text.split(',').map(entry => parseHost(entry.trim()))
  return hosts.every(host => host !== null) ? hosts : null
}

export const isListed = (hosts: readonly HostName[], { name, port }: HostName) =>
  hosts.some(host => host.name === name && (host.port === null || host.port === port))

/** This machine by a name that no DNS server can give to another one, nor take from another. */
export const isLoopback = (name: string) => name === 'localhost' || name === '[::1]' || /^127(\.\d{1,3}){3}$/.test(name)
