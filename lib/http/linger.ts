import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'

/** How much is read and dropped of a request that was answered before it had arrived (bytes). */
export const maxLingerBytes = 64 * 1024 * 1024

/** How long the rest of such a request is waited for (ms). */
export const lingerMs = 10_000

const kLingering = Symbol('lingering')

type LingeringSocket = Socket & { [kLingering]?: number }

/** Whether a connection has had its last answer and only waits for its caller to stop sending; counts what it sends. */
export function isLingering (socket: LingeringSocket, bytes = 0): boolean {
  if (socket[kLingering] === undefined) return false
  socket[kLingering] += bytes
  if (socket[kLingering] > maxLingerBytes) socket.destroy()
  return true
}

/**
 * Writes the last answer of a connection, and closes it when the caller has stopped to send. Closed at once, the
 * connection would be reset by what still arrives, and the caller's system would drop the answer.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-9.6
 */
export function endLingering (socket: LingeringSocket, answer: string): void {
  socket[kLingering] = 0
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(timer))
  // Half-closed: the caller sees the end, and what it still sends is taken.
  socket.once('end', () => socket.destroySoon()).end(answer)
  socket.resume()
}

/**
 * The text of an answer to a request whose body is still arriving. Its stream ends when the rest was read and dropped.
 * Beyond a bound it ends before, and the connection with it.
 */
export function endAfterBody (body: IncomingMessage, response: ServerResponse, text: string | Buffer): Readable {
  const stream = new Readable({ read () {} })
  let bytes = 0
  const timer = setTimeout(giveUp, lingerMs)
  body.on('data', count).once('end', end).once('close', end).once('error', end).resume()
  stream.push(text)
  return stream

  function count (chunk: Buffer): void {
    bytes += chunk.length
    if (bytes > maxLingerBytes) giveUp()
  }
  function giveUp (): void {
    response.once('finish', () => body.socket.destroySoon())
    end()
  }
  function end (): void {
    clearTimeout(timer)
    body.off('data', count)
    stream.push(null)
  }
}
