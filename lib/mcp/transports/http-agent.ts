import { lookup as lookUp } from 'node:dns'
import { Agent, type Dispatcher, Pool, ProxyAgent } from 'undici'
import { guardedBy, guardedError, hostIn, isGuarded, isLoopback, type Lookup } from './addresses.ts'
import type { HttpEndpoint } from './http-transport.ts'
import { parseNoProxy } from './no-proxy.ts'
import { NotSentError } from './text-transport.ts'

const connectTimeoutMs = 10_000

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
  destroy: () => Promise<void>
}

/**
 * The connections to all MCP servers over HTTP: one pool for an origin, kept alive between requests.
 *
 * With proxies, servers are reached through them, but for the machine itself, and but for servers whose credentials a
 * proxy could read: those go directly. Each request has its own deadline; the pool has one for connecting only.
 */
export function createUpstreamAgents (proxies: Proxies | null, lookup: Lookup = lookUp): UpstreamAgents {
  const direct = createUpstreamAgent(lookup)
  const agents = new Map<string, ProxyAgent>()
  const routes = new Map<string, Route>()
  // undici's EnvHttpProxyAgent does not say which way it takes, and knows no ranges of addresses.
  const bypasses = parseNoProxy(proxies?.no ?? '')

  for (const proxy of new Set([proxies?.http ?? '', proxies?.https ?? ''])) {
    if (proxy === '') continue
    const agent = createProxyAgent(new URL(proxy))
    agents.set(proxy, agent)
    routes.set(proxy, { dispatcher: agent.compose(guard(direct, guardedBy(lookup))), proxy: new URL(proxy).host })
  }

  return {
    routeTo ({ url, secrets }) {
      const target = new URL(url)
      const host = hostIn(target)
      const isEncrypted = target.protocol === 'https:'
      const isDirect = isLoopback(host) || isGuarded(host) || (!isEncrypted && secrets.length > 0) || bypasses(target)
      // As in undici and in curl's `all_proxy`, one proxy for http is enough.
      const proxy = (isEncrypted && proxies?.https) || (proxies?.http ?? '')
      return (isDirect ? null : routes.get(proxy)) ?? { dispatcher: direct, proxy: null }
    },
    async destroy () {
      await Promise.all([direct, ...agents.values()].map(agent => agent.destroy()))
    }
  }
}

/**
 * Connections without a proxy. A name that leads to a link-local address or to a cloud's metadata is refused; an
 * operator who wants a server there gives its address.
 */
export function createUpstreamAgent (lookup: Lookup = lookUp): Agent {
  const connect = { timeout: connectTimeoutMs, lookup: guardedBy(lookup) }
  return new Agent({ headersTimeout: 0, bodyTimeout: 0, connect })
}

function createProxyAgent ({ origin, username, password }: URL): ProxyAgent {
  const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return new ProxyAgent({
    uri: origin,
    ...(user !== ':' && { token: `Basic ${Buffer.from(user).toString('base64')}` }),
    proxyTunnel: false, // for https there is one all the same; many proxies refuse it for http
    headersTimeout: 0,
    bodyTimeout: 0,
    proxyTls: { timeout: connectTimeoutMs },
    requestTls: { timeout: connectTimeoutMs },
    // It opens the tunnels: their deadline is one for connecting.
    clientFactory: (proxy, options) => new Pool(proxy, { ...options, headersTimeout: connectTimeoutMs })
  })
}

/** The place that a name leads to, as this machine sees it. */
type Finding = 'elsewhere' | 'here' | 'guarded'

/** How long a name may take to be found (ms). A network behind a proxy may know no names. */
const findingMs = 1_000
/** How long a finding holds (ms). */
const findingTtlMs = 30_000
/** The names of a servers file are few. A reload may bring others. */
const maxFindings = 1_000

/**
 * Asks a proxy only for what it may know. It resolves names itself, so a name is looked up before. One that only the
 * proxy knows is left to it.
 */
function guard (direct: Dispatcher, lookup: Lookup): Dispatcher.DispatcherComposeInterceptor {
  const findings = new Map<string, { finding: Promise<Finding>, until: number }>()

  function find (host: string): Promise<Finding> {
    const known = findings.get(host)
    if (known !== undefined && known.until > performance.now()) return known.finding
    if (findings.size >= maxFindings) findings.clear()
    const finding = new Promise<Finding>(resolve => {
      setTimeout(resolve, findingMs, 'elsewhere').unref()
      lookup(host, { all: true }, (error, found) => {
        if (error !== null) return resolve(error.code === 'EACCES' ? 'guarded' : 'elsewhere')
        const isHere = Array.isArray(found) && found.every(({ address }) => isLoopback(address))
        resolve(isHere ? 'here' : 'elsewhere')
      })
    })
    findings.set(host, { finding, until: performance.now() + findingTtlMs })
    return finding
  }

  return dispatch => (options, handler) => {
    const url = new URL(options.origin ?? '')
    find(hostIn(url)).then(finding => {
      if (finding === 'guarded') throw guardedError(url.hostname)
      if (finding === 'here' || isReadable(url, options)) direct.dispatch(options, handler)
      else dispatch(options, withProxyErrors(handler))
    }).catch((error: Error) => handler.onResponseError?.(noController, error))
    return true
  }
}

/** Whether a proxy could read a credential in the body. */
const isReadable = ({ protocol }: URL, { holdsSecret }: UpstreamDispatchOptions) =>
  protocol === 'http:' && holdsSecret?.() === true

/** Options of a request that may be sent through a proxy. */
export interface UpstreamDispatchOptions extends Dispatcher.DispatchOptions {
  /** Whether the body holds what no proxy may read. */
  holdsSecret?: () => boolean
}

/** Says in words of ours what a proxy did. The server has read nothing of such a request. */
function withProxyErrors (handler: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler {
  return {
    onRequestStart: (controller, context) => handler.onRequestStart?.(controller, context),
    onRequestUpgrade: (...all) => handler.onRequestUpgrade?.(...all),
    onResponseStart: (...all) => handler.onResponseStart?.(...all),
    onResponseData: (controller, chunk) => handler.onResponseData?.(controller, chunk),
    onResponseEnd: (controller, trailers) => handler.onResponseEnd?.(controller, trailers),
    onResponseError: (controller, error) => handler.onResponseError?.(controller, proxyErrorOf(error))
  }
}

function proxyErrorOf (error: Error): Error {
  // undici has no other sign of it than its sentences.
  const [, status] = /^Proxy (?:response|Authentication Required) \((\d{3})\)/.exec(error.message) ?? []
  if (status !== undefined) return new NotSentError(new Error(`it answered HTTP ${status}`))
  const { code } = error as NodeJS.ErrnoException
  return code === 'UND_ERR_HEADERS_TIMEOUT' ? new NotSentError(new Error('it did not answer')) : error
}

/** For a request that was never begun. */
const noController: Dispatcher.DispatchController = {
  aborted: true, paused: false, reason: null, abort () {}, pause () {}, resume () {}
}
