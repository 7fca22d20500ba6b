import { type Client, ProtocolError, ProtocolErrorCode, SdkError, SdkErrorCode, SdkHttpError, type Transport } from '@modelcontextprotocol/client'
import { abortable, withDeadline } from '../../cancellation.ts'
import { CallerLeftError, McpCallError, McpStartError, McpStartTimeoutError, StoreUnavailableError, UpstreamUnauthorizedError } from '../../errors.ts'
import type { Mask } from '../../mask.ts'
import type { Era, EraMemory } from '../client/protocol-era.ts'
import { causeOf, isTimeout, maskOf, maxQuoteLength, sentenceOf, translate } from '../client/errors.ts'
import { type HttpTransport, type ResumableSession, StreamEndedError } from '../transports/http-transport.ts'
import { type Asked, createServerClient, type ServerConnection, type ServerClient, type RequestLimits } from '../client/server-client.ts'
import type { UpstreamSession } from '../server.ts'

type KeptSession = Omit<UpstreamSession, 'endpoint'>

export interface HttpClientOptions {
  serverName: string
  /** How long reaching the server and the handshake may take (ms). */
  startTimeoutMs: number
  era: EraMemory
  /** Where the server's session is kept for our session; `null` when one is begun for this request alone. */
  slot: { read: () => Promise<KeptSession | null>, replace: (session: KeptSession) => Promise<KeptSession | null> } | null
  /** A client and a transport that nobody used. */
  create: (resume?: ResumableSession) => { client: Client, transport: Transport & Partial<HttpTransport> }
  /** A client of the era of 2026, which many requests may use: that era has no sessions. `null` when this request needs one of its own. */
  shared: ((era: Era & { kind: 'modern' }) => Promise<Client>) | null
  onListChanged: () => void
  /** Values that no sentence may hold, beside those of a request. */
  secrets: readonly string[]
  /** What of an era may be told to others than this session. */
  publicPart: (era: Era) => Era
}

export interface HttpClient extends ServerClient {
  /** Ends what is this request's own, at the server, too. Never rejects; may be called twice. */
  close: () => Promise<void>
}

interface Connection {
  client: Client
  /** `null` for one that is others', too. */
  transport: (Transport & Partial<HttpTransport>) | null
  /** The session that this connection goes on with. */
  resumed: KeptSession | null
  /** The era that was taken from memory instead of being asked. */
  era: Era | null
  /** The server's session ends with this request. */
  endsSession: boolean
}

/** How long the server may take to be told that a session is over (ms). */
export const endSessionMs = 2_000

/**
 * An MCP server over HTTP, for one request.
 *
 * Nothing is asked that is remembered: not the server's era, and in the older eras not its session. Where the server
 * refuses a request because what was remembered is not so any more, it has not acted, and is asked once more from the start.
 */
