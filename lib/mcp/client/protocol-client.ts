import type { CancelSignal } from '../../cancellation.ts'
import { objectText, presentMember, textOf } from '../../json-text.ts'
import type { RequestHeaders, TextTransport } from '../transports/text-transport.ts'
import { type Peer, shakeHands } from './handshake.ts'
import { clientCapabilities, clientInfo, metaKeys, modernCapabilities, modernVersion } from './protocol.ts'
import { createProtocolConnection, type Follower } from './protocol-connection.ts'
import { maxQuoteLength, UnusableAnswerError } from './protocol-errors.ts'
import type { Era } from './protocol-era.ts'
import type { RpcValue } from './rpc-message.ts'
import type { ServerBounds } from './server-bounds.ts'
import { standardHeaders } from './standard-headers.ts'

export interface ProtocolClientOptions {
  transport: TextTransport
  declaresElicitation: boolean
  /** See ProtocolConnectionOptions. */
  isExclusive: boolean
  /** Two clients that may use one session of a server need different ids. */
  firstId?: number
  /** The server is a process; see HandshakeOptions. */
  isProcess: boolean
  bounds: ServerBounds
  onListChanged?: (() => void) | undefined
}

export interface ConnectOptions {
  /** The era that is remembered of the server; `null` to probe it. */
  era: Era | null
  /** How long the start and the handshake may take (ms). */
  timeoutMs: number
  /** How long the server may take of that to answer the probe (ms). */
  probeTimeoutMs: number
  signal: CancelSignal
  /** Resumes a session that was begun before: there is no handshake. */
  resumed?: { capabilities?: readonly string[] }
}

/** Members of a request's params: names, and JSON texts. */
export type Members = Iterable<readonly [name: string, text: string]>

export interface RequestOptions {
  /** How long the answer may take in all (ms). */
  timeoutMs: number
  /** How long the server may be silent (ms). Each progress notification starts it anew. */
  inactivityMs?: number
  signal?: CancelSignal
  onProgress?: (progress: RpcValue) => void
  /** Gets the request's progress token, which stays good for the task that may answer it. */
  onToken?: (token: number) => void
  /** Further members of `_meta`: JSON texts by key. */
  meta?: Members
  headers?: RequestHeaders
  /** Values that nobody on the way to the server may read. */
  secrets?: readonly unknown[]
}

export interface ProtocolClient {
  /** `null` until it is connected. */
  peer: () => Peer | null
  /** Starts the transport, and shakes hands. */
  connect: (options: ConnectOptions) => Promise<Peer>
  /** Rejects as ProtocolConnection.request does. */
  request: (method: string, members: Members, options: RequestOptions) => Promise<RpcValue>
  /** Answers a request of the server that a follower took. `result` is JSON text. */
  respond: (idText: string, result: string) => Promise<void>
  /** Follows a task of the server. Gives how to stop. */
  follow: (follower: Follower) => () => void
  /** Gets the log messages of the server from now on. */
  onLog: (listener: (params: RpcValue) => void) => void
  close: () => Promise<void>
}

const listChanged = new Set(['tools', 'resources', 'prompts'].map(list => `notifications/${list}/list_changed`))

/** A client of one MCP server, of any era. It refuses what a server requests; see createProtocolConnection. */
export function createProtocolClient (options: ProtocolClientOptions): ProtocolClient {
  const { transport, declaresElicitation, isExclusive, firstId = 1, isProcess, bounds, onListChanged } = options
  const capabilities = clientCapabilities(declaresElicitation)
  const modernMeta: ReadonlyArray<readonly [string, string]> = [
    [metaKeys.protocolVersion, JSON.stringify(modernVersion)],
    [metaKeys.clientInfo, clientInfo],
    [metaKeys.clientCapabilities, modernCapabilities(declaresElicitation)]
  ]
  let peer: Peer | null = null
  let onLog: ((params: RpcValue) => void) | null = null

  const connection = createProtocolConnection({
    send: (message, exchange) => transport.send(message, exchange && { exchange }),
    firstId,
    declaresElicitation,
    isExclusive,
    bounds,
    hasExchanges: transport.hasPerRequestStream === true,
    answersRequests: () => peer?.era.kind !== 'modern',
    // In the era of 2026 the end of a request's own stream cancels it.
    sendsCancellation: () => peer?.era.kind !== 'modern' || transport.hasPerRequestStream !== true,
    onNotification (method, params) {
      if (method === 'notifications/message' && params !== null) onLog?.(params)
      else if (listChanged.has(method)) onListChanged?.()
    }
  })
  // V8 puts a function that is written where it is assigned to a property into the old generation. There it would keep
  // all that one request made until the collector looks through the whole heap.
  const onclose = () => connection.closed(transport.failure)
  transport.ontext = connection.receive
  transport.onclose = onclose

  async function send (method: string, members: Members, era: Era['kind'], request: RequestOptions): Promise<RpcValue> {
    const { meta = [], headers, onProgress, onToken, timeoutMs, inactivityMs, signal, secrets } = request
    const own = [...members]
    const isModern = era === 'modern'
    const result = await connection.request({
      method,
      params (id) {
        onToken?.(id)
        const metaMembers = [
          ...(isModern ? modernMeta : []),
          ...(onProgress === undefined ? [] : [['progressToken', String(id)] as const]),
          ...meta
        ]
        return objectText(metaMembers.length === 0 ? own : [...own, ['_meta', objectText(metaMembers)]])
      },
      timeoutMs,
      inactivityMs,
      signal,
      onProgress,
      secrets,
      headers: isModern ? standardHeaders(method, own, headers) : headers
    })
    if (isModern && !hasKnownType(result, method)) {
      throw new UnusableAnswerError(textOf(result.document, result.node).slice(0, maxQuoteLength))
    }
    return result
  }

  return {
    peer: () => peer,

    async connect ({ era, timeoutMs, probeTimeoutMs, signal, resumed }) {
      const deadline = performance.now() + timeoutMs
      await transport.start()
      if (resumed !== undefined) {
        const { capabilities } = resumed
        peer = { era: { kind: 'legacy' }, ...(capabilities && { capabilities }) }
        return peer
      }
      peer = await shakeHands(era, {
        capabilities,
        bounds,
        probeTimeoutMs,
        isProcess,
        refusesMethod: error => transport.refusesMethod?.(error) ?? false,
        request (method, members, { timeoutMs = Infinity, era }) {
          const leftMs = Math.max(1, deadline - performance.now())
          return send(method, members, era, { timeoutMs: Math.min(timeoutMs, leftMs), signal })
        },
        async initialized (version) {
          if (version !== null) transport.setProtocolVersion?.(version)
          // The answer to it says nothing about the requests that follow.
          await connection.notify('notifications/initialized').catch(() => {})
        }
      })
      return peer
    },

    request: (method, members, request) => send(method, members, peer?.era.kind ?? 'legacy', request),
    respond: connection.respond,
    follow: connection.follow,
    onLog (listener) { onLog = listener },

    async close () {
      connection.closed()
      await transport.close()
    }
  }
}

const resultTypes = ['"complete"', '"input_required"']

/** Methods whose result may be a task, or which servers answer as if theirs were one. */
const mayBeTask = (method: string) => method === 'tools/call' || method.startsWith('tasks/')

/**
 * Whether a result of the era of 2026 has a type that this client knows. A result without one is complete.
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic#result-responses
 */
function hasKnownType ({ document, node }: RpcValue, method: string): boolean {
  const member = presentMember(node, 'resultType')
  const type = member && textOf(document, member)
  return type === null || resultTypes.includes(type) || (type === '"task"' && mayBeTask(method))
}
