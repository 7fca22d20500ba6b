import { randomInt } from 'node:crypto'
import { abortable, type CancelSignal, withDeadline } from '../../cancellation.ts'
import { errorCodes } from '../client/protocol.ts'
import type { ProtocolClient } from '../client/protocol-client.ts'
import type { Era, EraMemory } from '../client/protocol-era.ts'
import { RequestTimeoutError, RpcError } from '../client/protocol-errors.ts'
import { instructionsIn } from '../client/server-bounds.ts'
import type { UpstreamSession } from '../server.ts'
import { haveChanged } from '../transports/cookie-jar.ts'
import { HttpError } from '../transports/http-request.ts'
import { type HttpTransport, type ResumableSession, StreamEndedError } from '../transports/http-transport.ts'

export type KeptSession = Omit<UpstreamSession, 'endpoint'>

export interface HandshakeOptions {
  /** How long reaching the server and the handshake may take (ms). */
  startTimeoutMs: number
  era: EraMemory
  /** Keeps the server's session for our session; `null` when one is begun for this request alone. */
  slot: {
    read: () => Promise<KeptSession | null>
    replace: (session: KeptSession) => Promise<KeptSession | null>
    remove: (session: KeptSession) => Promise<void>
  } | null
  /**
   * An unused client and its transport. Two clients of one session need different first ids. `isOlder` is for a server
   * that does not know the transport; see `olderTransport`.
   */
  create: (
    firstId: number, options: { resume?: ResumableSession | undefined, isOlder: boolean }
  ) => { client: ProtocolClient, transport: HttpTransport }
  /** Whether a server that does not know the transport may be one of the transport before it. */
  hasOlderTransport: boolean
  /**
   * A client of the era of 2026, which many requests may use: that era has no sessions. `null` when this request
   * needs one of its own.
   */
  shared: ((era: Era & { kind: 'modern' }) => Promise<ProtocolClient>) | null
  /** The part of an era that other sessions may know. */
  publicPart: (era: Era) => Era
}

export interface Connection {
  client: ProtocolClient
  /** `null` when other requests use the client, too. */
  transport: HttpTransport | null
  /** The session that this connection goes on with. */
  resumed: KeptSession | null
  /** The session as it is kept; `null` when this connection's is not. */
  kept: KeptSession | null
  /** The era that was remembered; `null` when the server was probed. */
  era: Era | null
  /** The server's session ends with this request. */
  endsSession: boolean
}

/** Makes a request's connections to one server. */
export interface Handshake {
  /** Connects by the era and the session that are remembered, and finds out the rest. */
  connect: (signal: CancelSignal) => Promise<Connection>
  /** Connects again after the server refused a connection that relied on memory. */
  reconnect: (refused: Connection, signal: CancelSignal) => Promise<Connection>
  /** Forgets a session that may be dead: the next request begins a new one. Never rejects. */
  forgetSession: (connection: Connection) => Promise<void>
  /** Ids of sessions and values of cookies: whoever has them can use the session. */
  secrets: () => string[]
  /** Closes all connections, and ends the sessions that no later request goes on with. Never rejects. */
  close: () => Promise<void>
}

/** How long the server may take to end a session (ms). */
export const endSessionMs = 2_000

/** Ids of clients that use one session at the same time must differ; they stay below 2^53. */
const maxFirstId = 2 ** 40

