import { randomInt } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import {
  isJSONRPCErrorResponse, type JSONRPCMessage, type JSONRPCRequest, type JSONRPCResponse, SdkError, SdkErrorCode, SdkHttpError,
  type Transport, type TransportSendOptions
} from '@modelcontextprotocol/client'
import type { Dispatcher } from 'undici'
import { isJsonObject } from '../../json.ts'
import { createOrderedDelivery } from './ordered-delivery.ts'
import { readEvents } from './event-stream.ts'
import { type Body, exchange, readText } from './http-request.ts'
import { createIdShift } from './request-ids.ts'
import { completed, isModern, standardHeaders } from './era-2026.ts'
import type { HttpEndpoint } from '../servers-file/server-spec.ts'

/** A session that a server of the eras before 2026-07-28 began, as another transport can go on with it. */
export interface ResumableSession { sessionId: string, protocolVersion: string }

export interface HttpTransportOptions {
  dispatcher: Dispatcher
  /** Longest message that the server may send (bytes). */
  maxMessageBytes: number
  /** Goes on with this session instead of beginning one. */
  resume?: ResumableSession
}

export interface HttpTransport extends Transport {
  /** The session that the server began, as soon as its version was agreed on; `null` while there is none. */
  readonly session: ResumableSession | null
  /** Tells the server that its session is over, if it began one. Rejects when it cannot be told; a server may refuse it (405). */
  endSession: (signal: AbortSignal) => Promise<void>
}

/** The answer cannot come any more: its stream ended or broke off, or what came is no answer. */
export class StreamEndedError extends Error {}

/** How often a stream that broke off is asked for again. */
const maxResumptions = 5
const defaultRetryMs = 1_000
/** How long what the server has already been sent, or has already answered, may take to come to its end when the transport closes (ms). */
const settleMs = 250
/** How long a stream may go on when it has given its answer (ms). */
const answeredMs = 1_000

/**
 * MCP's streamable HTTP: each message is a POST; the answer is JSON, or a stream of events that has it.
 *
 * Differs from the SDK's transport in what a service needs. No stream is opened that nobody asked for (the SDK sends a GET
 * after each handshake). An answer that can no longer come is noticed when its stream ends, not when the deadline passes. A
 * message has a largest size. Ids are unique over transports, so that two requests may use one session at the same time.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
 * @see https://github.com/modelcontextprotocol/typescript-sdk/issues/2739
 */
