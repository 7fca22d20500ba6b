import { randomInt } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import {
  isJSONRPCErrorResponse, type JSONRPCMessage, type JSONRPCRequest, SdkError, SdkErrorCode, SdkHttpError,
  type TransportSendOptions
} from '@modelcontextprotocol/client'
import type { Dispatcher } from 'undici'
import { readAnswerStream } from './answer-stream.ts'
import { completed, isModern, standardHeaders } from './era-2026.ts'
import { exchange, readText } from './http-request.ts'
import { type HttpEndpoint, type HttpTransport, type HttpTransportOptions, StreamEndedError } from './http-transport.ts'
import { isResponse, parseMessage, parseMessages } from './json-rpc.ts'
import { createOrderedDelivery } from './ordered-delivery.ts'
import { createIdShift } from './request-ids.ts'

/** How long notifications and answered streams may take to end when the transport closes (ms). */
const settleMs = 250

/**
 * MCP's streamable HTTP: each message is a POST; the answer is JSON, or a stream of events that has it.
 *
 * Differs from the SDK's transport in four things that a service needs. It opens no stream that no request needs; the
 * SDK sends a GET after each handshake. It notices when a stream ends without its answer, and does not wait for the
 * deadline. A message has a largest size. Ids are unique over transports, so that two requests may use one session at
 * the same time.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
 * @see https://github.com/modelcontextprotocol/typescript-sdk/issues/2739
 */
export function createStreamableHttpTransport (endpoint: HttpEndpoint, options: HttpTransportOptions): HttpTransport {
  const { dispatcher, maxMessageBytes, resume } = options
  const url = new URL(endpoint.url)
  const ids = createIdShift(randomInt(2 ** 40))
  const deliver = createOrderedDelivery(message => transport.onmessage?.(message))
  const running = new Set<AbortController>()
  const settling = new Set<Promise<unknown>>()
  let sessionId = resume?.sessionId
  let protocolVersion = resume?.protocolVersion
  let isClosed = false

  const transport: HttpTransport = {
    hasPerRequestStream: true,
    get sessionId () { return sessionId as string }, // typed as absent or a string; a getter can only be undefined
    get session () {
      return sessionId === undefined || protocolVersion === undefined ? null : { sessionId, protocolVersion }
    },
    setProtocolVersion (version) { protocolVersion = version },

    async start () {
      if (isClosed) throw new Error('the transport is closed')
    },

    async send (message, options = {}) {
      if (isClosed) throw new Error('the transport is closed')
      if ('method' in message && 'id' in message) await request(message, options)
      else await settle(notify(message))
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

  /**
   * Resolves when the answer has been delivered, and its stream, if it has one, has ended. Rejects when the answer
   * cannot come any more.
   */
  async function request (message: JSONRPCRequest, options: TransportSendOptions): Promise<void> {
    const controller = startRequest(options.requestSignal)
    const { signal } = controller
    try {
      const { headers, body } = await post(message, signal, options.headers)
      const begun = headers['mcp-session-id']
      if (message.method === 'initialize') sessionId = typeof begun === 'string' ? begun : undefined
      const mediaType = mediaTypeOf(headers['content-type'])
      if (mediaType === 'application/json') {
        const isAnswer = deliverText(await readText(body, maxMessageBytes), message)
        if (!isAnswer) throw new StreamEndedError('what came is no answer to it')
      } else if (mediaType === 'text/event-stream') {
        await settle(readAnswerStream(body, {
          maxEventBytes: maxMessageBytes,
          resume: async lastEventId => await resumeStream(lastEventId, signal),
          onMessage: data => deliverText(data, message),
          controller
        }))
      } else {
        await body.dump()
        const sentence = `it answered with the content type ${mediaType || 'of nothing'}`
        throw new SdkError(SdkErrorCode.ClientHttpUnexpectedContent, sentence)
      }
    } catch (error) {
      if (!deliverRefusal(error, message)) throw error
    } finally {
      running.delete(controller)
    }
  }

  async function notify (message: JSONRPCMessage): Promise<void> {
    const controller = startRequest()
    try {
      const { body } = await post(message, controller.signal)
      await body.dump()
    } finally {
      running.delete(controller)
    }
  }

  async function post (
    message: JSONRPCMessage, signal: AbortSignal, more: Readonly<Record<string, string>> = {}
  ): Promise<Dispatcher.ResponseData> {
    const headers: Record<string, string> = {
      ...connectionHeaders(),
      ...more,
      ...standardHeaders(message),
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json'
    }
    // A new session is begun without the id of an old one.
    if ('method' in message && message.method === 'initialize') delete headers['mcp-session-id']
    const body = JSON.stringify(ids.outbound(message))
    return await exchange(dispatcher, { method: 'POST', url, headers, body, signal })
  }

  async function resumeStream (lastEventId: string, signal: AbortSignal) {
    const headers = { ...connectionHeaders(), accept: 'text/event-stream', 'last-event-id': lastEventId }
    const { body } = await exchange(dispatcher, { method: 'GET', url, headers, signal })
    return body
  }

  function startRequest (signal?: AbortSignal): AbortController {
    const controller = new AbortController()
    running.add(controller)
    signal?.addEventListener('abort', () => controller.abort(), { once: true })
    return controller
  }

  function settle<Value> (work: Promise<Value>): Promise<Value> {
    const settled = work.catch(() => {}).finally(() => settling.delete(settled))
    settling.add(settled)
    return work
  }

  /** Delivers the messages of a JSON text, one or several. Returns whether the answer to the request is among them. */
  function deliverText (text: string, request: JSONRPCRequest): boolean {
    let hasAnswer = false
    for (const message of parseMessages(text).map(message => ids.inbound(message))) {
      const isAnswer = isResponse(message) && message.id === request.id
      hasAnswer ||= isAnswer
      deliver(isAnswer ? completed(message, request) : message)
    }
    return hasAnswer
  }

  /** In the era of 2026 a refusal is an answer like any other, in the body of a 4xx. Returns whether this one was. */
  function deliverRefusal (error: unknown, request: JSONRPCRequest): boolean {
    if (!(error instanceof SdkHttpError) || !isModern(request)) return false
    const message = parseMessage(String(error.data.text))
    if (message === null || !isJSONRPCErrorResponse(message) || ids.inbound(message).id !== request.id) return false
    deliver(ids.inbound(message))
    return true
  }

  return transport
}

const mediaTypeOf = (contentType: string | string[] | undefined) =>
  String(contentType ?? '').split(';', 1)[0]?.trim().toLowerCase()
