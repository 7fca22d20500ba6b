import { StringDecoder } from 'node:string_decoder'

/** Longest line that is kept whole; the rest of a longer one is dropped. */
const maxLineLength = 4_096
const maxLines = 20
/** Lines from the beginning that are kept, too: they say why a server ends where a stack or usage follows. */
const maxFirstLines = 10

export interface StderrTail {
  /** Takes a chunk as it comes from the pipe; lines and characters may be split anywhere. */
  push: (chunk: Buffer) => void
  /** Takes a whole line that came from elsewhere. */
  pushLine: (line: string) => void
  /** The last lines, oldest first; an unfinished last line included. */
  lines: () => string[]
  /** The first lines and the last ones, with a line `…` between them where others were. */
  firstAndLast: () => string[]
}

/**
 * Keeps the first and the last lines of a stream in bounded memory, however much is written.
 *
 * `onLine` gets every complete line, so that a secret is never split between two log lines and can be masked in each.
 */
export function createStderrTail (onLine: (line: string) => void = () => {}): StderrTail {
  const decoder = new StringDecoder('utf8')
  const first: string[] = []
  const kept: string[] = []
  let count = 0
  let partial = ''

  function keep (line: string): void {
    const text = line.trimEnd()
    if (text === '') return
    count++
    if (first.length < maxFirstLines) first.push(text)
    kept.push(text)
    if (kept.length > maxLines) kept.shift()
    onLine(text)
  }

  const lastLines = () => partial.trim() === '' ? [...kept] : [...kept, partial.trimEnd()]

  return {
    push (chunk) {
      const pieces = decoder.write(chunk).split('\n')
      partial = append(partial, pieces[0] ?? '')
      for (const piece of pieces.slice(1)) {
        keep(partial)
        partial = append('', piece)
      }
    },
    pushLine: line => keep(line.slice(0, maxLineLength)),
    lines: lastLines,
    firstAndLast () {
      const before = first.slice(0, Math.max(0, count - kept.length))
      return [...before, ...(before.length + kept.length < count ? ['…'] : []), ...lastLines()]
    }
  }
}

function append (line: string, piece: string): string {
  return line.length >= maxLineLength ? line : (line + piece).slice(0, maxLineLength)
}
