import { lookup as lookUp } from 'node:dns'
import { Dispatcher, Pool, type ProxyAgent } from 'undici'
import { guardedBy, hostIn, isGuarded, isLoopback, type Lookup } from './addresses.ts'
import type { HttpEndpoint } from './http-transport.ts'
import { parseNoProxy } from './no-proxy.ts'
import { createNameFinder, createProxyAgent, guardProxy } from './proxy-agent.ts'

/** The proxies of the environment; an empty one is none. Secret: they may hold a password. */
export interface Proxies { http: string, https: string, no: string }

/** How requests get to an endpoint. */
export interface Route {
  dispatcher: Dispatcher
  /** Host and port of the proxy; `null` without one. */
  proxy: string | null
}

/** The connections to all MCP servers over HTTP. */
export interface UpstreamAgents {
  routeTo: (endpoint: HttpEndpoint) => Route
  /** How many connections are open, by the name of their server. Those through a proxy do not count. */
  connections: () => Map<string, number>
  destroy: () => Promise<void>
}

export interface UpstreamAgentsOptions {
  /** `null` where servers are never reached through a proxy. */
  proxies: Proxies | null
  /** How many requests each server may have at once. */
  maxRequests: number
  lookup?: Lookup
}

/**
 * A request may have a stream beside it, and a notification that its server is slow to answer. Whatever else is to be
 * sent waits for a connection in the server's own pool.
 */
const connectionsOfRequest = 3
/** How long connecting may take (ms), and how long a server can have an idle connection be kept (ms). */
const timeouts = { connectTimeoutMs: 10_000, maxIdleMs: 60_000 }

interface ServerAgents {
  direct: OriginPools
  /** By the proxy's address. */
  proxied: Map<string, ProxyAgent>
  routes: Map<string, Route>
}

/**
 * The connections to all MCP servers over HTTP: a bounded pool for each server, kept alive between requests. Servers of
 * one origin share none, so that one that hangs takes no connection from another.
 *
 * With proxies, servers are reached through them, but for the machine itself, and but for servers whose credentials a
 * proxy could read: those go directly. Each request has its own deadline; the pool has one for connecting only.
 */
export function createUpstreamAgents (options: UpstreamAgentsOptions): UpstreamAgents {
  const { proxies, maxRequests, lookup = lookUp } = options
  /** By name. The names of a servers file are few. A reload may bring others. */
  const servers = new Map<string, ServerAgents>()
  const connections = maxRequests * connectionsOfRequest
  const find = createNameFinder(guardedBy(lookup))
  // undici's EnvHttpProxyAgent does not say which way it takes, and knows no ranges of addresses.
  const bypasses = parseNoProxy(proxies?.no ?? '')

  function agentsOf (name: string): ServerAgents {
    const known = servers.get(name)
    if (known !== undefined) return known
    const agents = { direct: createUpstreamAgent({ connections, lookup }), proxied: new Map(), routes: new Map() }
    servers.set(name, agents)
    return agents
  }

  function routeThrough (proxy: string, { direct, proxied, routes }: ServerAgents): Route {
    const known = routes.get(proxy)
    if (known !== undefined) return known
    const url = new URL(proxy)
    const agent = createProxyAgent(url, { ...timeouts, connections })
    const route = { dispatcher: agent.compose(guardProxy(direct, find)), proxy: url.host }
    proxied.set(proxy, agent)
    routes.set(proxy, route)
    return route
  }

  return {
    routeTo ({ name, url, secrets }) {
      const agents = agentsOf(name)
      if (proxies === null) return { dispatcher: agents.direct, proxy: null }
      const target = new URL(url)
      const host = hostIn(target)
      const isEncrypted = target.protocol === 'https:'
      const isDirect = isLoopback(host) || isGuarded(host) || (!isEncrypted && secrets.length > 0) || bypasses(target)
      // As in undici and in curl's `all_proxy`, one proxy for http is enough.
      const proxy = (isEncrypted && proxies?.https) || (proxies?.http ?? '')
      return isDirect || proxy === '' ? { dispatcher: agents.direct, proxy: null } : routeThrough(proxy, agents)
    },
    connections: () => new Map(Array.from(servers, ([name, { direct }]) => [name, direct.connected])),
    async destroy () {
      const all = [...servers.values()].flatMap(({ direct, proxied }) => [direct, ...proxied.values()])
      await Promise.all(all.map(agent => agent.destroy()))
    }
  }
}

/**
 * Connections without a proxy. A name that leads to a link-local address or to a cloud's metadata is refused; an
 * operator who wants a server there gives its address.
 *
 * `connections` is how many there may be for an origin; `null` for any number.
 */
export function createUpstreamAgent (
  { connections = null, lookup = lookUp }: { connections?: number | null, lookup?: Lookup } = {}
): OriginPools {
  const connect = { timeout: timeouts.connectTimeoutMs, lookup: guardedBy(lookup) }
  const keepAliveMaxTimeout = timeouts.maxIdleMs
  return new OriginPools({ headersTimeout: 0, bodyTimeout: 0, keepAliveMaxTimeout, connections, connect })
}

/**
 * One pool for each origin, for good. undici's own Agent replaces a pool whose connections have all ended, also while
 * requests wait in it: then there are more connections than its bound allows.
 */
class OriginPools extends Dispatcher {
  readonly #pools = new Map<string, Pool>()
  readonly #options: Pool.Options

  constructor (options: Pool.Options) {
    super()
    this.#options = options
  }

  /** How many connections are open. */
  get connected (): number {
    return [...this.#pools.values()].reduce((sum, { stats }) => sum + stats.connected, 0)
  }

  override dispatch (options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const origin = String(options.origin)
    const pool = this.#pools.get(origin) ?? new Pool(origin, this.#options)
    this.#pools.set(origin, pool)
    return pool.dispatch(options, handler)
  }

  override async destroy (): Promise<void> {
    await Promise.all([...this.#pools.values()].map(pool => pool.destroy()))
  }
}
