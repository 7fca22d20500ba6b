import { settledWithin } from '../../alarms.ts'
import { Cancellation, type CancelSignal } from '../../cancellation.ts'
import { parseJsonObject } from '../../json.ts'
import { createNumberTable } from '../../number-table.ts'
import { readAnswer } from './answer-body.ts'
import { createIntake, defaultBounds } from './bounds.ts'
import { createCookieJar } from './cookie-jar.ts'
import { discard, type HttpMessage } from './http-exchange.ts'
import { commonHeaders, deliverAnswer, exchange, HttpError, sendNotification } from './http-request.ts'
import { type HttpEndpoint, type HttpTransport, type HttpTransportOptions, StreamEndedError } from './http-transport.ts'
import { saysSessionIsLost } from './session-loss.ts'
import { asText, deliver, type MessageText, NotSentError } from './text-transport.ts'

/** How long notifications and answered streams may take to end when the transport closes (ms). */
const settleMs = 250

/** A server, or a proxy before it, that does not take any request now, or none from us. */
const saysNothingOfMethods = new Set([401, 407, 429, 503, 504])

/**
 * MCP's streamable HTTP: each message is a POST; the answer is JSON, or a stream of events that has it.
 *
 * Opens no stream that no request needs. It notices when an answer cannot come any more, and does not wait for the
 * deadline. A message has a largest size.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
 */
export function createStreamableHttpTransport (endpoint: HttpEndpoint, options: HttpTransportOptions): HttpTransport {
  const { dispatcher, maxMessageBytes, bounds = defaultBounds, resume, keepsCookies } = options
  const url = new URL(endpoint.url)
  const cookies = keepsCookies ? createCookieJar(url, resume?.cookies) : null
  const ownHeaders = commonHeaders(endpoint.headers)
  const running = createNumberTable<Cancellation>()
  const settling = createNumberTable<Promise<unknown>>()
  let lastNumber = 0
  /** Made with the first notification: most clients make one request of a session that is there. */
  let notifying: Cancellation | null = null
  let protocolVersion = resume?.protocolVersion ?? ''
  let isClosed = false

  const transport: HttpTransport & { isSessionInDoubt: boolean, mayBeOlder: boolean } = {
    hasPerRequestStream: true,
    isSessionInDoubt: false,
    mayBeOlder: false,

    session () {
      const { sessionId } = transport
      if (sessionId === undefined) return null
      const kept = cookies?.cookies() ?? []
      return { sessionId, protocolVersion, ...(kept.length > 0 && { cookies: kept }) }
    },
    setProtocolVersion (version) { protocolVersion = version },

    refusesMethod (error) {
      // A firewall (403) may pass the methods that it knows; a gateway says 502 when its function broke at one.
      if (error instanceof HttpError) return !saysNothingOfMethods.has(error.status) && !challenges(error)
      return error instanceof StreamEndedError
    },

    async start () {
      if (isClosed) throw new NotSentError(new Error('the transport is closed'))
    },

    send (message, { requestSignal, exchange } = {}) {
      if (isClosed) return Promise.reject(new NotSentError(new Error('the transport is closed')))
      const text = asText(message)
      const { id, method } = text
      if (id === undefined || method === undefined) return settle(notify(text))
      return request(text, id, exchange ?? following(requestSignal))
    },

    async endSession (signal) {
      if (transport.sessionId === undefined) return
      const headers = connectionHeaders()
      const { body } = await exchange(dispatcher, { method: 'DELETE', url, headers, signal, cookies })
      await discard(body)
    },

    async close () {
      if (isClosed) return
      isClosed = true
      if (settling.size() > 0) await settledWithin(Promise.all(settling.values()), settleMs)
      for (const controller of running.values()) controller.abort()
      notifying?.abort()
      transport.onclose?.()
    }
  }

  if (resume !== undefined) keepSession(resume.sessionId)

  function connectionHeaders (): Map<string, string> {
    const headers = new Map(ownHeaders)
    if (transport.sessionId !== undefined) headers.set('mcp-session-id', transport.sessionId)
    if (protocolVersion !== '') headers.set('mcp-protocol-version', protocolVersion)
    return headers
  }

  /**
   * Resolves when the answer has been delivered, and its stream, if it has one, has ended. Rejects when the answer
   * cannot come any more.
   */
  async function request (message: MessageText, id: number, controller: Cancellation): Promise<void> {
    const number = ++lastNumber
    running.set(number, controller)
    const { signal } = controller
    // A new session is begun without the id of an old one.
    if (message.method === 'initialize') keepSession(undefined)
    try {
      const reply = await exchange(dispatcher, posted(message, signal))
      if (message.method === 'initialize') {
        const begun = reply.headers['mcp-session-id']
        keepSession(typeof begun === 'string' ? begun : undefined)
      }
      await settle(readAnswer(reply, {
        maxMessageBytes,
        intake: createIntake(bounds),
        resume: lastEventId => resumeStream(lastEventId, signal),
        onText: text => deliver(transport, text, id),
        onOlder () { transport.mayBeOlder = true },
        controller
      }))
    } catch (error) {
      if (!(error instanceof HttpError)) throw error
      if (message.method === 'initialize') transport.mayBeOlder = refusesAsOlder(error, url)
      transport.isSessionInDoubt ||= mayBeAboutSession(error)
      // A status and no id: nothing says that a tool was reached, so it is no word of a tool.
      const mayLackId = transport.sessionId === undefined && !isModern(message) && message.method !== 'tools/call'
      if (saysMoreThanItsBody(error) || !deliverAnswer(transport, error.text, { id, mayLackId })) throw error
    } finally {
      running.delete(number)
    }
  }

  function keepSession (id: string | undefined): void {
    if (id === undefined) delete transport.sessionId
    else transport.sessionId = id
  }

  function notify (message: MessageText): Promise<void> {
    notifying ??= new Cancellation()
    return sendNotification(dispatcher, posted(message, notifying.signal))
  }

  function posted (message: MessageText, signal: CancelSignal): HttpMessage {
    const headers = connectionHeaders()
    for (const [name, value] of message.headers ?? []) headers.set(name, value)
    headers.set('accept', 'application/json, text/event-stream').set('content-type', 'application/json')
    const { text: body, secrets = [] } = message
    return { method: 'POST', url, headers, body, secrets, signal, cookies }
  }

  async function resumeStream (lastEventId: string, signal: CancelSignal) {
    const headers = connectionHeaders().set('accept', 'text/event-stream').set('last-event-id', lastEventId)
    const { body } = await exchange(dispatcher, { method: 'GET', url, headers, signal, cookies })
    return body
  }

  function settle<Value> (work: Promise<Value>): Promise<Value> {
    const number = ++lastNumber
    const over = () => settling.delete(number)
    settling.set(number, work.then(over, over))
    return work
  }

  return transport
}

