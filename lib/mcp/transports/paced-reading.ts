import type { Readable } from 'node:stream'
import { takeTurn } from './heavy-turns.ts'

/** Part of a chunk that is read before the clock is looked at (bytes). */
const sliceBytes = 16_384
/** How long all streams together may keep the event loop in one turn (ms). Each may read one slice beyond it. */
const turnMs = 5
/** For how long a stream whose own reading took longer than that waits for its turn each time (ms). */
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

/** When the first stream of this turn of the event loop began to read; `null` before that. */
let turnBegunAt: number | null = null

function beginTurn (): void {
  if (turnBegunAt !== null) return
  turnBegunAt = performance.now()
  setImmediate(() => { turnBegunAt = null })
}

const isTurnOver = () => turnBegunAt !== null && performance.now() - turnBegunAt > turnMs

/**
 * Reads a stream, and lets others have their turn: a chunk may hold thousands of messages. A stream that costs little
 * is read as it comes. One that costs much takes turns with the others that do, and is paused between them, so that no
 * more is kept than a chunk.
 */
export function readPaced (stream: Readable, { push, end, fail }: PacedReader): PacedReading {
  let rest: Buffer | null = null
  let heavyAt = -Infinity
  let isWaiting = false
  let hasEnded = false
  let isOver = false

  /** Reads what has come, or as much of it as fits into the turn. */
  function read (isPaced: boolean): void {
    const chunk = rest ?? Buffer.alloc(0)
    rest = null
    beginTurn()
    const begunAt = performance.now()
    let start = 0
    try {
      while (start < chunk.length) {
        push(chunk.subarray(start, start + sliceBytes))
        start += sliceBytes
        if (isPaced && isTurnOver()) break
      }
    } catch (error) {
      isOver = true
      return fail(error as Error)
    }
    if (start < chunk.length) rest = chunk.subarray(start)
    if (performance.now() - begunAt > turnMs) heavyAt = performance.now()
    if (hasEnded && rest === null) finish()
    // The next chunk, which may be there already, waits as well.
    else if (isPaced && isTurnOver()) wait()
  }

  const isHeavy = () => performance.now() - heavyAt < heavyMs

  function wait (): void {
    if (isWaiting) return
    isWaiting = true
    stream.pause()
    const goOn = () => {
      isWaiting = false
      if (isOver) return
      read(true)
      if (!isWaiting && !isOver) stream.resume()
    }
    if (isHeavy()) takeTurn(goOn)
    else setImmediate(goOn)
  }

  function finish (): void {
    isOver = true
    end()
  }

  stream.on('data', (chunk: Buffer) => {
    if (isOver) return
    rest = rest === null ? chunk : Buffer.concat([rest, chunk])
    if (isWaiting || isHeavy()) wait()
    else read(true)
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
