import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { isIPv6 } from 'node:net'
import cors from '@fastify/cors'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { HostError, OriginError } from '../lib/errors.ts'
import { createProxyCheck } from '../lib/http/caller-address.ts'
import { isListed, isLoopback, isOwnOrigin, normalizeOrigin, parseHost } from '../lib/http/origins.ts'

/**
 * Edge phase: keeps out web pages that the operator did not list.
 *
 * The service takes bodies without a JSON content type. So a browser sends the request of any page without a preflight,
 * also to a service that listens on this machine only.
 *
 * A cross-origin request of a page has an `Origin`, which must be a listed one. So has a POST of the service's own page
 * `/docs`, which is let through by `isOwnOrigin`. A page whose name resolves to this
 * machine (DNS rebinding) has no `Origin` here, but its name is in `Host`: a service on loopback answers to names of
 * loopback only.
 */
export default fp(async (fastify) => {
  const { allowedOrigins, allowedHosts, trustedProxies } = fastify.config
  const isFromProxy = createProxyCheck(trustedProxies)

  let isBoundToLoopback: boolean | null = null
  /** `null` until the service listens. All its addresses are known by the time of the first request. */
  function boundToLoopback (): boolean | null {
    if (isBoundToLoopback !== null) return isBoundToLoopback
    const addresses = fastify.addresses()
    if (addresses.length === 0) return null
    const hostOf = (address: string) => isIPv6(address) ? `[${address}]` : address
    isBoundToLoopback = addresses.every(at => typeof at === 'object' && isLoopback(hostOf(at.address)))
    return isBoundToLoopback
  }

  const isListedOrigin = (origin: string) => allowedOrigins.includes(normalizeOrigin(origin) ?? '')

  function isOurs (origin: string, request: IncomingMessage): boolean {
    const { host, 'sec-fetch-site': site, 'x-forwarded-host': name, 'x-forwarded-proto': scheme } = request.headers
    const said = isFromProxy(request) ? { name: name?.toString(), scheme: scheme?.toString() } : {}
    return isOwnOrigin(origin, { host: said.name ?? host, scheme: said.scheme, site: site?.toString() }, allowedHosts)
  }

  /** The `Host` that was taken last: nearly every request names the same. */
  let lastOfUs: string | null = null

  /** Every browser sends `Host`. Health checks in HTTP/1.0 do not. */
  function isForUs (text: string | undefined): boolean {
    if (text === undefined || text === lastOfUs) return true
    const host = parseHost(text)
    if (host === null || !(isLoopback(host.name) || isListed(allowedHosts, host))) return false
    lastOfUs = text
    return true
  }

  fastify.addHook('onRequest', ({ headers, raw }, reply, done) => {
    const { origin } = headers
    const isAllowed = origin === undefined
      ? !isEmbedded(headers)
      : isListedOrigin(origin) || isOurs(origin, raw as IncomingMessage)
    if (!isAllowed) done(new OriginError())
    else if (boundToLoopback() && !isForUs(headers.host)) done(new HostError())
    else done()
  })

  if (allowedOrigins.length === 0) return
  await fastify.register(cors, {
    // Our own page needs no such headers. An OPTIONS that is no preflight is a method like any other.
    delegator: ({ method, headers }: FastifyRequest, done: (error: null, options: object) => void) => done(null, {
      origin: isListedOrigin(headers.origin ?? '') ? headers.origin : false,
      preflight: method === 'OPTIONS' && headers['access-control-request-method'] !== undefined,
      methods: 'GET, POST, PUT, DELETE',
      allowedHeaders: 'Authorization, Content-Type, X-API-Key, X-Session-Id, If-None-Match, Range, If-Range, ' +
        'Idempotency-Key, Prefer, Last-Event-ID',
      exposedHeaders: 'Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-MCP-Not-Cached, ' +
        'X-MCP-Injected, X-MCP-Result, X-MCP-Unfit-Arguments, X-MCP-Not-Referenced, X-MCP-Items, Content-Range, ' +
        'ETag, Location, Preference-Applied, Idempotency-Replayed',
      maxAge: 600
    })
  })
}, {
  name: 'origins',
  dependencies: [
    'config',
    'request-end' // order: a request that is refused here must have its end, too
  ]
})

/**
 * Whether a page of another site loads this URL, as an image or in a frame. Such a request has no `Origin`. The page
 * cannot read the answer, but it could make this service start MCP servers. A person who follows a link is allowed.
 *
 * @see https://www.w3.org/TR/fetch-metadata/
 */
function isEmbedded (headers: IncomingHttpHeaders): boolean {
  const { 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': destination = 'document' } = headers
  return (site === 'cross-site' || site === 'same-site') && !(mode === 'navigate' && destination === 'document')
}
