import { decodePieces } from '../../scratch.ts'
import { BoundError } from './bounds.ts'

export interface LineSplitter {
  /** Takes a chunk as it comes; lines and characters may be split anywhere. */
  push: (chunk: Buffer) => void
  /** Ends the stream, whose last line may lack its line break. */
  end: () => void
}

/** Only a line with one can be a message. */
const openBrace = 0x7b
const lineFeed = 0x0a

/**
 * Splits a byte stream into lines. Each is decoded as a whole, so a character that was split between two chunks is
 * whole.
 *
 * Copies each byte once: the pieces of a line are joined when its end has come. The SDK's buffer joins them at every
 * chunk, which for a line of 9 MB is 200 ms of processor. Throws BoundError when a line grows past `maxLineBytes`.
 *
 * `onNoise` gets the whole lines of a chunk together when none of them can be a message: there may be thousands.
 */
export function createLineSplitter (
  maxLineBytes: number, onLine: (line: string) => void, onNoise: (lines: string[]) => void
): LineSplitter {
  let pieces: Buffer[] = []
  let pieceBytes = 0

  return {
    push (chunk) {
      let start = 0
      for (let end = chunk.indexOf(lineFeed); end !== -1; end = chunk.indexOf(lineFeed, start)) {
        pieces.push(chunk.subarray(start, end))
        check(end - start)
        start = end + 1
        endLine()
        const noiseEnd = endOfNoise(chunk, start)
        if (noiseEnd === start || noiseEnd - start > maxLineBytes) continue // one of them may be too long
        onNoise(chunk.toString('utf8', start, noiseEnd - 1).split('\n'))
        start = noiseEnd
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
    const line = decodePieces(pieces)
    pieces = []
    pieceBytes = 0
    onLine(line)
  }

  function check (bytes: number): void {
    pieceBytes += bytes
    if (pieceBytes <= maxLineBytes) return
    pieces = []
    throw new BoundError(`a line is longer than ${maxLineBytes} bytes (MCP_MAX_RESULT_BYTES)`)
  }
}

/** The end of the whole lines of a chunk that cannot be messages; `start` where there are none. */
function endOfNoise (chunk: Buffer, start: number): number {
  if (start === chunk.length) return start
  const brace = chunk.indexOf(openBrace, start)
  const end = chunk.lastIndexOf(lineFeed, brace === -1 ? chunk.length - 1 : brace) + 1
  return Math.max(start, end)
}
