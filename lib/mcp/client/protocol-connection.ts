import { memberOf, valueOf } from '../../json-text.ts'
import type { MessageText, Received } from '../transports/text-transport.ts'
import { type RpcMessage, type RpcValue, readMessages } from './rpc-message.ts'
import { errorCodes } from './protocol.ts'
import { ConnectionClosedError, RequestTimeoutError, RpcError, UnusableAnswerError } from './protocol-errors.ts'

/** What a connection needs of its transport. */
export interface MessageChannel {
  /** Sends a message whole. For HTTP, settles a request when its exchange is over. */
  send: (message: MessageText, signal?: AbortSignal) => Promise<void>
}

export interface ProtocolConnectionOptions {
  channel: MessageChannel
  /** The id of the first request. Others count up from it. */
  firstId: number
  /** Whether the server may ask for input of a person; the answer is then always that nobody is there. */
  declaresElicitation: boolean
  /**
   * All that the server sends is for the one request that runs: the process or the exchange is that request's own. An
   * answer without an id that can be told is then that request's.
   */
  isExclusive: boolean
  /** The request is given up: its server is sent `notifications/cancelled`. Not so where ending the exchange says it. */
  sendsCancellation: () => boolean
  onNotification: (method: string, params: RpcValue | null) => void
}

export interface SendOptions {
  /** How long the answer may take in all (ms). */
  timeoutMs: number
  /** How long the server may be silent (ms); each progress notification starts it anew. */
  inactivityMs?: number
  signal?: AbortSignal
  onProgress?: (progress: RpcValue) => void
  headers?: Readonly<Record<string, string>>
}

export interface ProtocolConnection {
  /** How many requests wait for their answer. */
  readonly pending: number
  /**
   * Sends a request, and gives the result. `params` is JSON text, given the id, which is the progress token, too.
   *
   * Rejects with RpcError for an error of the server, with RequestTimeoutError, with UnusableAnswerError, with
   * ConnectionClosedError, with the signal's reason, or with the transport's own error.
   */
  request: (method: string, params: (id: number) => string, options: SendOptions) => Promise<RpcValue>
  notify: (method: string, params?: string) => Promise<void>
  /** Takes what the server sent. `exchange` is the id of the request in whose HTTP exchange it came. False for noise. */
  receive: (text: string, exchange?: number) => boolean
  /** Whether a request has its answer, or was given up. */
  isSettled: (id: number) => boolean
  /** Rejects all requests that wait. */
  closed: (error?: Error) => void
}

interface Pending {
  settle: (outcome: RpcValue | Error) => void
  progress: (params: RpcValue) => void
}

/** What is quoted of an answer that cannot be used (characters). */
const maxQuoteLength = 500

/**
 * JSON-RPC with one MCP server over one transport: matches answers with requests, keeps deadlines, hands notifications on
 * in their order, and refuses what a server asks of us.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic
 */
