import { readEvents } from './event-stream.ts'
import { type Body, exchange } from './http-request.ts'
import type { HttpEndpoint, HttpTransport, HttpTransportOptions } from './http-transport.ts'
import { parseMessages } from './json-rpc.ts'
import { createOrderedDelivery } from './ordered-delivery.ts'

/**
 * HTTP with server-sent events, MCP's first transport. One stream brings every message of the server. Its first event
 * names the address that the client's messages go to, which must be of the stream's own origin.
 *
 * @see https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse
 */
export function createSseTransport (endpoint: HttpEndpoint, options: HttpTransportOptions): HttpTransport {
  const { dispatcher, maxMessageBytes } = options
  const url = new URL(endpoint.url)
  const lifetime = new AbortController()
  const { signal } = lifetime
  const deliver = createOrderedDelivery(message => transport.onmessage?.(message))
  let address: URL | null = null

  const transport: HttpTransport = {
    async start () {
      const headers = { ...endpoint.headers, accept: 'text/event-stream' }
      const { body } = await exchange(dispatcher, { method: 'GET', url, headers, signal })
      address = await new Promise((resolve, reject) => {
        // Before the address is known, the end of the stream is a start that failed; later it ends the transport.
        listen(body, resolve).catch(reject).finally(() => {
          reject(new Error('its event stream ended before it named an address'))
          lifetime.abort()
          transport.onclose?.()
        })
      })
    },

    async send (message) {
      if (address === null) throw new Error('the transport was not started')
      const { body } = await exchange(dispatcher, {
        method: 'POST',
        url: address,
        headers: { ...endpoint.headers, 'content-type': 'application/json' },
        body: JSON.stringify(message),
        signal
      })
      await body.dump()
    },

    async close () {
      lifetime.abort()
    }
  }

  async function listen (body: Body, onAddress: (address: URL) => void): Promise<void> {
    await readEvents(body, {
      maxEventBytes: maxMessageBytes,
      onEvent ({ event = 'message', data }) {
        if (event === 'endpoint') return onAddress(addressIn(data))
        if (event === 'message') for (const message of parseMessages(data)) deliver(message)
      }
    })
  }

  function addressIn (text: string): URL {
    const address = new URL(text, url)
    if (address.origin !== url.origin) {
      throw new Error(`it names an address of another origin, ${address.origin}`)
    }
    return address
  }

  return transport
}
