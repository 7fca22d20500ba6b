import type { Readable } from 'node:stream'
import { takeTurn } from './heavy-turns.ts'

/** Part of a chunk that is read before the clock is looked at (bytes). */
const sliceBytes = 16_384
/** How long one stream may keep the event loop (ms). */
const turnMs = 5
/** How long a stream that kept it for longer has to wait for its turn before it is read (ms). */
const heavyMs = 1_000

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
 * Reads a stream, and lets others have their turn: a chunk may hold thousands of messages. A stream that costs little
 * is read as it comes. One that costs much takes turns with the others that do, and is paused between them, so that no
 * more is kept than a chunk.
 */
export function readPaced (stream: Readable, { push, end, fail }: PacedReader): PacedReading {
  let rest: Buffer | null = null
  /** When this turn began; `null` before anything is read in it. */
  let begunAt: number | null = null
  let lateAt = -Infinity
  let isWaiting = false
  let hasEnded = false
  let isOver = false

  const isLate = () => begunAt !== null && performance.now() - begunAt > turnMs

  function begin (): void {
    begunAt = performance.now()
    setImmediate(() => { begunAt = null })
  }

  /** Reads what has come, or as much of it as fits into the turn. */
  function read (isPaced: boolean): void {
    const chunk = rest ?? Buffer.alloc(0)
    rest = null
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
    if (isLate()) lateAt = performance.now()
    if (hasEnded && rest === null) finish()
    // The next chunk, which may be there already, waits as well.
    else if (isPaced && isLate()) wait()
  }

  function wait (): void {
    if (isWaiting) return
    isWaiting = true
    stream.pause()
    takeTurn(() => {
      isWaiting = false
      if (isOver) return
      begin()
      read(true)
      if (!isWaiting && !isOver) stream.resume()
    })
  }

  function finish (): void {
    isOver = true
    end()
  }

  stream.on('data', (chunk: Buffer) => {
    if (isOver) return
    rest = rest === null ? chunk : Buffer.concat([rest, chunk])
    if (performance.now() - lateAt < heavyMs) return wait()
    if (begunAt === null) begin()
    read(true)
  })
  stream.once('end', () => {
    hasEnded = true
    if (rest === null && !isOver) finish()
  })

  return {
    flush () {
      if (isOver) return
      if (rest !== null) read(false)
      else if (hasEnded) finish()
    }
  }
}
