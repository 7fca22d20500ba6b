import { setTimeout as delay } from 'node:timers/promises'
import { readEvents } from './event-stream.ts'
import type { Body } from './http-request.ts'
import { StreamEndedError } from './http-transport.ts'

export interface AnswerStreamOptions {
  /** Longest event (bytes). */
  maxEventBytes: number
  /** Asks the server for the stream again, from the event after this one. */
  resume: (lastEventId: string) => Promise<Body>
  /** Gets the data of each message. Returns whether the answer was in it. */
  onMessage: (data: string) => boolean
  /** Breaks off the request. */
  controller: AbortController
}

/** How often a stream that broke off is resumed. */
const maxResumptions = 5
const defaultRetryMs = 1_000
/** How long a stream may go on after it has given its answer (ms). */
const answeredMs = 1_000

/**
 * Reads the stream of one answer to its end. A stream that breaks off after an event with an id is resumed.
 *
 * Resolves when the stream has given its answer and has ended, and when the request is aborted. Rejects with
 * StreamEndedError when the answer cannot come any more, with RangeError when an event is too long.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#resumability-and-redelivery
 */
export async function readAnswerStream (first: Body, options: AnswerStreamOptions): Promise<void> {
  const { maxEventBytes, resume, onMessage, controller } = options
  const { signal } = controller
  let body = first
  let lastEventId: string | undefined
  let retryMs = defaultRetryMs
  let isAnswered = false
  for (let resumptions = 0; ; resumptions++) {
    let failure: unknown
    let cutOff: NodeJS.Timeout | undefined
    await readEvents(body, {
      maxEventBytes,
      onEvent ({ id, event = 'message', data }) {
        if (id) lastEventId = id
        if (!data || event !== 'message' || !onMessage(data)) return
        isAnswered = true
        // The stream ends in a moment. Cutting it off at once would cost the connection, which others can use.
        cutOff ??= setTimeout(() => controller.abort(), answeredMs).unref()
      },
      onRetry: milliseconds => { retryMs = milliseconds }
    }).catch(error => { failure = error })
    clearTimeout(cutOff)
    if (isAnswered || signal.aborted) return
    if (lastEventId === undefined || failure instanceof RangeError || resumptions === maxResumptions) {
      throw brokenOff(failure)
    }
    try {
      await delay(retryMs, undefined, { signal })
      body = await resume(lastEventId)
    } catch (error) {
      if (signal.aborted) return
      throw brokenOff(error)
    }
  }
}

function brokenOff (cause: unknown): Error {
  if (cause instanceof RangeError || cause instanceof StreamEndedError) return cause
  return new StreamEndedError('its answer broke off', { cause })
}
