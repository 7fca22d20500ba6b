import { Readable } from 'node:stream'

export interface EventWriter {
  /** The events as they are sent. Ends with `end`, or when whoever reads it goes. */
  readonly stream: Readable
  /** An event that says how things are. Left out while the reader is slow: the next one says it better. */
  tell: (event: string, data: unknown) => void
  /** The last event, as JSON text, and the end of the stream. */
  end: (event: string, json: string) => void
}

/**
 * Server-sent events for one reader. The stream begins at once, so that the reader knows that it was heard, and is never
 * silent for longer than the heart-beat: a comment, which readers pass over, and which keeps what is between awake.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function createEventWriter ({ heartbeatMs }: { heartbeatMs: number }): EventWriter {
  let isFlowing = true
  let isOver = false
  const stream = new Readable({ read () { isFlowing = true } })
  const push = (text: string) => { if (!isOver) isFlowing = stream.push(text) }
  const heartbeat = setInterval(() => push(': alive\n\n'), heartbeatMs)
  stream.once('close', stop)
  push(': open\n\n')

  return {
    stream,
    tell (event, data) {
      if (isFlowing) push(asEvent(event, JSON.stringify(data)))
    },
    end (event, json) {
      if (isOver) return
      push(asEvent(event, json))
      stream.push(null)
      stop()
    }
  }

  function stop (): void {
    isOver = true
    clearInterval(heartbeat)
  }
}

/** A JSON text may have line breaks between its parts: each of its lines is one of `data`. */
const asEvent = (event: string, json: string) => `event: ${event}\n${json.split(/\r\n|\r|\n/).map(line => `data: ${line}\n`).join('')}\n`
