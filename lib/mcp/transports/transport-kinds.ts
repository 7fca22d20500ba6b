import type { HttpEndpoint, HttpTransport, HttpTransportOptions } from './http-transport.ts'
import { createSseTransport } from './sse.ts'
import { createStreamableHttpTransport } from './streamable-http.ts'

/** One way to reach a server that has a URL. */
export interface UrlTransport {
  /** Spellings of `type` in the servers file. */
  types: readonly string[]
  /** Whether another transport can go on with a session that a server began. */
  resumesSessions: boolean
  /** Whether its servers speak only the eras before 2026-07-28. */
  isLegacy: boolean
  /** Whether a stream of the server is open as long as the transport is. */
  keepsStream: boolean
  create: (endpoint: HttpEndpoint, options: HttpTransportOptions) => HttpTransport
  /** Makes the transport before this one, which a server may speak that does not know this one; its stream is kept. */
  createOlder?: (endpoint: HttpEndpoint, options: HttpTransportOptions) => HttpTransport
}

const listOf = <Kind extends string>(kinds: Record<Kind, UrlTransport>): Record<Kind, UrlTransport> => kinds

/**
 * The transports of servers that have a URL. A new one is a file of its own and an entry here: the servers file takes
 * its types, and clients are made with it. A server without a URL is a process; see stdio.ts.
 */
export const transportKinds = listOf({
  http: {
    types: ['http', 'streamable-http', 'streamableHttp'],
    resumesSessions: true,
    isLegacy: false,
    keepsStream: false,
    create: createStreamableHttpTransport,
    createOlder: createSseTransport
  },
  sse: {
    types: ['sse'],
    resumesSessions: false,
    isLegacy: true,
    keepsStream: true,
    create: createSseTransport
  }
})

export type TransportKind = keyof typeof transportKinds

export const transportKindNames = Object.keys(transportKinds) as TransportKind[] // a literal has no other keys
