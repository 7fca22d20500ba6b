import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

export interface HttpRequest {
  http: string
  path: string
  headers: IncomingMessage['headers']
  /** The body as it came. */
  text: string
  /** The JSON-RPC message in it; empty for anything else. */
  message: { id?: number, method?: string, params?: Record<string, unknown> }
}

export type HttpHandler = (request: HttpRequest, response: ServerResponse) => void

/** A server of the test's own on a free port of loopback, which the test's end ends, and what came to it. */
export async function serve (t: Test, handle: HttpHandler) {
  const requests: HttpRequest[] = []
  const sockets = { open: 0, peak: 0 }
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const text = Buffer.concat(chunks).toString()
      const { method: http = '', url: path = '', headers } = incoming
      const request = { http, path, headers, text, message: text.startsWith('{') ? JSON.parse(text) : {} }
      requests.push(request)
      handle(request, response)
    })
  })
  server.on('connection', socket => {
    sockets.peak = Math.max(sockets.peak, ++sockets.open)
    socket.once('close', () => sockets.open--)
  })
  const origin = await listenOnLoopback(t, server)
  return { origin, url: `${origin}/mcp`, requests, sockets, close: () => server.closeAllConnections() }
}

/** Lets a server listen on a free port of loopback until the test ends. Gives its origin. */
export async function listenOnLoopback (t: Test, server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
