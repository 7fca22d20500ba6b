import { Readable } from 'node:stream'

export interface EventWriter {
  /** The events as they are sent. It ends at `end`, or when the reader leaves. */
  readonly stream: Readable
  /**
   * Sends an event that reports progress, as JSON text, or drops it while the reader is slow: the next event is more
   * recent.
   */
  send: (event: string, json: string) => void
  /**
   * Sends an event that its reader must not miss, as JSON text, with the id by which it asks for what comes next.
   * Resolves when the reader takes more, or has left.
   */
  deliver: (event: string, json: string, id: string) => Promise<void>
  /** Adds a field to the last event, which says about the request what a header cannot say any more. */
  note: (name: string, value: string) => void
  /** Sends the last event, as JSON text, and ends the stream. */
  end: (event: string, json: string) => void
}

/**
 * Creates server-sent events for one reader.
 *
 * The stream begins at once, so that the reader knows that the request has arrived. It is never silent for longer than
 * the heartbeat: a comment, which readers ignore, and which keeps proxies from closing the connection.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function createEventWriter ({ heartbeatMs }: { heartbeatMs: number }): EventWriter {
  let isFlowing = true
  let isOver = false
  const notes = new Map<string, string>()
  let goOn = () => {}
  const stream = new Readable({
    read () {
      isFlowing = true
      goOn()
    }
  })
  const push = (text: string) => { if (!isOver) isFlowing = stream.push(text) }
  const heartbeat = setInterval(() => push(': alive\n\n'), heartbeatMs)
  stream.once('close', stop)
  push(': open\n\n')

  return {
    stream,
    send (event, json) {
      if (isFlowing) push(asEvent(event, json))
    },
    async deliver (event, json, id) {
      push(`id: ${id}\n${asEvent(event, json)}`)
      if (!isFlowing && !isOver) await new Promise<void>(resolve => { goOn = resolve })
    },
    note (name, value) {
      notes.set(name, value)
    },
    end (event, json) {
      if (isOver) return
      const fields = Array.from(notes, ([name, value]) => `${name}: ${value}\n`).join('')
      push(fields + asEvent(event, json))
      stream.push(null)
      stop()
    }
  }

  function stop (): void {
    isOver = true
    clearInterval(heartbeat)
    goOn()
  }
}

/** JSON text may have line breaks between its parts. Each of its lines becomes a line of `data`. */
function asEvent (event: string, json: string): string {
  const data = json.split(/\r\n|\r|\n/).map(line => `data: ${line}\n`).join('')
  return `event: ${event}\n${data}\n`
}
