import type { IncomingHttpHeaders } from 'node:http'
import { isIPv6 } from 'node:net'
import cors from '@fastify/cors'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { HostError, OriginError } from '../lib/errors.ts'
import { isListed, isLoopback, normalizeOrigin, parseHost } from '../lib/http/origins.ts'

/**
 * Keeps web pages out that nobody invited. Bodies are taken without a JSON content type, so a browser would send any page's request without
 * asking first, also to a service that listens on this machine only.
 *
 * What a page sends across origins has an `Origin`: it must be a listed one. A page whose own name was made to lead to this machine
 * (DNS rebinding) needs none, but it sends that name as `Host`: a service on loopback answers to names of loopback only.
 */
export default fp(async (fastify) => {
  const { allowedOrigins, allowedHosts } = fastify.config

  let isBoundToLoopback: boolean | null = null
  /** `null` as long as it listens nowhere. All its addresses are known once there is one that a request can come to. */
  function boundToLoopback (): boolean | null {
    if (isBoundToLoopback !== null) return isBoundToLoopback
    const addresses = fastify.addresses()
    if (addresses.length === 0) return null
    isBoundToLoopback = addresses.every(at => typeof at === 'object' && isLoopback(isIPv6(at.address) ? `[${at.address}]` : at.address))
    return isBoundToLoopback
  }

  /** Every browser sends `Host`. Health checks in HTTP/1.0 do not. */
  function isForUs (text: string | undefined): boolean {
    if (text === undefined) return true
    const host = parseHost(text)
    return host !== null && (isLoopback(host.name) || isListed(allowedHosts, host))
  }

  fastify.addHook('onRequest', ({ headers }, reply, done) => {
    const { origin } = headers
    const isAllowed = origin === undefined ? !isEmbedded(headers) : allowedOrigins.includes(normalizeOrigin(origin) ?? '')
    if (!isAllowed) done(new OriginError())
    else if (boundToLoopback() && !isForUs(headers.host)) done(new HostError())
    else done()
  })

  if (allowedOrigins.length === 0) return
  await fastify.register(cors, {
    // Whoever comes so far with an Origin has one that is allowed. Another OPTIONS is a method like any other.
    delegator: ({ method, headers }: FastifyRequest, done: (error: null, options: object) => void) => done(null, {
      origin: headers.origin ?? false,
      preflight: method === 'OPTIONS' && headers['access-control-request-method'] !== undefined,
      methods: 'GET, POST, DELETE',
      allowedHeaders: 'Authorization, Content-Type, X-API-Key, X-Session-Id',
      exposedHeaders: 'Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-MCP-Not-Cached',
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
 * Whether a page of elsewhere loads it, like an image or in a frame: such a request has no `Origin`, and the page cannot read the answer, but
 * it could make this service start servers. A person who follows a link may.
 *
 * @see https://www.w3.org/TR/fetch-metadata/
 */
const isEmbedded = ({ 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': destination = 'document' }: IncomingHttpHeaders) =>
  (site === 'cross-site' || site === 'same-site') && !(mode === 'navigate' && destination === 'document')
