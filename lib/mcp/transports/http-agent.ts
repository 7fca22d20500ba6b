import { lookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { BlockList } from 'node:net'
import { Agent, type Dispatcher, EnvHttpProxyAgent } from 'undici'
import type { HttpEndpoint } from './http-transport.ts'

/**
 * Addresses that a server's name must not lead to: those of the machine's own link, where clouds keep their metadata.
 */
const linkLocal = new BlockList()
linkLocal.addSubnet('169.254.0.0', 16, 'ipv4')
linkLocal.addSubnet('fe80::', 10, 'ipv6')

const connectTimeoutMs = 10_000

/** The proxies of the environment; an empty one is none. Secret: they may hold a password. */
export interface Proxies { http: string, https: string, no: string }

/** The connections to all MCP servers over HTTP. */
export interface UpstreamAgents {
  dispatcherFor: (endpoint: HttpEndpoint) => Dispatcher
  destroy: () => Promise<void>
}

/**
 * The connections to all MCP servers over HTTP: one pool for an origin, kept alive between requests.
 *
 * With proxies, servers are reached through them, but for the machine itself, and but for servers whose credentials a
 * proxy could read: those go directly. Each request has its own deadline; the pool has one for connecting only.
 */
export function createUpstreamAgents (proxies: Proxies | null): UpstreamAgents {
  const direct = createUpstreamAgent()
  const proxied = proxies === null ? null : createProxiedAgent(proxies)
  const guarded = proxied?.compose(guardNames) ?? null
  return {
    dispatcherFor: endpoint => guarded !== null && mayBeProxied(endpoint) ? guarded : direct,
    async destroy () {
      await Promise.all([direct.destroy(), proxied?.destroy()])
    }
  }
}

/**
 * Connections without a proxy. A name that leads to a link-local address is refused; an operator who wants a server
 * there gives its address.
 */
export function createUpstreamAgent (): Agent {
  return new Agent({ headersTimeout: 0, bodyTimeout: 0, connect: { timeout: connectTimeoutMs, lookup: guardedLookup } })
}

function createProxiedAgent ({ http, https, no }: Proxies): Dispatcher {
  return new EnvHttpProxyAgent({
    httpProxy: http,
    httpsProxy: https,
    noProxy: no,
    proxyTunnel: false, // for https there is one all the same; many proxies refuse it for http
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: connectTimeoutMs, lookup: guardedLookup }, // for servers in NO_PROXY
    proxyTls: { timeout: connectTimeoutMs },
    requestTls: { timeout: connectTimeoutMs }
  })
}

function mayBeProxied ({ url, secrets }: HttpEndpoint): boolean {
  const { protocol, hostname } = new URL(url)
  const isLoopback = /^(localhost|.*\.localhost|127\..*|\[::1\]|\[::ffff:7f.*\]|0\.0\.0\.0|\[::\])\.?$/.test(hostname)
  return !isLoopback && (protocol === 'https:' || secrets.length === 0)
}

/** A proxy resolves names itself, so a name is looked at before. One that only the proxy knows is left to it. */
const guardNames: Dispatcher.DispatcherComposeInterceptor = dispatch => (options, handler) => {
  const { hostname } = new URL(options.origin ?? '')
  guardedLookup(hostname, { all: true }, error => {
    if (error?.code === 'EACCES') handler.onResponseError?.(noController, error)
    else dispatch(options, handler)
  })
  return true
}

/** For a request that was never begun. */
const noController: Dispatcher.DispatchController = {
  aborted: true, paused: false, reason: null, abort () {}, pause () {}, resume () {}
}

type LookupCallback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void

function guardedLookup (hostname: string, options: LookupOptions, callback: LookupCallback): void {
  lookup(hostname, options, (error, found, family) => {
    if (error !== null) return callback(error, found, family)
    const addresses: LookupAddress[] = Array.isArray(found) ? found : [{ address: found, family }]
    const isRefused = addresses.some(({ address, family }) => linkLocal.check(address, family === 6 ? 'ipv6' : 'ipv4'))
    if (!isRefused) return callback(null, found, family)
    callback(Object.assign(new Error(`${hostname} leads to a link-local address`), { code: 'EACCES' }), found, family)
  })
}
