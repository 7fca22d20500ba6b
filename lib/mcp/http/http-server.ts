import { digestOf } from '../../digest.ts'
import type { Client } from '@modelcontextprotocol/client'
import type { Dispatcher } from 'undici'
import type { JsonObject } from '../../json.ts'
import { createClient } from '../client/sdk-client.ts'
import type { Era, EraMemory } from '../client/protocol-era.ts'
import { createHttpClient, endSessionMs } from './http-client.ts'
import type { HttpEndpoint, ResumableSession } from '../transports/http-transport.ts'
import { transportKinds } from '../transports/transport-kinds.ts'
import { credentialNames, fillEndpoint, type HttpSpec } from '../servers-file/server-spec.ts'
import type { Lease, Server, User, UpstreamSession, UpstreamSlot } from '../server.ts'

export interface HttpServerOptions {
  dispatcher: Dispatcher
  startTimeoutMs: number
  /** Longest message that the server may send (bytes). */
  maxMessageBytes: number
  declaresElicitation: boolean
  era: EraMemory
  onListChanged: () => void
}

/** Where a request goes, and what names that, credentials included. */
interface Target { endpoint: HttpEndpoint, identity: string }

/** How many clients are kept for servers whose address or headers differ by session. Each is some kilobytes, and no connection. */
const maxClients = 500

/** An MCP server that is reached over HTTP. */
export function createHttpServer (spec: HttpSpec, options: HttpServerOptions): Server {
  const { dispatcher, maxMessageBytes, startTimeoutMs, era: memory } = options
  const keepsSessions = spec.session === 'kept'
  const { isLegacy, create: createTransport } = transportKinds[spec.kind]
  const isPersonal = credentialNames(spec).length > 0
  const clients = new Map<string, { era: Era, client: Promise<Client> }>()

  const newClient = () => createClient({ probeTimeoutMs: startTimeoutMs, declaresElicitation: options.declaresElicitation, onListChanged: options.onListChanged })
  const newTransport = (endpoint: HttpEndpoint, resume?: ResumableSession) => createTransport(endpoint, { dispatcher, maxMessageBytes, ...(resume && { resume }) })

  const target = (credentials: JsonObject): Target => {
    const endpoint = fillEndpoint(spec, credentials)
    return { endpoint, identity: identityOf(endpoint) }
  }
  const common = isPersonal ? null : target({})

  /**
   * The client for an address and its headers, credentials included: so no request's credentials can reach another's. In the
   * era of 2026 a client holds nothing of who uses it, and making one costs more than a call.
   */
  function sharedClient ({ endpoint, identity }: Target, era: Era & { kind: 'modern' }): Promise<Client> {
    const known = clients.get(identity)
    clients.delete(identity) // put back at the end: the first one is the one that was not used for longest
    const entry = known?.era === era ? known : { era, client: connect(endpoint, era) }
    clients.set(identity, entry)
    if (clients.size > maxClients) clients.delete(clients.keys().next().value as string)
    return entry.client
  }

  async function connect (endpoint: HttpEndpoint, era: Era): Promise<Client> {
    const client = newClient()
    await client.connect(newTransport(endpoint), { prior: era }) // asks nobody
    return client
  }

  /** What a server tells one user about itself is not for the others. */
  function publicPart (era: Era): Era {
    if (!isPersonal || era.kind === 'legacy' || era.discover.cacheScope === 'public') return era
    const { instructions, ...discover } = era.discover
    return { kind: 'modern', discover }
  }

  return {
    spec,
    sparesReady: 0,
    keepsSessions,

    async endSession ({ endpoint: begunWith, ...session }, credentials) {
      const { endpoint, identity } = common ?? target(credentials)
      if (identity !== begunWith) return // begun with other credentials, or another address: no business of this one
      const transport = newTransport(endpoint, session)
      await transport.endSession?.(AbortSignal.timeout(endSessionMs)).catch(() => {})
      await transport.close()
    },

    lease ({ credentials, slot, isWatched }: User): Lease {
      const here = common ?? target(credentials)
      const { endpoint, identity } = here
      const manager = createHttpClient({
        serverName: spec.name,
        startTimeoutMs,
        secrets: endpoint.secrets,
        era: isLegacy ? oldEra : memory,
        slot: keepsSessions && slot !== null ? ownSlot(slot, identity) : null,
        create: resume => ({
          client: newClient(),
          transport: newTransport(endpoint, resume)
        }),
        onListChanged: options.onListChanged,
        shared: isWatched ? null : era => sharedClient(here, era),
        publicPart
      })
      return { open: async () => manager, release: manager.close }
    },

    refill () {},
    async close () {
      clients.clear()
    }
  }
}

/** The transport that only the oldest era has. */
const oldEra: EraMemory = { recall: async () => ({ kind: 'legacy' }), remember: async () => {}, forget: async () => {} }

/** A session that was begun with other credentials, or at another address, is none of this endpoint's. */
function ownSlot (slot: UpstreamSlot, endpoint: string) {
  const own = (session: UpstreamSession | null) => session?.endpoint === endpoint ? session : null
  return {
    read: async () => own(await slot.read()),
    replace: async (session: Omit<UpstreamSession, 'endpoint'>) => own(await slot.replace({ ...session, endpoint }))
  }
}

const identityOf = ({ url, headers }: HttpEndpoint) => digestOf([url, headers])
