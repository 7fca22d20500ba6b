import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import proxyAddress from '@fastify/proxy-addr'

/** Networks that @fastify/proxy-addr knows by name. */
const networks = new Set(['loopback', 'linklocal', 'uniquelocal'])

/** Addresses, networks (`10.0.0.0/8`) and names of networks with commas between; `null` when one is none. */
export function parseProxies (text: string): string[] | null {
  const proxies = text.split(',').map(entry => entry.trim())
  // A lone number would pass for an address, and is meant as something else: how many proxies there are.
  if (!proxies.every(proxy => networks.has(proxy) || isIP(proxy.split('/', 1)[0] ?? '') !== 0)) return null
  try {
    proxyAddress.compile(proxies)
    return proxies
  } catch {
    return null // a network of a size that there is not, all addresses among them
  }
}

/**
 * Gives the address of whoever made a request: the peer's own, unless the peer is a trusted proxy. Then it is the last address in
 * `X-Forwarded-For` that is no trusted proxy's: what stands before it is the caller's own word. Empty over a unix socket.
 */
export function createCallerAddress (trustedProxies: readonly string[]): (request: IncomingMessage) => string {
  const isTrusted = trustedProxies.length === 0 ? () => false : proxyAddress.compile([...trustedProxies])
  return request => {
    // A trusted proxy may write more than addresses there: then it is the proxy that is known.
    const address = proxyAddress.all(request, isTrusted).findLast(text => isIP(text) !== 0) ?? ''
    return address.replace(/^::ffff:(?=\d+\.)/i, '') // IPv4, as a socket for both tells it
  }
}