export function createProtocolConnection (options: ProtocolConnectionOptions): ProtocolConnection {
  const { channel, declaresElicitation, onNotification } = options
  const pending = new Map<number, Pending>()
  let nextId = options.firstId
  let hasGivenUp = false
  let closedBy: Error | null = null

  function request (method: string, params: (id: number) => string, send: SendOptions): Promise<RpcValue> {
    const { signal, timeoutMs, inactivityMs = timeoutMs, onProgress, headers } = send
    if (closedBy !== null) return Promise.reject(closedBy)
    if (signal?.aborted) return Promise.reject(signal.reason)
    const id = nextId++
    return new Promise((resolve, reject) => {
      const exchange = new AbortController()
      let idleTimer = startTimer(inactivityMs)
      const totalTimer = inactivityMs < timeoutMs ? startTimer(timeoutMs) : undefined
      signal?.addEventListener('abort', onAbort, { once: true })

      pending.set(id, {
        settle (outcome) {
          pending.delete(id)
          clearTimeout(idleTimer)
          clearTimeout(totalTimer)
          signal?.removeEventListener('abort', onAbort)
          if (outcome instanceof Error) reject(outcome)
          else resolve(outcome)
        },
        progress (value) {
          clearTimeout(idleTimer)
          idleTimer = startTimer(inactivityMs)
          onProgress?.(value)
        }
      })
      channel.send({ id, method, text: requestText(id, method, params(id)), ...(headers && { headers }) }, exchange.signal)
        .catch((error: Error) => pending.get(id)?.settle(error))

      function startTimer (milliseconds: number): NodeJS.Timeout {
        const timer = setTimeout(() => {
          // Timers run before arrived data is read: an answer that has arrived is not late.
          setImmediate(() => setImmediate(() => giveUp(new RequestTimeoutError(milliseconds))))
        }, Math.min(milliseconds, maxTimerMs))
        timer.unref()
        return timer
      }
      function onAbort (): void {
        giveUp(signal?.reason as Error)
      }
      function giveUp (reason: Error): void {
        const waiting = pending.get(id)
        if (waiting === undefined) return
        hasGivenUp = true
        waiting.settle(reason)
        // The specification forbids to cancel the handshake.
        if (method !== 'initialize' && options.sendsCancellation()) {
          notify('notifications/cancelled', JSON.stringify({ requestId: id, reason: reason.message }))
            .catch(() => {}) // the server is gone, or ends anyhow
            .finally(() => exchange.abort())
        } else {
          exchange.abort()
        }
      }
    })
  }

  async function notify (method: string, params?: string): Promise<void> {
    const fields = params === undefined ? '' : `,"params":${params}`
    await channel.send({ method, text: `{"jsonrpc":"2.0","method":${JSON.stringify(method)}${fields}}` })
  }

  function receive (text: string, exchange?: number): boolean {
    const messages = readMessages(text)
    for (const message of messages ?? []) take(message, exchange)
    return messages !== null
  }

  function take (message: RpcMessage, exchange: number | undefined): void {
    switch (message.kind) {
      case 'request': return answer(message.method, message.idText)
      case 'notification':
        if (message.method === 'notifications/progress' && message.params !== null) return takeProgress(message.params)
        return onNotification(message.method, message.params)
      case 'result': return waitingFor(message.id, exchange)?.settle(message.result)
      case 'failure': return waitingFor(message.id, exchange)?.settle(new RpcError(message.failure))
      case 'unusable': return waitingFor(message.id, exchange)?.settle(new UnusableAnswerError(quote(message.text)))
    }
  }

  /** The request that an answer is for; an answer to a request that was given up, or that nobody can tell, is dropped. */
  function waitingFor (id: number | null, exchange: number | undefined): Pending | undefined {
    const known = id === null ? undefined : pending.get(id)
    if (known !== undefined || hasGivenUp) return known
    if (exchange !== undefined) return pending.get(exchange)
    if (!options.isExclusive || pending.size !== 1) return undefined
    return pending.values().next().value
  }

  function takeProgress (params: RpcValue): void {
    const token = memberOf(params.node, 'progressToken')
    const value = token === null ? null : Number(valueOf(params.document, token))
    if (value !== null) pending.get(value)?.progress(params)
  }

  /** What a server asks of a client, which no person is behind. */
  function answer (method: string, idText: string): void {
    const send = (body: string) => {
      channel.send({ text: `{"jsonrpc":"2.0","id":${idText},${body}}` }).catch(() => {}) // the server is gone
    }
    if (method === 'ping') return send('"result":{}')
    if (method === 'elicitation/create' && declaresElicitation) return send('"result":{"action":"decline"}')
    send(`"error":${JSON.stringify({ code: errorCodes.methodNotFound, message: `This client does not answer ${method}` })}`)
  }

  return {
    get pending () { return pending.size },
    request,
    notify,
    receive,
    isSettled: id => !pending.has(id),
    closed (error = new ConnectionClosedError('the connection ended')) {
      closedBy ??= error
      for (const { settle } of [...pending.values()]) settle(error)
    }
  }
}

/** The longest that a timer can wait (ms): a longer one would be due at once. */
const maxTimerMs = 2_147_483_647

const requestText = (id: number, method: string, params: string) =>
  `{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)},"params":${params}}`

const quote = (text: string) => text.slice(0, maxQuoteLength)
