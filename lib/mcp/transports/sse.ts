import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/client'
import type { Dispatcher } from 'undici'
import { createOrderedDelivery } from './ordered-delivery.ts'
import { readEvents } from './event-stream.ts'
import { type Body, exchange } from './http-request.ts'
import type { HttpEndpoint } from '../servers-file/server-spec.ts'

export interface SseTransportOptions {
  dispatcher: Dispatcher
  /** Longest message that the server may send (bytes). */
  maxMessageBytes: number
}

/**
 * HTTP with server-sent events, MCP's first transport: one stream brings everything that the server says, its first event
 * names the address that takes what the client says. That address must be of the stream's own origin.
 *
 * @see https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse
 */
export function createSseTransport (endpoint: HttpEndpoint, { dispatcher, maxMessageBytes }: SseTransportOptions): Transport {
  const url = new URL(endpoint.url)
  const lifetime = new AbortController()
  const { signal } = lifetime
  const hand = createOrderedDelivery(message => transport.onmessage?.(message))
  let address: URL | null = null

  const transport: Transport = {
    async start () {
      const { body } = await exchange(dispatcher, { method: 'GET', url, headers: { ...endpoint.headers, accept: 'text/event-stream' }, signal })
      address = await new Promise((resolve, reject) => {
        // Without an address, the end of the stream is a start that failed; after that, it is the end.
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
        method: 'POST', url: address, headers: { ...endpoint.headers, 'content-type': 'application/json' }, body: JSON.stringify(message), signal
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
        if (event === 'endpoint') onAddress(addressOf(data))
        else if (event === 'message') hand(JSON.parse(data) as JSONRPCMessage)
      }
    })
  }

  function addressOf (text: string): URL {
    const address = new URL(text, url)
    if (address.origin !== url.origin) throw new Error(`it names an address of another origin, ${address.origin}`)
    return address
  }

  return transport
}
