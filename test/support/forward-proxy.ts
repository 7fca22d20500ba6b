import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { Test } from 'tap'

export interface ForwardProxyOptions {
  /** Refuses everything with this status; `silent` answers nothing. */
  refuses?: number | 'silent'
}

/**
 * A forward proxy as companies have it: CONNECT for https, whole addresses for http. Every name leads to loopback,
 * since it stands for a network that has names of its own.
 */
export async function startForwardProxy (t: Test, { refuses }: ForwardProxyOptions = {}) {
  /** What was asked for, as `CONNECT up.test:443` or `POST http://up.test/mcp`. */
  const asked: string[] = []
  const credentials: Array<string | undefined> = []
  const sockets = new Set<Socket>()

  const server = createServer((incoming, response) => {
    const { method = '', url = '', headers } = incoming
    asked.push(`${method} ${url}`)
    credentials.push(headers['proxy-authorization'])
    if (refuses === 'silent') return
    if (refuses !== undefined) return response.writeHead(refuses).end('the proxy says no')
    const { port, pathname, search } = new URL(url)
    const { 'proxy-authorization': own, 'proxy-connection': hop, ...passed } = headers
    const outgoing = httpRequest({ host: '127.0.0.1', port, path: pathname + search, method, headers: passed }, answer => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    outgoing.on('error', () => response.writeHead(502).end('the proxy reaches nobody'))
    incoming.pipe(outgoing)
  })
  server.on('connect', (incoming, socket: Socket, head: Buffer) => {
    asked.push(`CONNECT ${incoming.url}`)
    credentials.push(incoming.headers['proxy-authorization'])
    sockets.add(socket)
    if (refuses === 'silent') return
    if (refuses !== undefined) return socket.end(`HTTP/1.1 ${refuses} No\r\ncontent-length: 0\r\n\r\n`)
    const target = connect(Number(incoming.url?.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      target.write(head)
      target.pipe(socket)
      socket.pipe(target)
    })
    for (const each of [socket, target]) {
      sockets.add(each)
      each.on('error', () => {
        socket.destroy()
        target.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { port, url: `http://127.0.0.1:${port}`, asked, credentials }
}
