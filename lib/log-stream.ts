import { fstatSync, writeSync } from 'node:fs'

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
/** How soon a reader that had read nothing is tried again (ms). */
const retryMs = 20
/** How long the end of the process waits for such a reader (ms). */
const lastMs = 1_000

const fd = 1

/**
 * Joins the log lines of a turn of the event loop into one write to standard output, where that is a pipe or a socket.
 * Gives `null` where it is something else.
 *
 * The write holds up nothing: what the reader has no room for waits in memory, and beyond 16 MB lines are lost. pino's
 * own stream has a thread make each write, which wakes two threads for each call of a caller that makes one at a time.
 * It is the right one for a file or a terminal, whose writes hold up whoever makes them.
 */
export function joinLines (): LogStream | null {
  const output = fstatSync(fd)
  if (!output.isFIFO() && !output.isSocket()) return null
  let joined = ''
  const unread: Buffer[] = []
  let unreadBytes = 0
  let lost = 0
  let retry: NodeJS.Timeout | null = null
  let report: (lines: number) => void = () => {}

  function flush (): void {
    if (joined === '') return
    const lines = Buffer.from(joined)
    joined = ''
    unread.push(lines)
    unreadBytes += lines.length
    writeUnread()
  }

  function writeUnread (): void {
    makeNonBlocking()
    for (let first = unread[0]; first !== undefined; first = unread[0]) {
      const written = writeSome(first)
      if (written === 0) {
        retry ??= setTimeout(tryAgain, retryMs).unref()
        return
      }
      unreadBytes -= written
      if (written === first.length) unread.shift()
      else unread[0] = first.subarray(written)
    }
    if (lost > 0) {
      const lines = lost
      lost = 0
      report(lines)
    }
  }

  function tryAgain (): void {
    retry = null
    writeUnread()
  }

  process.once('exit', () => {
    const deadline = performance.now() + lastMs
    for (flush(); unread.length > 0 && performance.now() < deadline; writeUnread()) sleep(retryMs)
  })
  return {
    write (line) {
      if (lost > 0 || unreadBytes > maxUnreadBytes) {
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

/** Node makes a pipe or a socket of standard output one that does not block when somebody asks for its stream. */
const makeNonBlocking = (): unknown => process.stdout

/** Gives how many bytes are no longer to be written: 0 while there is no room for any. */
function writeSome (bytes: Buffer): number {
  try {
    return writeSync(fd, bytes)
  } catch (error) {
    // There is nobody to be told that the reader left. The service goes on, and a new reader gets the next lines.
    return (error as NodeJS.ErrnoException).code === 'EAGAIN' ? 0 : bytes.length
  }
}

const sleep = (milliseconds: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
