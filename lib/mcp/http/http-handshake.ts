import {
  type Client, ProtocolError, ProtocolErrorCode, SdkError, SdkErrorCode, SdkHttpError
} from '@modelcontextprotocol/client'
import { abortable, withDeadline } from '../../cancellation.ts'
import type { Era, EraMemory } from '../client/protocol-era.ts'
import type { UpstreamSession } from '../server.ts'
import type { HttpTransport, ResumableSession } from '../transports/http-transport.ts'

export type KeptSession = Omit<UpstreamSession, 'endpoint'>

export interface HandshakeOptions {
  /** How long reaching the server and the handshake may take (ms). */
  startTimeoutMs: number
  era: EraMemory
  /** Keeps the server's session for our session; `null` when one is begun for this request alone. */
  slot: {
    read: () => Promise<KeptSession | null>
    replace: (session: KeptSession) => Promise<KeptSession | null>
  } | null
  /** An unused client and its transport. */
  create: (resume?: ResumableSession) => { client: Client, transport: HttpTransport }
  /**
   * A client of the era of 2026, which many requests may use: that era has no sessions. `null` when this request
   * needs one of its own.
   */
  shared: ((era: Era & { kind: 'modern' }) => Promise<Client>) | null
  /** The part of an era that other sessions may know. */
  publicPart: (era: Era) => Era
}

export interface Connection {
  client: Client
  /** `null` when other requests use the client, too. */
  transport: HttpTransport | null
  /** The session that this connection goes on with. */
  resumed: KeptSession | null
  /** The era that was remembered; `null` when the server was probed. */
  era: Era | null
  /** The server's session ends with this request. */
  endsSession: boolean
}

/** Makes a request's connections to one server. */
export interface Handshake {
  /** Connects by the era and the session that are remembered, and finds out the rest. */
  connect: (signal: AbortSignal) => Promise<Connection>
  /** Connects again after the server refused a connection that relied on memory. */
  reconnect: (refused: Connection, signal: AbortSignal) => Promise<Connection>
  /** Closes all connections, and ends the sessions that no later request goes on with. Never rejects. */
  close: () => Promise<void>
}

/** How long the server may take to end a session (ms). */
export const endSessionMs = 2_000

export function createHandshake (options: HandshakeOptions): Handshake {
  const { startTimeoutMs, era: memory, slot, shared } = options
  const opened = new Set<Connection>()

  async function connect (signal: AbortSignal): Promise<Connection> {
    const era = await memory.recall()
    if (era?.kind === 'modern') return await connectModern(era, signal)
    const session = await slot?.read() ?? null
    return session === null ? await begin(era, signal) : await open(era ?? { kind: 'legacy' }, session, signal)
  }

  async function connectModern (era: Era & { kind: 'modern' }, signal: AbortSignal): Promise<Connection> {
    try {
      if (shared === null) return await open(era, null, signal)
      return { client: await shared(era), transport: null, resumed: null, era, endsSession: false }
    } catch (error) {
      if (signal.aborted) throw error
      await memory.forget() // connecting sent nothing, so the remembered text is no era
      return await begin(null, signal)
    }
  }

  /** Begins a session. Probes the server when it no longer speaks the era that was remembered. */
  async function begin (era: Era | null, signal: AbortSignal): Promise<Connection> {
    let connection: Connection
    try {
      connection = await open(era, null, signal)
    } catch (error) {
      if (era === null || !isRefusal(error)) throw error
      await memory.forget()
      connection = await open(null, null, signal)
    }
    const kept = await keep(connection)
    // Another request of our session came first: both must see what the other does in the server's session.
    return kept === null ? connection : await open(connection.era ?? { kind: 'legacy' }, kept, signal)
  }

  async function open (era: Era | null, session: KeptSession | null, signal: AbortSignal): Promise<Connection> {
    const { client, transport } = options.create(session ?? undefined)
    const connection: Connection = { client, transport, resumed: session, era, endsSession: session === null }
    opened.add(connection)
    const connecting = client.connect(transport, {
      timeout: startTimeoutMs, signal, ...(era !== null && { prior: era })
    })
    // The client's own timeout bounds each request of the handshake. A server may also be silent between them.
    await withDeadline(abortable(connecting, signal), startTimeoutMs, () => {
      return new SdkError(SdkErrorCode.RequestTimeout, 'it was not connected in time')
    })
    return connection
  }

  /** Remembers the result of a handshake. Returns the session that another request has kept in the meantime. */
  async function keep (connection: Connection): Promise<KeptSession | null> {
    const { client, transport, era } = connection
    if (era === null) await memory.remember(options.publicPart(eraOf(client)))
    const begun = transport?.session ?? null
    if (begun === null || slot === null) return null
    const instructions = client.getInstructions()
    const session = { ...begun, ...(instructions !== undefined && { instructions }) }
    const kept = await slot.replace(session).catch(() => null) // an unreachable store keeps none
    connection.endsSession = kept?.sessionId !== session.sessionId
    return connection.endsSession ? kept : null
  }

  return {
    connect,

    async reconnect ({ resumed, era }, signal) {
      if (resumed !== null) return await begin(era, signal)
      await memory.forget()
      return await begin(null, signal)
    },

    async close () {
      await Promise.all([...opened].map(async ({ transport, endsSession }) => {
        // A session that cannot be ended ends when the server has found it idle for long enough.
        if (endsSession) await transport?.endSession?.(AbortSignal.timeout(endSessionMs)).catch(() => {})
        await transport?.close()
      }))
    }
  }
}

function eraOf (client: Client): Era {
  const discover = client.getDiscoverResult()
  const isModern = client.getProtocolEra() === 'modern' && discover !== undefined
  return isModern ? { kind: 'modern', discover } : { kind: 'legacy' }
}

/**
 * Whether a server refused a request unread. It knows no such session (404; tolerant servers say 400), or it does not
 * speak that version.
 */
export function isRefusal (error: unknown): boolean {
  if (error instanceof SdkHttpError) return error.status === 404 || error.status === 400
  return error instanceof ProtocolError && error.code === ProtocolErrorCode.UnsupportedProtocolVersion
}