export function createHttpClient (options: HttpClientOptions): HttpClient {
  const { serverName, startTimeoutMs, era: memory, slot } = options
  const opened = new Set<Connection>()
  let current: Promise<Connection> | null = null
  let isClosed = false

  async function connect (limits: RequestLimits): Promise<Connection> {
    const era = await memory.recall()
    if (era?.kind === 'modern') return await connectModern(era, limits)
    const session = await slot?.read() ?? null
    return session === null ? await begin(era, limits) : await open(era ?? { kind: 'legacy' }, session, limits)
  }

  async function connectModern (era: Era & { kind: 'modern' }, limits: RequestLimits): Promise<Connection> {
    try {
      if (options.shared !== null) return { client: await options.shared(era), transport: null, resumed: null, era, endsSession: false }
      return await open(era, null, limits)
    } catch (error) {
      if (limits.signal.aborted) throw error
      await memory.forget() // connecting asked nobody: what was remembered is no era
      return await begin(null, limits)
    }
  }

  /** Shakes hands; asks anew for an era that was remembered when the server does not know that one any more. */
  async function begin (era: Era | null, limits: RequestLimits): Promise<Connection> {
    let connection: Connection
    try {
      connection = await open(era, null, limits)
    } catch (error) {
      if (era === null || !isRefusal(error)) throw error
      await memory.forget()
      connection = await open(null, null, limits)
    }
    const kept = await keep(connection)
    // Another request of the same session came first: what it does there is to be seen here, too.
    return kept === null ? connection : await open(connection.era ?? { kind: 'legacy' }, kept, limits)
  }

  async function open (era: Era | null, session: KeptSession | null, { signal }: RequestLimits): Promise<Connection> {
    const { client, transport } = options.create(session ?? undefined)
    const connection: Connection = { client, transport, resumed: session, era, endsSession: session === null }
    opened.add(connection)
    const connecting = client.connect(transport, { timeout: startTimeoutMs, signal, ...(era !== null && { prior: era }) })
    // The client's own timeout is that of a question; a server may also be silent where nothing is asked.
    await withDeadline(abortable(connecting, signal), startTimeoutMs, () => new SdkError(SdkErrorCode.RequestTimeout, 'it was not connected in time'))
    return connection
  }

  /** Remembers what the handshake brought, for the next request. Gives the session that was kept before it could be this one. */
  async function keep (connection: Connection): Promise<KeptSession | null> {
    const { client, transport, era } = connection
    const discover = client.getDiscoverResult()
    const found: Era = client.getProtocolEra() === 'modern' && discover !== undefined ? { kind: 'modern', discover } : { kind: 'legacy' }
    if (era === null) await memory.remember(options.publicPart(found))
    const session = transport?.session ?? null
    const instructions = client.getInstructions()
    const next = session === null ? null : { ...session, ...(instructions !== undefined && { instructions }) }
    if (next === null || slot === null) return null
    const kept = await slot.replace(next).catch(() => null) // as good as one that is not kept
    connection.endsSession = kept?.sessionId !== next.sessionId
    return connection.endsSession ? kept : null
  }

  async function renew ({ resumed, era }: Connection, limits: RequestLimits): Promise<Connection> {
    if (resumed !== null) return await begin(era, limits)
    await memory.forget()
    return await begin(null, limits)
  }

  function connected (limits: RequestLimits): Promise<Connection> {
    current ??= connect(limits)
    return current
  }

  const link: ServerConnection = {
    serverName,
    isOwn: options.shared === null,
    onListChanged: options.onListChanged,

    async instructions (limits) {
      const { client, resumed } = await connected(limits)
      const known = client.getInstructions() ?? resumed?.instructions
      if (known !== undefined || client.getProtocolEra() !== 'modern') return known
      return await link.ask({ what: 'the question what it is' }, limits, async (client, options) => (await client.discover(options)).instructions)
    },

    async ask (asked, limits, request) {
      const options = { timeout: limits.timeoutMs, maxTotalTimeout: limits.timeoutMs, signal: limits.signal }
      let connection: Connection
      try {
        connection = await connected(limits)
      } catch (error) {
        throw startError(error, limits)
      }
      try {
        return await request(connection.client, options)
      } catch (error) {
        if (limits.signal.aborted || !relied(connection)) throw callError(error, asked, limits)
        if (error instanceof SdkError && error.code === SdkErrorCode.InvalidResult) await memory.forget() // it acted, as a server of another era does
        if (!isRefusal(error)) throw callError(error, asked, limits)
      }
      try {
        current = renew(connection, limits)
        connection = await current
      } catch (error) {
        throw startError(error, limits)
      }
      try {
        return await request(connection.client, options)
      } catch (error) {
        throw callError(error, asked, limits)
      }
    }
  }

  function startError (error: unknown, limits: RequestLimits): Error {
    if (limits.signal.aborted) return new CallerLeftError()
    if (error instanceof StoreUnavailableError) return error // where the server's session is kept; of the server it says nothing
    const mask = maskOf(options.secrets, limits.secrets)
    if (isTimeout(error)) return new McpStartTimeoutError(serverName, startTimeoutMs / 1000, '')
    return unauthorized(error) ?? new McpStartError(serverName, `cannot be reached: ${reasonOf(error, mask)}`, { cause: causeOf(error, mask) })
  }

  function callError (error: unknown, asked: Asked, limits: RequestLimits): Error {
    const mask = maskOf(options.secrets, limits.secrets)
    const known = translate(error, { serverName, asked, limits, mask }) ?? unauthorized(error)
    if (known !== null) return known
    if (isUnreachable(error)) return startError(error, limits)
    const verb = error instanceof SdkHttpError ? 'answered' : error instanceof RangeError || error instanceof StreamEndedError ? 'broke off' : 'did not answer'
    return new McpCallError(serverName, `${verb} ${asked.what}: ${reasonOf(error, mask)}`, { cause: causeOf(error, mask) })
  }

  const unauthorized = (error: unknown) =>
    error instanceof SdkHttpError && (error.status === 401 || error.status === 403) ? new UpstreamUnauthorizedError(serverName, error.status) : null

  async function end (connection: Connection): Promise<void> {
    const { transport, endsSession } = connection
    if (endsSession) await transport?.endSession?.(AbortSignal.timeout(endSessionMs)).catch(() => {}) // then it ends there when it has been idle long enough
    await transport?.close()
  }

  return {
    ...createServerClient(link),
    async close () {
      if (isClosed) return
      isClosed = true
      await current?.catch(() => {}) // whoever asked has been told
      await Promise.all([...opened].map(end))
    }
  }
}

/** Whether the request went by something that was remembered. */
const relied = ({ resumed, era }: Connection) => resumed !== null || era?.kind === 'modern'

/**
 * What a server says that did not take the request: it knows no such session (404, or 400 where servers are loose with it),
 * or it speaks another version.
 */
function isRefusal (error: unknown): boolean {
  if (error instanceof SdkHttpError) return error.status === 404 || error.status === 400
  return error instanceof ProtocolError && error.code === ProtocolErrorCode.UnsupportedProtocolVersion
}

/** What it takes to have a connection was missing, so nothing was sent. */
const connectFailures = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'EACCES', 'UND_ERR_CONNECT_TIMEOUT'])

const isUnreachable = (error: unknown) => connectFailures.has((rootOf(error) as NodeJS.ErrnoException).code ?? '')

function rootOf (error: unknown): unknown {
  let root = error
  while (root instanceof Error && !(root instanceof SdkHttpError) && !(root instanceof StreamEndedError) && root.cause instanceof Error) root = root.cause
  return root
}

/** Why, in a sentence: the server's own where its refusal has one. */
function reasonOf (error: unknown, mask: Mask): string {
  const root = rootOf(error)
  if (!(root instanceof SdkHttpError)) return sentenceOf(root, mask)
  const sentence = sentenceIn(root.data.text)
  return sentence === null ? mask(root.message) : mask(`HTTP ${root.status}: ${sentence}`).slice(0, maxQuoteLength)
}

function sentenceIn (text: unknown): string | null {
  try {
    const { error } = JSON.parse(String(text)) as { error?: { message?: unknown } }
    return typeof error?.message === 'string' ? error.message : null
  } catch {
    return null // a page for people
  }
}
