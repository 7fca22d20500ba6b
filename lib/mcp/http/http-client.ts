import { UnknownResourceError } from '../../errors.ts'
import { isJsonObject, parseJsonObject } from '../../json.ts'
import { stringMember } from '../../json-text.ts'
import { inPhase } from '../../telemetry/channels.ts'
import type { Peer } from '../client/handshake.ts'
import { errorCodes } from '../client/protocol.ts'
import type { ProtocolClient } from '../client/protocol-client.ts'
import { RpcError } from '../client/protocol-errors.ts'
import { boundedInstructions, instructionsIn, type ServerBounds } from '../client/server-bounds.ts'
import {
  createServerClient, isKnown, type RequestDescription, type RequestLimits, type ServerClient, type ServerConnection
} from '../client/server-client.ts'
import { HttpError } from '../transports/http-request.ts'
import { saysSessionIsLost } from '../transports/session-loss.ts'
import { createHttpErrors, type HttpErrorsOptions } from './http-errors.ts'
import { createLingering } from '../client/lingering.ts'
import { type Connection, createHandshake, type HandshakeOptions, isRefusal, sessionOf } from './http-handshake.ts'
import type { Turns } from './request-bounds.ts'

export interface HttpClientOptions extends HandshakeOptions, HttpErrorsOptions {
  bounds: ServerBounds
  /** Lets requests through as the server's bound allows it; a handshake is part of the request that needs it. */
  turns: Turns
  onListChanged: () => void
  /** Whether the transport has one stream for all messages: tasks end with it. */
  hasStream: () => boolean
  /** A connection was made, in a session of the server or without one. */
  onConnected: (hasSession: boolean) => void
}

export interface HttpClient extends ServerClient {
  /** Ends the connections of this request, and at the server its sessions. Never rejects; may be called twice. */
  close: () => Promise<void>
}

/** The answer to a request, or the error of a server that refused it unread. */
type Outcome<Value> = { value: Value } | { refusal: unknown }

/**
 * An MCP server over HTTP, for one request.
 *
 * The era that the server speaks is remembered, and in the older eras its session. A server that no longer knows what
 * was remembered refuses a request unread. That request is sent again, once, over a new connection.
 */
export function createHttpClient (options: HttpClientOptions): HttpClient {
  const { serverName, bounds, shared, slot, turns, onListChanged, onConnected, hasStream } = options
  const handshake = createHandshake(options)
  const { startError, callError } = createHttpErrors(options, handshake.secrets)
  let current: Promise<Connection> | null = null
  let usedSession = false
  let peer: Peer | null = null
  /** The session of the connection of now is kept, or there is none: other connections know its tasks, too. */
  let outlivesConnection = false
  let isClosed = false
  const lingering = createLingering()

  function connected (limits: RequestLimits): Promise<Connection> {
    current ??= inPhase('connect', { server: serverName }, () => handshake.connect(limits.signal))
    return opened(current, limits)
  }

  function reconnected (refused: Connection, limits: RequestLimits): Promise<Connection> {
    current = inPhase('connect', { server: serverName }, () => handshake.reconnect(refused, limits.signal))
    return opened(current, limits)
  }

  async function opened (opening: Promise<Connection>, limits: RequestLimits): Promise<Connection> {
    try {
      const connection = await opening
      peer = connection.client.peer()
      const hasSession = sessionOf(connection) !== null
      usedSession ||= hasSession && slot !== null
      outlivesConnection = !hasSession || !connection.endsSession
      onConnected(hasSession)
      return connection
    } catch (error) {
      throw startError(error, limits)
    }
  }

  async function request<Value> (
    description: RequestDescription, limits: RequestLimits, work: (client: ProtocolClient) => Promise<Value>
  ): Promise<Value> {
    async function attempt (connection: Connection): Promise<Outcome<Value>> {
      const client = watchCalls(connection.client)
      try {
        return { value: await work(client) }
      } catch (error) {
        const mayAskAgain = !limits.signal.aborted && !client.hasCalled() && reliesOnMemory(connection)
        if (mayAskAgain && isRefusal(error) && !await isOfRequest(error, connection, limits)) {
          return { refusal: error }
        }
        if (!await mayBeOfSession(error, connection, { description, limits })) {
          throw callError(error, description, limits)
        }
        current = null
        await handshake.forgetSession(connection)
        throw callError(error, { ...description, mayFail: false }, limits)
      }
    }

    const connection = await connected(limits)
    let outcome = await attempt(connection)
    if ('refusal' in outcome) outcome = await attempt(await reconnected(connection, limits))
    if ('refusal' in outcome) throw callError(outcome.refusal, description, limits)
    return outcome.value
  }

  const connection: ServerConnection = {
    serverName,
    isOwn: shared === null,
    usedSession: () => usedSession,
    reconnects: true,
    keepsTasks: () => outlivesConnection && !hasStream(),
    linger: lingering.add,
    bounds,
    onListChanged,
    peer: () => peer,
    request: (description, limits, work) => turns.take(limits.signal, () => request(description, limits, work)),

    async instructions (limits) {
      const { client, resumed } = current === null
        ? await turns.take(limits.signal, () => connected(limits))
        : await connected(limits)
      const known = instructionsIn({ ...client.peer(), ...resumed })
      if (Object.keys(known).length > 0 || client.peer()?.era.kind !== 'modern') return known
      const description = { what: 'the request for its instructions' }
      return await connection.request(description, limits, async client => {
        const { document, node } = await client.request('server/discover', [], limits)
        return boundedInstructions(stringMember(document, node, 'instructions'), bounds)
      })
    }
  }

  return Object.assign(createServerClient(connection), {
    async close () {
      if (isClosed) return
      isClosed = true
      await current?.catch(() => {}) // the request that connected has this error already
      await lingering.settled()
      await handshake.close()
      await turns.end()
    }
  })
}

