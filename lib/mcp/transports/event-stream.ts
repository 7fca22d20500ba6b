import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { type BodyReader, tooLong } from './body-reader.ts'

export interface EventReaderOptions {
  /** Longest event (bytes), give or take a chunk. */
  maxEventBytes: number
  onEvent: (event: EventSourceMessage) => void
  /** Gets the pause (ms) that the server wants before a stream that broke off is resumed. */
  onRetry?: (milliseconds: number) => void
}

/**
 * Reads server-sent events. Its `push` throws RangeError when an event is too long.
 *
 * Differs from the specification in what servers need. An event whose blank line is missing at the end of the stream
 * counts; it has no id, since it may have been cut off.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export function createEventReader ({ maxEventBytes, onEvent, onRetry }: EventReaderOptions): BodyReader {
  const decoder = new TextDecoder() // a character may be split between two chunks
  let pendingBytes = 0
  let endedInReturn = false
  let isLast = false
  const parser = createParser({
    onEvent ({ id, ...event }) {
      pendingBytes = 0
      onEvent(id === undefined || isLast ? event : { id, ...event })
    },
    onComment: () => { pendingBytes = 0 }, // a heartbeat belongs to no event
    ...(onRetry && { onRetry })
  })

  /** Line breaks as the parser needs them: it waits after a carriage return, since a line feed may follow. */
  function unified (text: string): string {
    if (text === '') return text
    const rest = endedInReturn && text.startsWith('\n') ? text.slice(1) : text
    endedInReturn = text.endsWith('\r')
    return rest.includes('\r') ? rest.replace(/\r\n?/g, '\n') : rest
  }

  return {
    push (chunk) {
      pendingBytes += chunk.length
      parser.feed(unified(decoder.decode(chunk, { stream: true })))
      if (pendingBytes > maxEventBytes) throw tooLong(maxEventBytes)
    },
    end () {
      isLast = true
      parser.feed('\n\n')
    }
  }
}

/** Whether a text begins as an event stream does, with a field or a comment. A byte order mark may stand before it. */
export const startsEvents = (text: string) => /^\s*(data|event|id|retry)?:/.test(text)
