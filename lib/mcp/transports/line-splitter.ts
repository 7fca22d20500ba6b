import { BoundError } from './bounds.ts'

export interface LineSplitter {
  /** Takes a chunk as it comes; lines and characters may be split anywhere. */
  push: (chunk: Buffer) => void
  /** Ends the stream, whose last line may lack its line break. */
  end: () => void
}

/**
 * Splits a byte stream into lines. Each is decoded as a whole, so a character that was split between two chunks is
 * whole.
 *
 * Copies each byte once: the pieces of a line are joined when its end has come. The SDK's buffer joins them at every
 * chunk, which for a line of 9 MB is 200 ms of processor. Throws BoundError when a line grows past `maxLineBytes`.
 */
export function createLineSplitter (maxLineBytes: number, onLine: (line: string) => void): LineSplitter {
  let pieces: Buffer[] = []
  let pieceBytes = 0

  return {
    push (chunk) {
      let start = 0
      for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
        pieces.push(chunk.subarray(start, end))
        check(end - start)
        start = end + 1
        endLine()
      }
      if (start < chunk.length) {
        pieces.push(chunk.subarray(start))
        check(chunk.length - start)
      }
    },

    end () {
      if (pieces.length > 0) endLine()
    }
  }

  function endLine (): void {
    const line = pieces.length === 1 ? pieces[0] as Buffer : Buffer.concat(pieces)
    pieces = []
    pieceBytes = 0
    onLine(line.toString('utf8'))
  }

  function check (bytes: number): void {
    pieceBytes += bytes
    if (pieceBytes <= maxLineBytes) return
    pieces = []
    throw new BoundError(`a line is longer than ${maxLineBytes} bytes (MCP_MAX_RESULT_BYTES)`)
  }
}