/** Whether a connection goes by a session, or by an era that was remembered. */
const reliesOnMemory = (connection: Connection) =>
  sessionOf(connection) !== null || connection.era?.kind === 'modern'

/** A client that knows whether one of its tool calls was answered: then its work is not done a second time. */
function watchCalls (client: ProtocolClient): ProtocolClient & { hasCalled: () => boolean } {
  let hasCalled = false
  const { peer, connect, onLog, respond, follow, close } = client
  return {
    peer,
    connect,
    onLog,
    respond,
    follow,
    close,
    hasCalled: () => hasCalled,
    async request (method, members, options) {
      const result = await client.request(method, members, options)
      hasCalled ||= method === 'tools/call'
      return result
    }
  }
}

/** Codes by which a server refuses what it was asked, and not who asks. */
const requestCodes = new Set<unknown>([errorCodes.methodNotFound, errorCodes.invalidParams])

/**
 * Whether a refusal without the request's id is about the request all the same: it says so, and the server still knows
 * its session. Another session would have lost what this one holds.
 */
async function isOfRequest (error: unknown, connection: Connection, limits: RequestLimits): Promise<boolean> {
  if (sessionOf(connection) === null || !(error instanceof HttpError)) return false
  const { error: own } = parseJsonObject(error.text) ?? {}
  const blamesRequest = isJsonObject(own) && requestCodes.has(own.code) && !/session/i.test(error.text)
  return blamesRequest && await isKnown(connection.client, limits)
}

/** Codes that servers give for a session that they do not know, and for other things. */
const sessionCodes = new Set<number>([-32_001, -32_002, -32_005])
/** A server that fails like this may fail for as long as the session is used. */
const sessionStatuses = new Set([500, 502])

/** Whether an answer that is about the request may be about the server's session as well. */
async function mayBeOfSession (
  error: unknown,
  connection: Connection,
  { description: { refused, mayFail }, limits }: { description: RequestDescription, limits: RequestLimits }
): Promise<boolean> {
  if (sessionOf(connection) === null) return false
  if (error instanceof HttpError) return sessionStatuses.has(error.status)
  if (!(error instanceof RpcError)) return false
  const isOfResource = error.code === errorCodes.resourceNotFound && refused?.('') instanceof UnknownResourceError
  if (isOfResource) return /session/i.test(error.message)
  if (connection.transport?.isSessionInDoubt === true) return true
  if (!sessionCodes.has(error.code)) return false
  // A tool may fail with any code. The session of a server that answers is not given up for it: it may hold much.
  return mayFail !== true || saysSessionIsLost(error.message) || !await isKnown(connection.client, limits)
}
