import type { Dispatcher } from 'undici'
import { anySignal, Cancellation } from '../../cancellation.ts'
import { memberOf, presentMember, readJson, valueOf } from '../../json-text.ts'
import { packageName, version } from '../../version.ts'
import { readText } from './body-reader.ts'
import { acceptEncoding, decodedBody } from './content-encoding.ts'
import { createEventReader, startsEvents } from './event-stream.ts'
import { discard, exchangeOnce, type HttpMessage, type Reply, type ReplyHeaders } from './http-exchange.ts'
import { deliver, type TextTransport } from './text-transport.ts'

/** A server answered with a status other than 2xx. */
export class HttpError extends Error {
  override name = 'HttpError'
  readonly status: number
  readonly headers: ReplyHeaders
  /** The body, as far as it was read. */
  readonly text: string

  constructor (status: number, message: string, reply: { headers?: ReplyHeaders, text?: string } = {}) {
    super(message)
    this.status = status
    this.headers = reply.headers ?? {}
    this.text = reply.text ?? ''
  }
}

/** Redirects that keep the method and the body. */
const keepsMethod = new Set([307, 308])
const maxRedirects = 3
/** Longest part that is read of the answer to a refused request. */
const maxRefusalBytes = 65_536
/** How long the body of a refusal may take to arrive (ms): its status is known, and says enough. */
const refusalMs = 2_000

/** The headers of every request to a server; names in lower case. The operator's own come first. */
export function commonHeaders (own: Readonly<Record<string, string>>): Map<string, string> {
  const headers = new Map([['user-agent', `${packageName}/${version}`], ['accept-encoding', acceptEncoding]])
  for (const [name, value] of Object.entries(own)) headers.set(name.toLowerCase(), value)
  return headers
}

/**
 * One HTTP request to an MCP server, and its reply when that is a 2xx, decoded. The caller must read the body.
 *
 * Redirects are followed within the origin only, so that a request's credentials go where the operator sent them.
 * Rejects with HttpError for any other reply, with NotSentError when nothing was sent.
 */
export async function exchange (dispatcher: Dispatcher, message: HttpMessage): Promise<Reply> {
  let target = message.url
  for (let followed = 0; ; followed++) {
    const reply = await exchangeOnce(dispatcher, followed === 0 ? message : { ...message, url: target })
    const { status, headers } = reply
    if (status >= 200 && status < 300) {
      return headers['content-encoding'] === undefined ? reply : { status, headers, body: await decodedBody(reply) }
    }
    const next = redirectTarget(reply, target)
    if (next === null) throw await refusal(reply)
    await discard(reply.body)
    if (next.origin !== message.url.origin || !keepsMethod.has(status) || followed === maxRedirects) {
      const where = next.origin === message.url.origin ? next.pathname : next.origin
      throw new HttpError(status, `it redirects to ${where}, which is not followed`)
    }
    target = next
  }
}

/** How long a server may take to answer a notification (ms). */
const notifiedMs = 2_000

/**
 * Sends a notification. Resolves when the server has answered it, or is slow to: some never do, or keep the body open,
 * and what follows needs no answer to it. Such an exchange is broken off, so that it costs no connection for longer.
 * Rejects as {@link exchange} does.
 */
export async function sendNotification (dispatcher: Dispatcher, message: HttpMessage): Promise<void> {
  const late = new Cancellation()
  const timer = setTimeout(() => late.abort(new Error('the server did not answer a notification')), notifiedMs).unref()
  const signal = anySignal(message.signal, late)
  try {
    const { body } = await exchange(dispatcher, { ...message, signal })
    discard(body).finally(() => clearTimeout(timer)) // not waited for
  } catch (error) {
    clearTimeout(timer)
    if (!late.signal.aborted) throw error
  }
}

function redirectTarget ({ status, headers: { location } }: Reply, from: URL): URL | null {
  const isRedirect = status >= 300 && status < 400 && typeof location === 'string'
  return isRedirect && URL.canParse(location, from.href) ? new URL(location, from) : null
}

async function refusal (reply: Reply): Promise<HttpError> {
  const { status, headers, body } = reply
  const timer = setTimeout(() => body.destroy(), refusalMs)
  // Too long, broken off, or in no encoding that we know: the status says enough.
  const text = await decodedBody(reply).then(decoded => readText(decoded, maxRefusalBytes)).catch(() => '')
  clearTimeout(timer)
  return new HttpError(status, `HTTP ${status}`, { headers, text })
}

/**
 * Delivers the body of a refusal when it is an answer like any other. Returns whether it was.
 *
 * It has the id of the request. One without an id is an answer only where nothing but the request can be meant: to a
 * request that carries a session, it may be about the session.
 */
export function deliverAnswer (
  transport: TextTransport, body: string, { id, mayLackId }: { id: number, mayLackId: boolean }
): boolean {
  return textsIn(body).some(text => (mayLackId || isAnswerTo(id, text)) && deliver(transport, text, id) === 'answer')
}

/** A refusal may be a stream of events, too. */
function textsIn (body: string): string[] {
  if (!startsEvents(body)) return [body]
  const texts: string[] = []
  const reader = createEventReader({ maxEventBytes: maxRefusalBytes, onEvent: ({ data }) => texts.push(data) })
  reader.push(Buffer.from(body))
  reader.end()
  return texts
}

/** Whether a JSON text is the answer to the request with this id, or a batch that has it. */
function isAnswerTo (id: number, text: string): boolean {
  const document = readJson(text, 2)
  if (document === null) return false
  return (document.root.items ?? [document.root]).some(message => {
    const given = presentMember(message, 'id')
    const isResponse = memberOf(message, 'method') === null &&
      (memberOf(message, 'result') !== null || presentMember(message, 'error') !== null)
    const isId = given?.type === 'number' || given?.type === 'string'
    return isResponse && isId && Number(valueOf(document, given)) === id
  })
}
