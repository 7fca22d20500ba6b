/** Takes what is said while a call runs, and writes it down without holding up the call. */
export interface EventLog {
  /** Never fails. What Redis is too slow for is dropped, oldest first: what comes next is more recent. */
  send: (event: string, json: string) => void
  /** Resolves when all that was sent is written, or lost. */
  settled: () => Promise<void>
}

export interface EventLogOptions {
  /** Bounds for what waits to be written: events, and characters of their data. */
  mostEvents: number
  mostBytes: number
  /** Writes events; `false` when nobody may read them any more. */
  append: (events: readonly SaidEvent[]) => Promise<boolean>
  onAdded: () => void
  onFailure: (error: unknown) => void
}

export interface SaidEvent { event: string, json: string }

/** How many writes may be under way: one after another, what a call says last would come after its end. */
const mostUnderWay = 4

export function createEventLog ({ mostEvents, mostBytes, append, onAdded, onFailure }: EventLogOptions): EventLog {
  let waiting: SaidEvent[] = []
  let waitingBytes = 0
  let scheduled: Promise<void> | null = null
  let isOver = false
  const underWay = new Set<Promise<void>>()

  function write (): void {
    scheduled = null
    if (waiting.length === 0 || underWay.size >= mostUnderWay) return
    const events = waiting
    waiting = []
    waitingBytes = 0
    const writing = append(events).then(isKept => {
      if (isKept) onAdded()
      else isOver = true
    }, onFailure).then(() => {
      underWay.delete(writing)
      write()
    })
    underWay.add(writing)
  }

  return {
    send (event, json) {
      if (isOver) return
      waiting.push({ event, json })
      waitingBytes += json.length
      while (waiting.length > mostEvents || (waitingBytes > mostBytes && waiting.length > 1)) {
        waitingBytes -= waiting.shift()?.json.length ?? 0
      }
      // What one chunk of a server's messages holds is one write, and it leaves before the result behind it is kept.
      scheduled ??= Promise.resolve().then(write)
    },

    async settled () {
      await scheduled
      while (underWay.size > 0) await Promise.all(underWay)
    }
  }
}
