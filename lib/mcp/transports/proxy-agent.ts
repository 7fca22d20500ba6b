import { type Dispatcher, Pool, ProxyAgent } from 'undici'
import { guardedError, hostIn, isLoopback, type Lookup } from './addresses.ts'
import { NotSentError } from './text-transport.ts'

export interface ProxyAgentOptions {
  connectTimeoutMs: number
  /** Longest time that a server can have an idle connection be kept (ms). */
  maxIdleMs: number
  /** How many there may be for an origin. */
  connections: number
}

/** Connections through a proxy. */
export function createProxyAgent (
  { origin, username, password }: URL, { connectTimeoutMs, maxIdleMs, connections }: ProxyAgentOptions
): ProxyAgent {
  const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return new ProxyAgent({
    uri: origin,
    ...(user !== ':' && { token: `Basic ${Buffer.from(user).toString('base64')}` }),
    proxyTunnel: false, // for https there is one all the same; many proxies refuse it for http
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveMaxTimeout: maxIdleMs,
    connections,
    // undici passes no options on where it opens no tunnel.
    factory: (origin, options: object) => new Pool(origin, { ...options, connections }),
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

/** Finds out where a name leads. Never rejects. */
export type FindName = (host: string) => Promise<Finding>

export function createNameFinder (lookup: Lookup): FindName {
  const findings = new Map<string, { finding: Promise<Finding>, until: number }>()

  return host => {
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
}

/**
 * Asks a proxy only for what it may know. It resolves names itself, so a name is looked up before. One that only the
 * proxy knows is left to it.
 */
export function guardProxy (direct: Dispatcher, find: FindName): Dispatcher.DispatcherComposeInterceptor {
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
