import { Cancellation } from '../../cancellation.ts'
import { digestOf } from '../../digest.ts'
import type { JsonObject } from '../../json.ts'
import { createProtocolClient, type ProtocolClient } from '../client/protocol-client.ts'
import type { Era, EraMemory } from '../client/protocol-era.ts'
import type { ServerBounds } from '../client/server-bounds.ts'
import type { Lease, Server, UpstreamSession, UpstreamSlot, User } from '../server.ts'
import { credentialNames, fillEndpoint, type HttpSpec } from '../servers-file/server-spec.ts'
import type { Route } from '../transports/http-agent.ts'
import type { HttpEndpoint, HttpTransport, ResumableSession } from '../transports/http-transport.ts'
import { transportKinds } from '../transports/transport-kinds.ts'
import { createHttpClient } from './http-client.ts'
import { endSessionMs, type KeptSession } from './http-handshake.ts'
import { createStreamTurns, createTurns, type RequestBound } from './request-bounds.ts'

export interface HttpServerOptions {
  routeTo: (endpoint: HttpEndpoint) => Route
  bound: RequestBound
  startTimeoutMs: number
  /** Longest message that the server may send (bytes). */
  maxMessageBytes: number
  bounds: ServerBounds
  declaresElicitation: boolean
  era: EraMemory
  onListChanged: () => void
}

/** Where a request goes, and a hash of its address and headers, credentials included. */
interface Target { endpoint: HttpEndpoint, hash: string }

/**
 * Clients that are kept for a server whose address or headers differ by session. Each is some kilobytes, and no
 * connection.
 */
const maxClients = 500

/** An MCP server that is reached over HTTP. */
export function createHttpServer (spec: HttpSpec, options: HttpServerOptions): Server {
  const { routeTo, bound, maxMessageBytes, bounds, startTimeoutMs, declaresElicitation, onListChanged } = options
  const { isLegacy, keepsStream, create: createTransport, createOlder } = transportKinds[spec.kind]
  const isPersonal = credentialNames(spec).length > 0
  let mayBegin = true
  const clients = new Map<string, { era: Era, client: Promise<ProtocolClient> }>()

  const common = { declaresElicitation, isProcess: false, bounds, onListChanged }
  const newClient = (transport: HttpTransport, isExclusive: boolean, firstId = 1) =>
    createProtocolClient({ transport, isExclusive, firstId, ...common })
  const newTransport = (
    endpoint: HttpEndpoint, resume?: ResumableSession, { keepsCookies = true, create = createTransport } = {}
  ) =>
    create(endpoint, {
      dispatcher: routeTo(endpoint).dispatcher, maxMessageBytes, bounds, keepsCookies, ...(resume && { resume })
    })

  const fill = (credentials: JsonObject): Target => {
    const endpoint = fillEndpoint(spec, credentials)
    return { endpoint, hash: digestOf([endpoint.url, endpoint.headers]) }
  }
  const commonTarget = isPersonal ? null : fill({})

  /**
   * The client for an address and its headers, credentials included, so that no request's credentials can reach
   * another's. In the era of 2026 a client holds nothing of who uses it, and making one costs more than a call.
   */
  function sharedClient ({ endpoint, hash }: Target, era: Era & { kind: 'modern' }): Promise<ProtocolClient> {
    const known = clients.get(hash)
    // Put back at the end, so that the first one is the one that was unused for longest.
    if (clients.size > 1) clients.delete(hash)
    const entry = known?.era === era ? known : { era, client: connect(endpoint, era) }
    clients.set(hash, entry)
    if (clients.size > maxClients) clients.delete(clients.keys().next().value as string)
    return entry.client
  }

  async function connect (endpoint: HttpEndpoint, era: Era): Promise<ProtocolClient> {
    const client = newClient(newTransport(endpoint, undefined, { keepsCookies: false }), false)
    const { signal } = new Cancellation()
    // With a known era it sends nothing.
    await client.connect({ era, timeoutMs: startTimeoutMs, probeTimeoutMs: startTimeoutMs, signal })
    return client
  }

  /** An era without the parts that a server made for one user. */
  function publicPart (era: Era): Era {
    if (!isPersonal || era.kind === 'legacy' || era.discover.cacheScope === 'public') return era
    const { instructions, areInstructionsLeftOut, ...discover } = era.discover
    return { kind: 'modern', discover }
  }

  async function endSession ({ endpoint: hash, ...session }: UpstreamSession, credentials: JsonObject): Promise<void> {
    const target = commonTarget ?? fill(credentials)
    if (target.hash !== hash) return // it was begun with other credentials, or at another address
    const transport = newTransport(target.endpoint, session)
    await transport.endSession?.(AbortSignal.timeout(endSessionMs)).catch(() => {})
    await transport.close()
  }

  return {
    spec,
    ...(spec.session === 'kept' && { sessions: { mayBegin: () => mayBegin, end: endSession } }),

    lease ({ credentials, slot, isWatched, onTrouble }: User): Lease {
      const target = commonTarget ?? fill(credentials)
      const { endpoint, hash } = target
      const era = onTrouble === undefined ? options.era : options.era.reportingTo(onTrouble)
      let hasStream = keepsStream
      const client = createHttpClient({
        serverName: spec.name,
        turns: keepsStream ? createStreamTurns(bound) : createTurns(bound, () => hasStream),
        startTimeoutMs,
        bounds,
        secrets: endpoint.secrets,
        proxy: routeTo(endpoint).proxy,
        era: isLegacy ? legacyEra : era,
        slot: spec.session === 'kept' && slot !== null ? slotFor(hash, slot) : null,
        hasOlderTransport: createOlder !== undefined,
        create (firstId, { resume, isOlder }) {
          hasStream = keepsStream || isOlder
          const transport = newTransport(endpoint, resume, { ...(isOlder && createOlder && { create: createOlder }) })
          return { transport, client: newClient(transport, true, firstId) }
        },
        onListChanged,
        onConnected (hasSession) { mayBegin = hasSession },
        hasStream: () => hasStream,
        shared: isWatched ? null : era => sharedClient(target, era),
        publicPart
      })
      return { open: async () => client, release: client.close }
    },

    async close () {
      clients.clear()
    }
  }
}

/** The era of a transport that only the older eras have. */
const legacyEra: EraMemory = {
  recall: async () => ({ kind: 'legacy' }),
  remember: async () => {},
  forget: async () => {},
  reportingTo: () => legacyEra
}

/** A slot that passes over sessions that were begun with other credentials, or at another address. */
function slotFor (endpoint: string, slot: UpstreamSlot) {
  const own = (session: UpstreamSession | null) => session?.endpoint === endpoint ? session : null
  return {
    read: async () => own(await slot.read()),
    replace: async (session: KeptSession) => own(await slot.replace({ ...session, endpoint })),
    remove: async (session: KeptSession) => await slot.remove({ ...session, endpoint })
  }
}
