import type { Readable } from 'node:stream'
import { readPaced } from './paced-reading.ts'

/** What is read of stderr in a minute (bytes). */
const bytesAMinute = 4_194_304
/** Part of the last chunk that is read in the end, whatever came before (bytes). */
const lastBytes = 16_384

/**
 * Reads a server's stderr, so that a talkative server does not wait. What it writes beyond its share of a minute is
 * passed over, a chunk a turn: it must not cost the others their time.
 *
 * Gives a function that reads the last of what was passed over: a server says why it ends in its last lines.
 */
export function readStderr (stderr: Readable, push: (chunk: Buffer) => void): () => void {
  let begunAt = performance.now()
  let bytes = 0
  let skipped: Buffer | null = null

  function read (chunk: Buffer): void {
    const now = performance.now()
    if (now - begunAt > 60_000) {
      begunAt = now
      bytes = 0
    }
    bytes += chunk.length
    if (bytes <= bytesAMinute) return push(chunk)
    skipped = chunk
    stderr.pause()
    setImmediate(() => stderr.resume())
  }

  readPaced(stderr, { push: read, end () {}, fail () {} })
  return () => {
    const last = skipped
    skipped = null
    if (last !== null) push(Buffer.concat([Buffer.from('\n'), last.subarray(-lastBytes)]))
  }
}
