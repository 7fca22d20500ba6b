import type { Readable } from 'node:stream'
import { Cancellation } from '../../cancellation.ts'
import { BoundError, createIntake, defaultBounds } from './bounds.ts'
import { readBody, readText } from './body-reader.ts'
import { createCookieJar } from './cookie-jar.ts'
import { createEventReader } from './event-stream.ts'
import type { HttpMessage } from './http-exchange.ts'
import { commonHeaders, deliverAnswer, exchange, HttpError, sendNotification } from './http-request.ts'
import { type HttpEndpoint, type HttpTransport, type HttpTransportOptions, StreamEndedError } from './http-transport.ts'
import { asText, deliver, NotSentError } from './text-transport.ts'

/**
 * HTTP with server-sent events, MCP's first transport. One stream brings every message of the server. Its first event
 * names the address that the client's messages go to, which must be of the stream's own origin.
 *
 * @see https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse
 */
export function createSseTransport (endpoint: HttpEndpoint, options: HttpTransportOptions): HttpTransport {
  const { dispatcher, maxMessageBytes, bounds = defaultBounds, keepsCookies } = options
  const url = new URL(endpoint.url)
  const cookies = keepsCookies ? createCookieJar(url) : null
  const ownHeaders = commonHeaders(endpoint.headers)
  const lifetime = new Cancellation()
  const { signal } = lifetime
  let address: URL | null = null

  const transport: HttpTransport & { failure: Error | null } = {
    failure: null,

    async start () {
      const headers = new Map(ownHeaders).set('accept', 'text/event-stream')
      const { body } = await exchange(dispatcher, { method: 'GET', url, headers, signal, cookies })
      address = await new Promise((resolve, reject) => {
        // Before the address is known, the end of the stream is a start that failed; later it ends the transport.
        listen(body, resolve).catch((error: Error) => {
          if (error instanceof BoundError) transport.failure = error
          reject(error)
        }).finally(() => {
          reject(new StreamEndedError('its event stream ended before it named an address'))
          lifetime.abort()
          transport.onclose?.()
        })
      })
    },

    async send (sent) {
      if (address === null || signal.aborted) throw new NotSentError(new Error('the event stream is not open'))
      const { id, text, headers: own = [], secrets = [] } = asText(sent)
      const headers = new Map(ownHeaders)
      for (const [name, value] of own) headers.set(name, value)
      headers.set('content-type', 'application/json')
      const message: HttpMessage = {
        method: 'POST',
        url: address,
        headers,
        body: text,
        secrets,
        signal,
        cookies
      }
      if (id === undefined) return await sendNotification(dispatcher, message)
      try {
        const { body } = await exchange(dispatcher, message)
        // Some servers answer here, and not on the stream.
        deliver(transport, await readText(body, maxMessageBytes).catch(() => ''), id)
      } catch (error) {
        const isAnswer = error instanceof HttpError && deliverAnswer(transport, error.text, { id, mayLackId: true })
        if (!isAnswer) throw error
      }
    },

    async close () {
      lifetime.abort()
    }
  }

  async function listen (body: Readable, onAddress: (address: URL) => void): Promise<void> {
    await readBody(body, createEventReader({
      maxEventBytes: maxMessageBytes,
      intake: createIntake(bounds),
      onEvent ({ event, data }) {
        if (event === 'endpoint') onAddress(addressIn(data))
        else deliver(transport, data)
      }
    }))
  }

  function addressIn (text: string): URL {
    const address = new URL(text.trim(), url)
    if (address.origin !== url.origin) {
      throw new Error(`it names an address of another origin, ${address.origin}`)
    }
    return address
  }

  return transport
}
