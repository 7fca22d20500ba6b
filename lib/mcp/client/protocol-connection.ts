import { type Alarm, clearAlarm, setAlarm } from '../../alarms.ts'
import { Cancellation, type CancelSignal } from '../../cancellation.ts'
import { presentMember, valueOf } from '../../json-text.ts'
import { createNumberTable } from '../../number-table.ts'
import { BoundError, defaultBounds, type IntakeBounds } from '../transports/bounds.ts'
import { type MessageText, NotSentError, type Received, type RequestHeaders } from '../transports/text-transport.ts'
import { errorCodes } from './protocol.ts'
import {
  ConnectionClosedError, maxQuoteLength, RequestTimeoutError, RpcError, UnusableAnswerError
} from './protocol-errors.ts'
import { readMessages, type RpcMessage, type RpcRequest, type RpcValue } from './rpc-message.ts'

export interface ProtocolConnectionOptions {
  /** Sends a message whole. `exchange` is aborted when a request is given up; only HTTP exchanges have one. */
  send: (message: MessageText, exchange?: Cancellation) => Promise<void>
  /** The id of the first request. Others count up from it. */
  firstId: number
  /** Whether the server may request input of a person. The answer is then always that nobody is there. */
  declaresElicitation: boolean
  /**
   * The process or the stream serves this client's caller only. A response that names no request then belongs to the
   * only request that runs.
   */
  isExclusive: boolean
  /** Whether the server may send requests, which are answered then. In the era of 2026 it must not. */
  answersRequests: () => boolean
  /** Each request is an HTTP exchange of its own, which ends when the request is given up. */
  hasExchanges: boolean
  /** Whether a server is told with `notifications/cancelled` that a request was given up. */
  sendsCancellation: () => boolean
  bounds?: Pick<IntakeBounds, 'maxRequests' | 'maxValues'> | undefined
  onNotification: (method: string, params: RpcValue | null) => void
}

export interface ConnectionRequest {
  method: string
  /** Gives the params, JSON text. The id is the progress token, too. */
  params: (id: number) => string
  /** How long the answer may take in all (ms). */
  timeoutMs: number
  /** How long the server may be silent (ms). Each progress notification starts it anew. Absent: as long as it takes. */
  inactivityMs?: number | undefined
  signal?: CancelSignal | undefined
  onProgress?: ((progress: RpcValue) => void) | undefined
  headers?: RequestHeaders | undefined
  /** Values that nobody on the way to the server may read. */
  secrets?: readonly unknown[] | undefined
}

/** Follows a task, whose messages come after the request that began it was answered. */
export interface Follower {
  /** The progress token of that request; `null` where another client sent it. */
  token: number | null
  onProgress: (progress: RpcValue) => void
  /** Gets the requests of the server. True for one that will be answered later. */
  takesRequest: (request: RpcRequest) => boolean
  /** The server says that a task has changed, or the connection has ended. */
  onChange: () => void
}

export interface ProtocolConnection {
  /**
   * Sends a request, and gives the result.
   *
   * Rejects with RpcError, RequestTimeoutError, UnusableAnswerError, ConnectionClosedError, the signal's reason, or the
   * transport's own error, NotSentError among them.
   */
  request: (request: ConnectionRequest) => Promise<RpcValue>
  /** Answers a request of the server that a follower took. `result` is JSON text. */
  respond: (idText: string, result: string) => Promise<void>
  /** Follows a task of the server. Gives how to stop. */
  follow: (follower: Follower) => () => void
  /** `params` is JSON text. */
  notify: (method: string, params?: string) => Promise<void>
  /**
   * Takes a text of the server. `exchange` is the id of the request whose HTTP exchange brought it. Throws BoundError
   * when it is more than a server may send.
   */
  receive: (text: string, exchange?: number) => Received
  /** Rejects all requests that wait, with the failure where there was one, and those that follow. */
  closed: (failure?: Error | null) => void
}

