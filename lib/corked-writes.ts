import type { Writable } from 'node:stream'

/**
 * Joins the writes of this turn of the event loop into one, which leaves at the turn's end.
 *
 * Each write costs a system call and wakes the reading process; many small writes were a third of a busy worker's time.
 * A single write is not delayed: the turn ends when its work is done. May be called before every write, and on a stream
 * that ends meanwhile.
 */
export function corkWrites (stream: Writable): void {
  if (stream.writableCorked > 0) return
  stream.cork()
  setImmediate(() => stream.uncork())
}

/** Resolves when what was joined so far has left: immediates run in the order in which they were asked for. */
export const joinedWritesLeft = () => new Promise<void>(resolve => { setImmediate(resolve) })