export function createHandshake (options: HandshakeOptions): Handshake {
  const { startTimeoutMs, era: memory, slot, shared } = options
  const opened = new Set<Connection>()

  async function connect (signal: CancelSignal): Promise<Connection> {
    const era = await memory.recall()
    if (era?.kind === 'modern') {
      if (shared === null) return await open(era, null, signal)
      return { client: await shared(era), transport: null, resumed: null, kept: null, era, endsSession: false }
    }
    if (isOlder(era)) return await begin(era, signal)
    const session = await slot?.read() ?? null
    return session === null ? await begin(era, signal) : await open(era ?? { kind: 'legacy' }, session, signal)
  }

  /** Begins a session. Probes the server when it no longer speaks the era that was remembered. */
  async function begin (era: Era | null, signal: CancelSignal): Promise<Connection> {
    let connection: Connection
    try {
      connection = await open(era, null, signal)
    } catch (error) {
      if (era === null || !refusesHandshake(error, era)) return await beginOlder(error, signal)
      await memory.forget()
      // The server may be found at last, but not in the time that this request has left.
      if (error instanceof RequestTimeoutError) throw error
      return await begin(null, signal)
    }
    const kept = await keep(connection)
    // Another request of our session came first: both must see what the other does in the server's session.
    return kept === null ? connection : await open(connection.era ?? { kind: 'legacy' }, kept, signal)
  }

  /** Begins with the transport before this one. Throws what the server answered to this one where that fails, too. */
  async function beginOlder (refusal: unknown, signal: CancelSignal): Promise<Connection> {
    if (!options.hasOlderTransport || [...opened].at(-1)?.transport?.mayBeOlder !== true) throw refusal
    const connection = await open(olderEra, null, signal, Math.min(startTimeoutMs, discoveryMs)).catch(() => null)
    if (connection !== null) {
      await memory.remember(olderEra)
      return connection
    }
    await [...opened].at(-1)?.client.close()
    throw refusal
  }

  async function open (
    era: Era | null, session: KeptSession | null, signal: CancelSignal, timeoutMs = startTimeoutMs
  ): Promise<Connection> {
    const { client, transport } = options.create(
      randomInt(1, maxFirstId), { resume: session ?? undefined, isOlder: isOlder(era) }
    )
    const connection: Connection = {
      client, transport, resumed: session, kept: session, era, endsSession: session === null
    }
    opened.add(connection)
    const connecting = client.connect({
      era,
      timeoutMs,
      probeTimeoutMs: timeoutMs,
      signal,
      ...(session !== null && { resumed: session })
    })
    // The client's own deadline bounds each request of the handshake. A server may also be silent between them.
    await withDeadline(abortable(connecting, signal), timeoutMs, () => new RequestTimeoutError(timeoutMs))
    return connection
  }

  /** Remembers the result of a handshake. Returns the session that another request has kept in the meantime. */
  async function keep (connection: Connection): Promise<KeptSession | null> {
    const { client, transport, era } = connection
    const peer = client.peer()
    if (era === null && peer !== null) await memory.remember(options.publicPart(peer.era))
    const begun = transport?.session?.() ?? null
    if (begun === null || slot === null) return null
    const { capabilities } = peer ?? {}
    const session = { ...begun, ...instructionsIn(peer ?? {}), ...(capabilities && { capabilities }) }
    const kept = await slot.replace(session).catch(() => null) // an unreachable store keeps none
    if (kept?.sessionId !== session.sessionId) return kept
    Object.assign(connection, { kept, endsSession: false })
    return null
  }

  /** Keeps the cookies that a balancer has changed since the session was kept. */
  async function keepCookies (connection: Connection): Promise<void> {
    const { transport, kept, endsSession } = connection
    const session = transport?.session?.() ?? null
    if (slot === null || kept === null || session === null || endsSession) return
    const { cookies = [] } = session
    if (!haveChanged(kept.cookies ?? [], cookies)) return
    await slot.replace({ ...kept, cookies }).catch(() => {}) // the server sets them again
  }

  return {
    connect,

    async reconnect (refused, signal) {
      if (sessionOf(refused) === null) {
        await memory.forget()
        return await begin(null, signal)
      }
      // The server may still know it, and may have refused the request for another reason.
      refused.endsSession = true
      return await begin(refused.era, signal)
    },

    async forgetSession (connection) {
      const session = sessionOf(connection)
      if (session === null) return
      connection.endsSession = true
      await slot?.remove(session).catch(() => {}) // an unreachable store has no answer for the next request either
    },

    secrets () {
      const sessions = [...opened].flatMap(connection => sessionOf(connection) ?? [])
      return sessions.flatMap(({ sessionId, cookies = [] }) => [sessionId, ...cookies.map(({ value }) => value)])
    },

    async close () {
      if (opened.size === 0) return
      await Promise.all([...opened].map(async connection => {
        const { client, transport, endsSession } = connection
        await keepCookies(connection)
        // A session that cannot be ended ends when the server has found it idle for long enough.
        if (endsSession) await transport?.endSession?.(AbortSignal.timeout(endSessionMs)).catch(() => {})
        await client.close()
      }))
    }
  }
}

/** The server's session that a connection's requests carry; `null` in the era of 2026, and at servers without any. */
export const sessionOf = ({ transport }: Connection): ResumableSession | null => transport?.session?.() ?? null

/** Statuses by which servers say that they do not know a session, an era, or the transport. */
const refusals = new Set([400, 404, 405, 410, 422])

/** How long a server may take to open the stream of the older transport, when it is tried (ms). */
const discoveryMs = 10_000
const olderEra: Era = { kind: 'legacy', transport: 'older' }
const isOlder = (era: Era | null) => era?.kind === 'legacy' && era.transport === 'older'

/**
 * Whether a server refused a request without reading it: it knows no such session, or it does not speak that era. The
 * reply has no answer to the request, so the request may be sent again.
 */
export function isRefusal (error: unknown): boolean {
  if (error instanceof HttpError) return refusals.has(error.status)
  return error instanceof RpcError && error.code === errorCodes.unsupportedVersion
}

/** Whether a server refused a handshake of the era that was remembered, so that it may be of another one now. */
function refusesHandshake (error: unknown, era: Era): boolean {
  if (error instanceof RpcError || (error instanceof HttpError && refusals.has(error.status))) return true
  // A stream that was to be the older transport's: the server has none, or opens another one, which says nothing.
  return isOlder(era) &&
    (error instanceof HttpError || error instanceof StreamEndedError || error instanceof RequestTimeoutError)
}