interface Pending {
  sending: Promise<void>
  settle: (outcome: RpcValue | Error) => void
  progress: (params: RpcValue) => void
}

const taskNotifications = new Set(['notifications/tasks', 'notifications/tasks/status'])
/** A server's id is given back to it, and is kept until the server takes it (characters). */
const maxIdLength = 1_024
/** Requests that are part of the handshake. The specification forbids to cancel one, and servers end at it. */
const handshakeMethods = new Set(['initialize', 'server/discover'])

/**
 * JSON-RPC with one MCP server over one transport. It matches answers with requests, keeps deadlines, passes
 * notifications on in their order, and refuses the requests of a server.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic
 */
export function createProtocolConnection (options: ProtocolConnectionOptions): ProtocolConnection {
  const { firstId, isExclusive, declaresElicitation, onNotification, bounds = defaultBounds } = options
  const pending = createNumberTable<Pending>()
  const followers = new Set<Follower>()
  let nextId = firstId
  /** Answers to requests of the server that it has not taken. */
  let untaken = 0
  let hasGivenUp = false
  let isClosed = false

  function request (request: ConnectionRequest): Promise<RpcValue> {
    const { method, params, signal, timeoutMs, inactivityMs = timeoutMs, onProgress, headers, secrets } = request
    if (isClosed) return Promise.reject(new NotSentError(connectionClosed()))
    if (signal?.aborted) return Promise.reject(signal.reason)
    const id = nextId++
    return new Promise((resolve, reject) => {
      const exchange = options.hasExchanges ? new Cancellation() : undefined
      let silence = startAlarm(Math.min(inactivityMs, timeoutMs))
      const deadline = inactivityMs < timeoutMs ? startAlarm(timeoutMs) : null
      signal?.addEventListener('abort', onAbort, { once: true })
      const text = `{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)},"params":${params(id)}}`
      const sending = options.send({ id, method, text, headers, secrets }, exchange)
      pending.set(id, {
        sending,
        settle (outcome) {
          pending.delete(id)
          clearAlarm(silence)
          if (deadline !== null) clearAlarm(deadline)
          signal?.removeEventListener('abort', onAbort)
          if (outcome instanceof Error) reject(outcome)
          else resolve(outcome)
        },
        progress (value) {
          clearAlarm(silence)
          silence = startAlarm(Math.min(inactivityMs, timeoutMs))
          onProgress?.(value)
        }
      })
      sending.catch((error: Error) => {
        const isUnread = error instanceof NotSentError
        pending.get(id)?.settle(isClosed && !isUnread ? connectionClosed() : error)
      })

      function startAlarm (milliseconds: number): Alarm {
        return setAlarm(milliseconds, () => {
          giveUp(new RequestTimeoutError(milliseconds, { isOfSilence: milliseconds < timeoutMs }))
        })
      }
      function onAbort (): void {
        giveUp(signal?.reason as Error) // the reason of a signal of this service is an error
      }
      function giveUp (reason: Error): void {
        const waiting = pending.get(id)
        if (waiting === undefined) return
        hasGivenUp = true
        waiting.settle(reason)
        if (handshakeMethods.has(method) || !options.sendsCancellation()) return exchange?.abort()
        notify('notifications/cancelled', JSON.stringify({ requestId: id, reason: cancellationReason(reason) }))
          .catch(() => {}) // the server is gone, or ends with this request
          .finally(() => exchange?.abort())
      }
    })
  }

  async function notify (method: string, params?: string): Promise<void> {
    const member = params === undefined ? '' : `,"params":${params}`
    await options.send({ method, text: `{"jsonrpc":"2.0","method":${JSON.stringify(method)}${member}}` })
  }

  const isPending = (id: number) => pending.get(id) !== undefined

  function receive (text: string, exchange?: number): Received {
    const messages = readMessages(text, bounds.maxValues)
    if (messages === null) return 'noise'
    const isWaiting = exchange === undefined || isPending(exchange)
    const waiting = pending.size()
    for (const message of messages) take(message, exchange)
    const isAnswered = exchange === undefined ? pending.size() < waiting : !isPending(exchange)
    return isWaiting && isAnswered ? 'answer' : 'message'
  }

  function take (message: RpcMessage, exchange: number | undefined): void {
    switch (message.kind) {
      case 'request': return answer(message)
      case 'notification':
        if (message.method === 'notifications/progress') return takeProgress(message.params)
        if (taskNotifications.has(message.method)) return [...followers].forEach(({ onChange }) => onChange())
        return onNotification(message.method, message.params)
      case 'result': return waitingFor(message.id, exchange)?.settle(message.result)
      case 'failure': return waitingFor(message.id, exchange)?.settle(new RpcError(message.failure))
      case 'unusable':
        return waitingFor(message.id, exchange)?.settle(new UnusableAnswerError(message.text.slice(0, maxQuoteLength)))
    }
  }

  /** The request that a response is for. Any other response is dropped: it is late, or it may be somebody else's. */
  function waitingFor (id: number | null, exchange: number | undefined): Pending | undefined {
    const isOurs = id !== null && id >= firstId && id < nextId
    if (isOurs && (isExclusive || exchange === undefined || exchange === id)) return pending.get(id)
    if (isOurs) return undefined
    if (exchange !== undefined) return pending.get(exchange)
    if (!isExclusive || hasGivenUp || pending.size() !== 1) return undefined
    return pending.values()[0]
  }

  function takeProgress (params: RpcValue | null): void {
    const token = params && presentMember(params.node, 'progressToken')
    if (params === null || !token) return
    const id = Number(valueOf(params.document, token))
    const waiting = pending.get(id)
    if (waiting !== undefined) return waiting.progress(params)
    for (const follower of followers) if (follower.token === id) follower.onProgress(params)
  }

  /** Answers a server's request for a client behind which is no person. */
  function answer (request: RpcRequest): void {
    const { method, idText } = request
    if (!options.answersRequests()) return
    if (idText.length > maxIdLength) {
      throw new BoundError(`the id of a request of it is longer than ${maxIdLength} characters`)
    }
    if (declaresElicitation && [...followers].some(follower => follower.takesRequest(request))) return
    if (untaken === bounds.maxRequests) {
      throw new BoundError(`it has not taken the answers to ${untaken} requests (MCP_MAX_SERVER_REQUESTS)`)
    }
    const respond = (body: string) => {
      untaken++
      options.send({ text: `{"jsonrpc":"2.0","id":${idText},${body}}` })
        .catch(() => {}) // the server is gone
        .finally(() => { untaken-- })
    }
    if (method === 'ping') return respond('"result":{}')
    if (method === 'elicitation/create' && declaresElicitation) return respond('"result":{"action":"decline"}')
    const error = { code: errorCodes.methodNotFound, message: `This client does not answer ${method}` }
    respond(`"error":${JSON.stringify(error)}`)
  }

  return {
    request,
    notify,
    respond: (idText, result) => options.send({ text: `{"jsonrpc":"2.0","id":${idText},"result":${result}}` }),
    follow (follower) {
      followers.add(follower)
      return () => { followers.delete(follower) }
    },
    receive,
    closed (failure) {
      isClosed = true
      for (const { onChange } of followers) onChange()
      // A message that is still being written fails in its own way: its server cannot have read it.
      for (const { sending, settle } of pending.values()) {
        sending.then(() => settle(failure ?? connectionClosed()), () => {})
      }
    }
  }
}

const connectionClosed = () => new ConnectionClosedError('the connection ended')

/** A server needs no more than the kind of reason: the reason of a caller's signal may hold anything. */
const cancellationReason = (reason: Error) => reason instanceof RequestTimeoutError ? reason.message : 'cancelled'
