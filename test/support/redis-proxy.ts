import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

export interface RedisProxy {
  url: string
  /** Passes everything on. */
  pass: () => void
  /** Takes what comes, and passes nothing on in either direction: a network that swallows packets. */
  swallow: () => void
  /** Breaks every connection off, as soon as something is sent on it. */
  reset: () => void
}

/**
 * A network between the service and a Redis, which can fail as networks do. `rewrite` changes what Redis answers; the
 * text must keep its length.
 */
export async function startProxy (
  t: Test, socket: string, rewrite: (answer: string) => string = answer => answer
): Promise<RedisProxy> {
  let mode: 'pass' | 'swallow' | 'reset' = 'pass'
  const open = new Set<Socket>()
  const server = createServer(near => {
    const far = connect(socket)
    const pairs: Array<[Socket, Socket]> = [[near, far], [far, near]]
    for (const [from, to] of pairs) {
      open.add(from)
      from.on('error', () => {}).once('close', () => {
        open.delete(from)
        to.destroy()
      })
      from.on('data', (chunk: Buffer) => {
        if (mode === 'pass') to.write(from === far ? Buffer.from(rewrite(chunk.toString('latin1')), 'latin1') : chunk)
        else if (mode === 'reset') near.resetAndDestroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const connection of open) connection.destroy()
  })
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    pass: () => { mode = 'pass' },
    swallow: () => { mode = 'swallow' },
    reset: () => { mode = 'reset' }
  }
}
