import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { type Body, tooLong } from './http-request.ts'

export interface EventStreamOptions {
  /** Longest event (bytes), give or take a chunk. */
  maxEventBytes: number
  onEvent: (event: EventSourceMessage) => void
  /** Gets the pause (ms) that the server wants before a stream that broke off is resumed. */
  onRetry?: (milliseconds: number) => void
}

/**
 * Reads server-sent events until the stream ends. Rejects when it breaks off, with RangeError when an event is too
 * long.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export function readEvents (body: Body, { maxEventBytes, onEvent, onRetry }: EventStreamOptions): Promise<void> {
  const decoder = new TextDecoder() // a character may be split between two chunks
  let pendingBytes = 0
  const parser = createParser({
    onEvent (event) {
      pendingBytes = 0
      onEvent(event)
    },
    onComment: () => { pendingBytes = 0 }, // a heartbeat belongs to no event
    ...(onRetry && { onRetry })
  })
  return new Promise((resolve, reject) => {
    body.on('data', (chunk: Buffer) => {
      pendingBytes += chunk.length
      try {
        parser.feed(decoder.decode(chunk, { stream: true }))
        if (pendingBytes > maxEventBytes) throw tooLong(maxEventBytes)
      } catch (error) {
        body.destroy(error as Error) // the promise rejects with it, also when onEvent threw it
      }
    })
    body.once('end', resolve)
    body.once('error', reject)
  })
}
