import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

/*
 * Ports below those that a system gives to a socket without a port of its own (from 32768 on Linux, from 49152
 * elsewhere). So no other server comes to listen there by chance.
 */
const firstPort = 20_000
const portCount = 12_000

/** A port without a listener, by chance one of thousands. Only a program that is given this number takes it. */
export async function freePort () {
  for (;;) {
    const port = firstPort + randomInt(portCount)
    if (await isFree(port)) return port
  }
}

async function isFree (port) {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}

/** Whether somebody listens at a port. Only connects: a request would count as one with the services behind. */
export function listens (port) {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
