import { StringDecoder } from 'node:string_decoder'

/** Longest line that is kept whole; the rest of a longer one is dropped. */
const maxLineLength = 4_096
const maxLines = 20

export interface StderrTail {
  /** Takes a chunk as it comes from the pipe; lines and characters may be split anywhere. */
  push: (chunk: Buffer) => void
  /** The last lines, oldest first; an unfinished last line included. */
  lines: () => string[]
}

/**
 * Keeps the last lines of a stream in bounded memory, however much is written.
 *
 * `onLine` gets every complete line, so that a secret is never split between two log lines and can be masked in each.
 */
export function createStderrTail (onLine: (line: string) => void = () => {}): StderrTail {
  const decoder = new StringDecoder('utf8')
  const kept: string[] = []
  let partial = ''

  function keep (line: string): void {
    const text = line.trimEnd()
    if (text === '') return
    kept.push(text)
    if (kept.length > maxLines) kept.shift()
    onLine(text)
  }

  return {
    push (chunk) {
      const pieces = decoder.write(chunk).split('\n')
      partial = append(partial, pieces[0] ?? '')
      for (const piece of pieces.slice(1)) {
        keep(partial)
        partial = append('', piece)
      }
    },
    lines: () => partial.trim() === '' ? [...kept] : [...kept, partial.trimEnd()]
  }
}

function append (line: string, piece: string): string {
  return line.length >= maxLineLength ? line : (line + piece).slice(0, maxLineLength)
}
