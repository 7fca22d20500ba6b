import { setTimeout as delay } from 'node:timers/promises'
import type { Readable } from 'node:stream'
import { type Cancellation, nativeSignal } from '../../cancellation.ts'
import type { Intake } from './bounds.ts'
import { type BodyReader, createTextReader, readBody } from './body-reader.ts'
import { createEventReader, startsEvents } from './event-stream.ts'
import type { Reply } from './http-exchange.ts'
import { StreamEndedError } from './http-transport.ts'
import { quoteOf } from './quote.ts'
import type { Received } from './text-transport.ts'

export interface AnswerOptions {
  /** Longest message (bytes). */
  maxMessageBytes: number
  /** Counts what comes in events. */
  intake: Intake
  /** Asks the server for the stream again, from the event after this one. */
  resume: (lastEventId: string) => Promise<Readable>
  /** Gets each text that may be a message. */
  onText: (text: string) => Received
  /** Called when the stream is one of the transport before streamable HTTP: its answer does not come here. */
  onOlder: () => void
  /** Breaks off the request. */
  controller: Cancellation
}

/** How often a stream that broke off is resumed. */
const maxResumptions = 5
const defaultRetryMs = 1_000
/**
 * Bounds of the pause that a server may ask for (ms). No server is asked again at once, and none makes a request wait
 * for ever. A timer of Node's that is longer than 25 days would fire at once.
 */
const minRetryMs = 100
const maxRetryMs = 30_000
/** How long a stream may go on after it has given its answer (ms). */
const answeredMs = 1_000

/**
 * Reads the answer to one request to its end, JSON or a stream of events. A stream that breaks off after an event with
 * an id is resumed.
 *
 * Resolves when the answer was given and its stream has ended, and when the request is aborted. Rejects with
 * StreamEndedError when the answer cannot come any more, with BoundError when the server
 * sends more than it may.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#resumability-and-redelivery
 */
export async function readAnswer (reply: Reply, options: AnswerOptions): Promise<void> {
  const { maxMessageBytes, intake, resume, onText, onOlder, controller } = options
  const { signal } = controller
  let body = reply.body
  let lastEventId: string | undefined
  let retryMs = defaultRetryMs
  let isAnswered = false
  /** The last text that was no message. */
  let noise = ''
  let cutOff: NodeJS.Timeout | undefined

  const events = () => createEventReader({
    maxEventBytes: maxMessageBytes,
    intake,
    onEvent ({ event, id, data }) {
      if (event === 'endpoint') {
        onOlder()
        throw new StreamEndedError('it opened a stream of the transport before streamable HTTP')
      }
      if (id) lastEventId = id
      if (data === '') return
      const received = onText(data)
      if (received === 'noise') noise = data
      if (received !== 'answer') return
      isAnswered = true
      // The stream ends in a moment. Cutting it off at once would cost the connection, which others can use.
      cutOff ??= setTimeout(() => controller.abort(), answeredMs).unref()
    },
    onRetry: milliseconds => { retryMs = Math.min(Math.max(milliseconds, minRetryMs), maxRetryMs) }
  })
  const text = () => createTextReader(maxMessageBytes, text => {
    if (onText(text) !== 'answer') throw noAnswer(reply, text)
    isAnswered = true
  })

  /** A body may break off behind an answer that is whole: its length was wrong, or its connection was cut. */
  function salvage (reader: BodyReader): void {
    const said = noise
    try {
      reader.end()
    } catch {} // the answer is not whole
    noise = said
  }

  for (let resumptions = 0; ; resumptions++) {
    let failure: unknown
    const reader = resumptions === 0 ? createEitherReader(mediaTypeOf(reply), text, events) : events()
    await readBody(body, reader).catch(error => { failure = error })
    if (failure !== undefined && !(failure instanceof RangeError) && !isAnswered && !signal.aborted) salvage(reader)
    clearTimeout(cutOff)
    if (isAnswered || signal.aborted) return
    if (lastEventId === undefined || failure instanceof RangeError || resumptions === maxResumptions) {
      throw brokenOff(failure, noise)
    }
    try {
      await delay(retryMs, undefined, { signal: nativeSignal(signal) })
      body = await resume(lastEventId)
    } catch (error) {
      if (signal.aborted) return
      throw brokenOff(error, noise)
    }
  }
}

const mediaTypeOf = ({ headers }: Reply) =>
  String(headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''

/**
 * Takes a body for a JSON text or for a stream of events by how it begins: some servers give a wrong media type, or
 * none.
 */
function createEitherReader (mediaType: string, text: () => BodyReader, events: () => BodyReader): BodyReader {
  let chosen: BodyReader | null = null
  let pending: Buffer[] = []
  /** Longest part that a choice needs (bytes): a byte order mark, white space, the name of a field. */
  const enough = 64

  function choose (isWhole: boolean): BodyReader | null {
    const start = Buffer.concat(pending).toString('utf8').trimStart() // a byte order mark is white space
    if (start.startsWith('{') || start.startsWith('[')) return text()
    if (mediaType === 'text/event-stream' || startsEvents(start)) return events()
    return isWhole || start.length >= enough ? text() : null
  }

  function push (chunk: Buffer): void {
    if (chosen !== null) return chosen.push(chunk)
    pending.push(chunk)
    const found = choose(false)
    if (found === null) return
    chosen = found
    reader.join = found.join
    for (const earlier of pending) found.push(earlier)
    pending = []
  }

  // Not a getter: an object with one has a shape of its own, which keeps whatever its closure sees until the collector
  // looks through the whole heap. A body is read with each call.
  const reader: BodyReader = {
    push,
    join: undefined,
    end () {
      if (chosen === null) {
        chosen = choose(true) ?? text()
        for (const chunk of pending) chosen.push(chunk)
      }
      chosen.end()
    }
  }
  return reader
}

/** The error for a body that is no answer, quoted. */
function noAnswer (reply: Reply, text: string): Error {
  const quote = quoteOf(text)
  if (quote === '') return new StreamEndedError(`it answered HTTP ${reply.status} with an empty body`)
  const type = mediaTypeOf(reply)
  if (type === 'application/json') return new StreamEndedError(`what came is no answer to it: ${quote}`)
  return new StreamEndedError(`it answered with ${type || 'a body of no type'}: ${quote}`)
}

function brokenOff (cause: unknown, noise: string): Error {
  if (cause instanceof RangeError || cause instanceof StreamEndedError) return cause
  const quote = quoteOf(noise)
  const said = quote === '' ? '' : `; it said: ${quote}`
  return new StreamEndedError(`its answer broke off${said}`, { cause })
}
