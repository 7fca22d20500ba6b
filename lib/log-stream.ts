import type { Writable } from 'node:stream'

/** Takes the lines of the log. */
export interface LogStream {
  write: (line: string) => void
  /** Hands on at once what waits for the end of this turn of the event loop. */
  flushSync: () => void
  /** Calls `report` with the number of lines that were lost, once there is room again. The last one given counts. */
  onLost: (report: (lines: number) => void) => void
}

/** What may wait for a reader that does not read (bytes): a log must not use up the memory of its worker. */
const maxUnreadBytes = 16_000_000

/**
 * Joins the log lines of a turn of the event loop into one write, by default to standard output.
 *
 * The write holds up nothing: what a pipe or a socket cannot take yet waits in memory, and beyond 16 MB lines are lost.
 * A file or a terminal takes the lines at once. pino's own stream has a thread make each write, which wakes two threads
 * for each call of a caller that makes one at a time.
 */
export function joinLines (output: Writable = process.stdout): LogStream {
  let joined = ''
  let lost = 0
  let report: (lines: number) => void = () => {}

  function flush (): void {
    const lines = joined
    joined = ''
    if (lines !== '') output.write(lines)
  }

  output.on('drain', () => {
    if (lost === 0) return
    const lines = lost
    lost = 0
    report(lines)
  })
  // There is nobody to be told that the reader left, or that the disk is full. The service goes on.
  output.on('error', () => {})
  process.once('exit', flush)
  return {
    write (line) {
      if (lost > 0 || output.writableLength > maxUnreadBytes) {
        lost++
        return
      }
      if (joined === '') setImmediate(flush)
      joined += line
    },
    flushSync: flush,
    onLost: told => { report = told }
  }
}
