import type { Readable } from 'node:stream'

/** Part of a chunk that is read before the clock is looked at (bytes). */
const sliceBytes = 16_384
/** How long one stream may keep the event loop (ms). */
const turnMs = 5

export interface PacedReader {
  /** Reads a part of the stream. */
  push: (chunk: Buffer) => void
  /** The stream has ended, and all of it was read. */
  end: () => void
  /** Gets what `push` throws. Nothing is read after that. */
  fail: (error: Error) => void
}

export interface PacedReading {
  /** Reads at once what has come. For the end of a stream that broke off. */
  flush: () => void
}

/**
 * Reads a stream, and lets others have their turn: a chunk may hold thousands of messages. While others have it the
 * stream is paused, so that no more is kept than a chunk.
 */
export function readPaced (stream: Readable, { push, end, fail }: PacedReader): PacedReading {
  let rest: Buffer | null = null
  /** When this turn began; `null` before anything is read in it. */
  let begunAt: number | null = null
  let hasEnded = false
  let isOver = false

  function read (chunk: Buffer, isPaced = true): void {
    if (begunAt === null) {
      begunAt = performance.now()
      setImmediate(nextTurn)
    }
    let start = 0
    try {
      while (start < chunk.length) {
        push(chunk.subarray(start, start + sliceBytes))
        start += sliceBytes
        if (isPaced && isLate()) break
      }
    } catch (error) {
      isOver = true
      return fail(error as Error)
    }
    if (start < chunk.length) rest = chunk.subarray(start)
    // The next chunk, which may be there already, waits for the next turn.
    if (isLate() && !hasEnded) stream.pause()
  }

  const isLate = () => begunAt !== null && performance.now() - begunAt > turnMs

  function nextTurn (): void {
    begunAt = null
    const waiting = rest
    rest = null
    if (waiting !== null) read(waiting)
    if (isOver || rest !== null) return
    if (hasEnded) finish()
    else if (!isLate()) stream.resume()
  }

  function finish (): void {
    isOver = true
    end()
  }

  stream.on('data', (chunk: Buffer) => {
    if (isOver) return
    const waiting = rest
    rest = null
    read(waiting === null ? chunk : Buffer.concat([waiting, chunk]))
  })
  stream.once('end', () => {
    hasEnded = true
    if (rest === null && !isOver) finish()
  })

  return {
    flush () {
      const waiting = rest
      rest = null
      if (waiting !== null && !isOver) read(waiting, false)
      if (hasEnded && !isOver) finish()
    }
  }
}
