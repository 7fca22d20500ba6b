import { objectText } from '../../json-text.ts'
import type { MessageText } from '../transports/message.ts'
import { shakeHands, type Peer } from './handshake.ts'
import { clientCapabilities, clientInfo, metaKeys, modernVersion } from './protocol.ts'
import { createProtocolConnection } from './protocol-connection.ts'
import type { Era } from './protocol-era.ts'
import type { RpcValue } from './rpc-message.ts'

/** A transport, as the client uses it. Every transport of this service fits, and fits the SDK's `Transport` as well. */
export interface TextTransport {
  start: () => Promise<void>
  send: (message: MessageText, options?: { requestSignal?: AbortSignal }) => Promise<void>
  close: () => Promise<void>
  setProtocolVersion?: (version: string) => void
  /** Whether ending a request's exchange tells the server that the request was given up. */
  readonly hasPerRequestStream?: boolean
  /** Takes each message as text, before anything is parsed. Says whether it was one. */
  ontext?: (text: string, exchange?: number) => boolean
  /** Whether a request has its answer. */
  isSettled?: (id: number) => boolean
  onclose?: () => void
}

export interface ProtocolClientOptions {
  transport: TextTransport
  declaresElicitation: boolean
  /** See ProtocolConnectionOptions. */
  isExclusive: boolean
  firstId?: number
  isProcess: boolean
  onListChanged?: () => void
}

export interface ConnectOptions {
  /** What is remembered of the server's era; `null` to ask. */
  era: Era | null
  timeoutMs: number
  probeTimeoutMs: number
  signal: AbortSignal
  /** Goes on with a session that was begun before: there is no handshake. */
  resumed?: { protocolVersion: string }
}

/** Members of a request's params: names, and JSON texts. */
export type Members = Iterable<readonly [name: string, text: string]>

export interface RequestOptions {
  timeoutMs: number
  inactivityMs?: number
  signal?: AbortSignal
  onProgress?: (progress: RpcValue) => void
  /** Further members of `_meta`: JSON texts by key. */
  meta?: Members
  headers?: Readonly<Record<string, string>>
}

export interface ProtocolClient {
  /** `null` until it is connected. */
  readonly peer: Peer | null
  /** Starts the transport, and shakes hands. */
  connect: (options: ConnectOptions) => Promise<Peer>
  request: (method: string, members: Members, options: RequestOptions) => Promise<RpcValue>
  /** Gets the log messages of the server from now on. */
  onLog: (listener: (params: RpcValue) => void) => void
  close: () => Promise<void>
}

const listChanged = new Set(['tools', 'resources', 'prompts'].map(list => `notifications/${list}/list_changed`))

/** A client of one MCP server, of any era. Answers nothing that a server asks; see createProtocolConnection. */
export function createProtocolClient (options: ProtocolClientOptions): ProtocolClient {
  const { transport } = options
  const capabilities = clientCapabilities(options.declaresElicitation)
  const modernMeta: ReadonlyArray<readonly [string, string]> = [
    [metaKeys.protocolVersion, JSON.stringify(modernVersion)],
    [metaKeys.clientInfo, clientInfo],
    [metaKeys.clientCapabilities, capabilities]
  ]
  let peer: Peer | null = null
  let onLog: ((params: RpcValue) => void) | null = null

  const connection = createProtocolConnection({
    channel: {
      send: (message, signal) => transport.send(message, signal === undefined ? {} : { requestSignal: signal })
    },
    firstId: options.firstId ?? 1,
    declaresElicitation: options.declaresElicitation,
    isExclusive: options.isExclusive,
    sendsCancellation: () => peer?.era.kind !== 'modern' || transport.hasPerRequestStream !== true,
    onNotification (method, params) {
      if (method === 'notifications/message' && params !== null) onLog?.(params)
      else if (listChanged.has(method)) options.onListChanged?.()
    }
  })
  transport.ontext = connection.receive
  transport.isSettled = connection.isSettled
  transport.onclose = () => connection.closed()

  function send (method: string, members: Members, era: Era['kind'], request: RequestOptions): Promise<RpcValue> {
    const { meta = [], headers = {}, ...rest } = request
    const own = [...members]
    const isModern = era === 'modern'
    return connection.request(method, id => {
      const metaMembers = [
        ...(isModern ? modernMeta : []),
        ...(request.onProgress === undefined ? [] : [['progressToken', String(id)] as const]),
        ...meta
      ]
      return objectText(metaMembers.length === 0 ? own : [...own, ['_meta', objectText(metaMembers)]])
    }, { ...rest, headers: isModern ? { ...standardHeaders(method, own), ...headers } : headers })
  }

  return {
    get peer () { return peer },

    async connect ({ era, timeoutMs, probeTimeoutMs, signal, resumed }) {
      await transport.start()
      if (resumed !== undefined) {
        peer = { era: { kind: 'legacy' }, version: resumed.protocolVersion }
        return peer
      }
      peer = await shakeHands(era, {
        capabilities,
        timeoutMs,
        probeTimeoutMs,
        isProcess: options.isProcess,
        request: (method, members, { timeoutMs, era }) => send(method, members, era, { timeoutMs, signal }),
        async initialized (version) {
          if (version !== null) transport.setProtocolVersion?.(version)
          await connection.notify('notifications/initialized').catch(() => {}) // its answer says nothing of what follows
        }
      })
      return peer
    },

    request: (method, members, request) => send(method, members, peer?.era.kind ?? 'legacy', request),
    onLog (listener) { onLog = listener },

    async close () {
      connection.closed()
      await transport.close()
    }
  }
}

/** The parameter that Mcp-Name repeats, by method. */
const namedBy = new Map([['tools/call', 'name'], ['prompts/get', 'name'], ['resources/read', 'uri']])

/**
 * The headers in which a request of the era of 2026 repeats what its body says, for whatever routes it.
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports#standard-headers
 */
function standardHeaders (method: string, members: ReadonlyArray<readonly [string, string]>): Record<string, string> {
  const text = members.find(([name]) => name === namedBy.get(method))?.[1]
  return {
    'mcp-protocol-version': modernVersion,
    'mcp-method': method,
    ...(text !== undefined && { 'mcp-name': headerValue(JSON.parse(text) as string) })
  }
}

/** A value that a header cannot carry unchanged travels in Base64, marked as such. */
export const headerValue = (value: string) =>
  /^[!-~]([ -~]*[!-~])?$/.test(value) && !value.startsWith('=?base64?')
    ? value
    : `=?base64?${Buffer.from(value).toString('base64')}?=`
