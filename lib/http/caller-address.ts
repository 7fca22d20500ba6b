import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import proxyAddress from '@fastify/proxy-addr'

/** Networks that @fastify/proxy-addr knows by name. */
const networks = new Set(['loopback', 'linklocal', 'uniquelocal'])

/** Addresses, networks (`10.0.0.0/8`) and names of networks with commas between; `null` when an entry is wrong. */
export function parseProxies (text: string): string[] | null {
  const proxies = text.split(',').map(entry => entry.trim())
  // proxy-addr takes a lone number for an address, but operators mean the number of proxies.
  if (!proxies.every(proxy => networks.has(proxy) || isIP(proxy.split('/', 1)[0] ?? '') !== 0)) return null
  try {
    proxyAddress.compile(proxies)
    return proxies
  } catch {
    return null // the size of a network is out of range; 0, which means all addresses, is, too
  }
}

/**
 * Creates a function that gives the caller's address: the peer's own, unless the peer is a trusted proxy. Then it is
 * the last address in `X-Forwarded-For` that is not a trusted proxy's. The caller may have written any address before
 * that one.
 *
 * The address is empty over a unix socket.
 */
export function createCallerAddress (trustedProxies: readonly string[]): (request: IncomingMessage) => string {
  const isTrusted = trustedProxies.length === 0 ? () => false : proxyAddress.compile([...trustedProxies])
  return request => {
    // A trusted proxy may write other text than addresses; the result is then the proxy's own address.
    const address = proxyAddress.all(request, isTrusted).findLast(text => isIP(text) !== 0) ?? ''
    return address.replace(/^::ffff:(?=\d+\.)/i, '') // IPv4, as a socket for IPv4 and IPv6 writes it
  }
}

/** Creates a function that says whether a request comes straight from a trusted proxy: never over a unix socket. */
export function createProxyCheck (trustedProxies: readonly string[]): (request: IncomingMessage) => boolean {
  if (trustedProxies.length === 0) return () => false
  const isTrusted = proxyAddress.compile([...trustedProxies])
  return ({ socket: { remoteAddress } }) => remoteAddress !== undefined && isTrusted(remoteAddress, 0)
}
