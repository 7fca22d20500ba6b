import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { decodePieces } from '../../scratch.ts'
import { BoundError, type Intake } from './bounds.ts'
import { type BodyReader, tooLong } from './body-reader.ts'

export interface EventReaderOptions {
  /** Longest event (bytes), give or take a chunk. */
  maxEventBytes: number
  /** Counts what comes. */
  intake?: Intake
  onEvent: (event: EventSourceMessage) => void
  /** Gets the pause (ms) that the server wants before a stream that broke off is resumed. */
  onRetry?: (milliseconds: number) => void
}

const lineFeed = 0x0a
const carriageReturn = 0x0d
const colon = 0x3a

/** Longest line of a comment (bytes), give or take a chunk. Servers keep a connection open with a few. */
const maxCommentBytes = 1_048_576

/**
 * Reads server-sent events. Its `push` throws BoundError when an event, or a line of a comment, is too long.
 *
 * Differs from the specification in what servers need. An event whose blank line is missing at the end of the stream
 * counts; it has no id, since it may have been cut off.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export function createEventReader ({ maxEventBytes, intake, onEvent, onRetry }: EventReaderOptions): BodyReader {
  /** The beginning of a line that has not ended. The parser would look through all of it at each chunk. */
  let pieces: Buffer[] = []
  let pendingBytes = 0
  let endedInReturn = false
  let isFirst = true
  let isLast = false
  const parser = createParser({
    onEvent ({ id, ...event }) {
      pendingBytes = 0
      intake?.message()
      onEvent(id === undefined || isLast ? event : { id, ...event })
    },
    onComment () { // a heartbeat belongs to no event
      pendingBytes = 0
      intake?.message()
    },
    ...(onRetry && { onRetry })
  })

  /** Line breaks as the parser needs them: it waits after a carriage return, since a line feed may follow. */
  function unified (text: string): string {
    if (text === '') return text
    const rest = endedInReturn && text.startsWith('\n') ? text.slice(1) : text
    endedInReturn = text.endsWith('\r')
    return rest.includes('\r') ? rest.replace(/\r\n?/g, '\n') : rest
  }

  /** Whether the line that has not ended is one. An event before it may be pending, too. */
  const isComment = () =>
    pieces[0]?.[0] === colon && pieces.reduce((sum, { length }) => sum + length, 0) > maxCommentBytes

  /** Lines are decoded whole, so no character is split. */
  function feed (bytes: Buffer[]): void {
    const text = decodePieces(bytes)
    parser.feed(unified(isFirst && text.startsWith('\uFEFF') ? text.slice(1) : text))
    isFirst = false
  }

  return {
    push (chunk) {
      intake?.bytes(chunk.length)
      pendingBytes += chunk.length
      const end = 1 + Math.max(chunk.lastIndexOf(lineFeed), chunk.lastIndexOf(carriageReturn))
      if (end > 0) {
        const lines = [...pieces, chunk.subarray(0, end)]
        pieces = []
        feed(lines)
      }
      if (end < chunk.length) pieces.push(chunk.subarray(end))
      if (pendingBytes > maxEventBytes) throw tooLong(maxEventBytes)
      if (pendingBytes > maxCommentBytes && isComment()) {
        throw new BoundError(`a comment in its stream of events is longer than ${maxCommentBytes} bytes`)
      }
    },
    end () {
      isLast = true
      const last = pieces
      pieces = []
      feed([...last, Buffer.from('\n\n')])
    }
  }
}

/** Whether a text begins as an event stream does, with a field or a comment. A byte order mark may stand before it. */
export const startsEvents = (text: string) => /^\s*(data|event|id|retry)?:/.test(text)