export function createHttpTransport (endpoint: HttpEndpoint, { dispatcher, maxMessageBytes, resume }: HttpTransportOptions): HttpTransport {
  const url = new URL(endpoint.url)
  const ids = createIdShift(randomInt(2 ** 40))
  const hand = createOrderedDelivery(message => transport.onmessage?.(message))
  const running = new Set<AbortController>()
  const settling = new Set<Promise<unknown>>()
  let sessionId = resume?.sessionId
  let protocolVersion = resume?.protocolVersion
  let isClosed = false

  const transport: HttpTransport = {
    hasPerRequestStream: true,
    get sessionId () { return sessionId as string }, // typed as absent or a string; a getter can only be undefined
    get session () { return sessionId === undefined || protocolVersion === undefined ? null : { sessionId, protocolVersion } },
    setProtocolVersion (version) { protocolVersion = version },

    async start () {
      if (isClosed) throw new Error('the transport is closed')
    },

    async send (message, options = {}) {
      if (isClosed) throw new Error('the transport is closed')
      if ('method' in message && 'id' in message) await ask(message, options)
      else await settle(tell(message))
    },

    async endSession (signal) {
      if (sessionId === undefined) return
      const { body } = await exchange(dispatcher, { method: 'DELETE', url, headers: connectionHeaders(), signal })
      await body.dump()
    },

    async close () {
      if (isClosed) return
      isClosed = true
      await Promise.race([Promise.all(settling), delay(settleMs, undefined, { ref: false })])
      for (const controller of running) controller.abort()
      transport.onclose?.()
    }
  }

  function connectionHeaders (): Record<string, string> {
    return {
      ...endpoint.headers,
      ...(sessionId !== undefined && { 'mcp-session-id': sessionId }),
      ...(protocolVersion !== undefined && { 'mcp-protocol-version': protocolVersion })
    }
  }

  /** Resolves when the answer has been delivered, and its stream, if it has one, has ended; rejects when it cannot come any more. */
  async function ask (request: JSONRPCRequest, { headers, requestSignal }: TransportSendOptions): Promise<void> {
    const controller = abortable(requestSignal)
    try {
      const { headers: { 'content-type': type, 'mcp-session-id': begun }, body } = await post(request, controller.signal, headers)
      if (request.method === 'initialize') sessionId = typeof begun === 'string' ? begun : undefined
      switch (mediaType(type)) {
        case 'application/json':
          if (!deliver(await readText(body, maxMessageBytes), request)) throw new StreamEndedError('what came is no answer to it')
          break
        case 'text/event-stream':
          await follow(request, body, controller)
          break
        default:
          await body.dump()
          throw new SdkError(SdkErrorCode.ClientHttpUnexpectedContent, `it answered with the content type ${mediaType(type) || 'of nothing'}`)
      }
    } catch (error) {
      if (!deliverRefusal(request, error)) throw error
    } finally {
      running.delete(controller)
    }
  }

  async function tell (message: JSONRPCMessage): Promise<void> {
    const controller = abortable()
    try {
      const { body } = await post(message, controller.signal)
      await body.dump()
    } finally {
      running.delete(controller)
    }
  }

  async function post (message: JSONRPCMessage, signal: AbortSignal, more: Readonly<Record<string, string>> = {}): Promise<Dispatcher.ResponseData> {
    const headers: Record<string, string> = { ...connectionHeaders(), ...more, ...standardHeaders(message), accept: 'application/json, text/event-stream', 'content-type': 'application/json' }
    // A new session is begun without the id of an old one.
    if ('method' in message && message.method === 'initialize') delete headers['mcp-session-id']
    return await exchange(dispatcher, { method: 'POST', url, headers, body: JSON.stringify(ids.outbound(message)), signal })
  }

  /**
   * The stream of one answer, resumed where it breaks off after an event with an id.
   * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#resumability-and-redelivery
   */
  async function follow (request: JSONRPCRequest, first: Body, controller: AbortController): Promise<void> {
    const { signal } = controller
    let body = first
    let lastEventId: string | undefined
    let retryMs = defaultRetryMs
    let isAnswered = false
    for (let resumptions = 0; ; resumptions++) {
      let failure: unknown
      // A stream that has given its answer ends in a moment: to cut it off at once would cost the connection, which others can use.
      let cutOff: NodeJS.Timeout | undefined
      await settle(readEvents(body, {
        maxEventBytes: maxMessageBytes,
        onEvent (event) {
          if (event.id) lastEventId = event.id
          if (!event.data || (event.event ?? 'message') !== 'message' || !deliver(event.data, request)) return
          isAnswered = true
          cutOff ??= setTimeout(() => controller.abort(), answeredMs).unref()
        },
        onRetry: milliseconds => { retryMs = milliseconds }
      }).catch(error => { failure = error }))
      clearTimeout(cutOff)
      if (isAnswered || signal.aborted) return
      if (lastEventId === undefined || failure instanceof RangeError || resumptions === maxResumptions) throw brokenOff(failure)
      try {
        await delay(retryMs, undefined, { signal })
        ;({ body } = await exchange(dispatcher, { method: 'GET', url, headers: { ...connectionHeaders(), accept: 'text/event-stream', 'last-event-id': lastEventId }, signal }))
      } catch (error) {
        if (signal.aborted) return
        throw brokenOff(error)
      }
    }
  }

  function settle<Value> (work: Promise<Value>): Promise<Value> {
    const settled = work.catch(() => {}).finally(() => settling.delete(settled))
    settling.add(settled)
    return work
  }

  /** Delivers what a JSON text has, one message or several. True when the answer to the request is among it. */
  function deliver (text: string, request: JSONRPCRequest): boolean {
    const value = parse(text)
    let isAnswer = false
    for (const item of Array.isArray(value) ? value : [value]) {
      if (!isMessage(item)) continue
      const message = ids.inbound(item)
      const isIt = isResponse(message) && message.id === request.id
      isAnswer ||= isIt
      hand(isIt ? completed(message, request) : message)
    }
    return isAnswer
  }

  /** In the era of 2026 a refusal is an answer like any other: a 4xx has it in its body. */
  function deliverRefusal (request: JSONRPCRequest, error: unknown): boolean {
    if (!(error instanceof SdkHttpError) || !isModern(request)) return false
    const message = parseRefusal(error.data.text)
    if (message === null || ids.inbound(message).id !== request.id) return false
    hand(ids.inbound(message))
    return true
  }

  function abortable (signal?: AbortSignal): AbortController {
    const controller = new AbortController()
    running.add(controller)
    signal?.addEventListener('abort', () => controller.abort(), { once: true })
    return controller
  }

  return transport
}

const brokenOff = (cause: unknown): Error => cause instanceof RangeError || cause instanceof StreamEndedError ? cause : new StreamEndedError('its answer broke off', { cause })

const mediaType = (value: string | string[] | undefined) => String(value ?? '').split(';', 1)[0]?.trim().toLowerCase()

const isMessage = (value: unknown): value is JSONRPCMessage => isJsonObject(value) && value.jsonrpc === '2.0'

/** As the client sees it, which passes over one with more in it and would wait on. */
const isResponse = (message: JSONRPCMessage): message is JSONRPCResponse =>
  ('result' in message && isJsonObject(message.result) && Object.keys(message).length === 3) || isJSONRPCErrorResponse(message)

/** The parser's own sentence would quote what it could not read. */
function parse (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new StreamEndedError('what came is not JSON')
  }
}

function parseRefusal (text: unknown) {
  try {
    const value: unknown = JSON.parse(String(text))
    return isMessage(value) && isJSONRPCErrorResponse(value) ? value : null
  } catch {
    return null // a page for people
  }
}
