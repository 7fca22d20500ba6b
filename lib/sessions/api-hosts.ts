import { ApiHostError } from '../errors.ts'

/** A host to which a session may point. `null` stands for any. */
export interface ApiHost {
  protocol: 'http:' | 'https:' | null
  /** As URLs write it; the part after the star for `*.example.com`, dot included. */
  name: string
  isSuffix: boolean
  port: string | null
}

export interface ApiHostRules {
  /** `null` lets a session point anywhere. */
  allowed: readonly ApiHost[] | null
  /** Whether http is refused for hosts that are not listed with `http://`. */
  requiresHttps: boolean
}

const form = /^(?:(https?:)\/\/)?(\*\.)?([^\s:/?#@\\*[\]]+|\[[\da-f:.]+\])(?::(\d{1,5}))?$/i

/**
 * Hosts with commas between: `api.example.com` or `*.example.com`, each with or without `http://` or `https://`
 * before it and a port after it. `null` when an entry has another form.
 */
export function parseApiHosts (text: string): ApiHost[] | null {
  const hosts = text.split(',').map(entry => parseApiHost(entry.trim()))
  return hosts.every(host => host !== null) ? hosts : null
}

function parseApiHost (entry: string): ApiHost | null {
  const [, protocol, star, host, port = null] = form.exec(entry) ?? []
  if (host === undefined || !URL.canParse(`http://${host}`) || Number(port ?? 0) > 65_535) return null
  const { hostname } = new URL(`http://${host}`)
  const isSuffix = star !== undefined
  if (isSuffix && isAddress(hostname)) return null // addresses have no subdomains
  return {
    protocol: protocol === undefined ? null : protocol.toLowerCase() as 'http:' | 'https:',
    name: isSuffix ? `.${hostname}` : hostname,
    isSuffix,
    port
  }
}

const isAddress = (hostname: string) => hostname.startsWith('[') || /^[\d.]+$/.test(hostname)

/** Throws ApiHostError, which does not repeat the URL, when a session may not point to it. Expects an http(s) URL. */
export function checkApiUrl (apiUrl: string, { allowed, requiresHttps }: ApiHostRules): void {
  const url = new URL(apiUrl)
  const matching = allowed?.filter(host => matches(host, url))
  // A server may read a URL in another way than we do. So where the host matters, the URL must have only one reading.
  if (matching !== undefined && (matching.length === 0 || !isPlain(apiUrl, url))) {
    throw new ApiHostError('its host must be one that is allowed here')
  }
  const isHttpListed = matching?.some(({ protocol }) => protocol === 'http:') ?? false
  if (requiresHttps && url.protocol === 'http:' && !isHttpListed) throw new ApiHostError('it must be https')
}

function matches ({ protocol, name, isSuffix, port }: ApiHost, url: URL): boolean {
  const isHost = isSuffix ? url.hostname.endsWith(name) && url.hostname.length > name.length : url.hostname === name
  const urlPort = url.port || defaultPort[url.protocol]
  return isHost && [null, url.protocol].includes(protocol) && [null, urlPort].includes(port)
}

const defaultPort: Record<string, string> = { 'http:': '80', 'https:': '443' }

/**
 * Whether every reader of URLs finds the same host. So the URL has no user before the host, no `\`, and no character
 * that some readers drop. The host is written as it is: not in octal, percent-encoded, or in letters that become
 * others.
 */
function isPlain (text: string, { hostname }: URL): boolean {
  const [, host = ''] = /^https?:\/\/(\[[^\]]*\]|[^\\@/?#:]+)(?::\d*)?(?:[/?#][^\\]*)?$/i.exec(text) ?? []
  return host.toLowerCase() === hostname && !/[\s\p{Cc}]/u.test(text)
}