/**
 * Statuses by which a server of the first transport refuses a POST at the address of its stream.
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#backwards-compatibility
 */
const olderStatuses = new Set([400, 404, 405, 501])

/** At a path that ends in `/sse`, as those servers have it, any refusal is taken for one of the POST. */
function refusesAsOlder (error: HttpError, { pathname }: URL): boolean {
  if (saysNothingOfMethods.has(error.status) || challenges(error)) return false
  // A 400 in words of JSON-RPC is of a server that has read the message.
  if (error.status === 400 && parseJsonObject(error.text)?.jsonrpc !== undefined) return false
  return olderStatuses.has(error.status) || /\/sse\/?$/i.test(pathname)
}

/** A controller that aborts with the signal. */
function following (signal: CancelSignal | undefined): Cancellation {
  const controller = new Cancellation()
  signal?.addEventListener('abort', () => controller.abort(), { once: true })
  return controller
}

/** Whether a request is of the era of 2026. A server of another era refuses it with no id of it. */
const isModern = ({ headers }: MessageText) => headers?.has('mcp-method') === true

/** Statuses by which servers refuse a session that they do not know, and other things. */
const sessionStatuses = new Set([400, 404, 410, 422])

/** Whether a refusal may be about the session, also where it answers the request. */
const mayBeAboutSession = ({ status, text }: HttpError) =>
  status === 500 || (sessionStatuses.has(status) && saysSessionIsLost(text))

/**
 * The status matters more than the body: it tells who was refused, when to come again, or that the server was not
 * reached.
 */
const saysMoreThanItsBody = ({ status }: HttpError) => [401, 403, 407, 429, 502, 503, 504].includes(status)

/** Whether a 403 asks for other credentials. */
const challenges = ({ status, headers }: HttpError) => status === 403 && headers['www-authenticate'] !== undefined
