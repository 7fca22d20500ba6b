/** Bounds on what one server sends. Beyond one of them it is ended, or the request fails with a BoundError. */
export interface IntakeBounds {
  /** Bytes in a minute without an answer, or in the answer to one HTTP request. */
  maxBytes: number
  /** Messages, and lines that are none, in the same. */
  maxMessages: number
  /** Requests of the server that were answered and whose answers it has not taken. */
  maxRequests: number
  /** Values in one message, as far down as they are looked at. */
  maxValues: number
}

export const defaultBounds: IntakeBounds = {
  maxBytes: 268_435_456, maxMessages: 50_000, maxRequests: 100, maxValues: 500_000
}

/** A server sent more than it may. The message is for callers, and names the setting. */
export class BoundError extends RangeError {
  override name = 'BoundError'
}

/** Counts what a server sends. */
export interface Intake {
  /** Throws BoundError. */
  bytes: (count: number) => void
  /** Counts a message, or several at once. Throws BoundError. */
  message: (count?: number) => void
  /** The server has answered a request: it may send as much again. One that serves many requests sends a lot. */
  answered: () => void
}

/** A server that serves for days may send more in all (ms). */
const windowMs = 60_000

export function createIntake ({ maxBytes, maxMessages }: Pick<IntakeBounds, 'maxBytes' | 'maxMessages'>): Intake {
  let begunAt = performance.now()
  let bytes = 0
  let messages = 0

  function begin (): void {
    begunAt = performance.now()
    bytes = 0
    messages = 0
  }

  const isOver = () => performance.now() - begunAt >= windowMs

  return {
    bytes (count) {
      if (bytes + count > maxBytes) {
        if (!isOver()) throw new BoundError(`it sent more than ${maxBytes} bytes in a minute (MCP_MAX_SERVER_BYTES)`)
        begin()
      }
      bytes += count
    },
    message (count = 1) {
      if (messages + count > maxMessages) {
        const sentence = `it sent more than ${maxMessages} messages in a minute (MCP_MAX_SERVER_MESSAGES)`
        if (!isOver() || count > maxMessages) throw new BoundError(sentence)
        begin()
      }
      messages += count
    },
    answered: begin
  }
}
