import { setAlarm } from './alarms.ts'

/** Bytes, and the same in words of four. */
export interface Scratch { readonly bytes: Buffer, readonly words: Int32Array }

/** Room that is always there, and the most that is kept for a moment (bytes). */
const smallBytes = 65_536
const maxKeptBytes = 16_777_216
/** How long a larger room is kept without use (ms): megabytes come in rows, and fresh memory costs more than a copy. */
const keptMs = 1_000

const small = createScratch(smallBytes)
let large: Scratch | null = null
/** The most that was needed of it since the last look (bytes). */
let needed = 0

/**
 * Room for at least so many bytes, with anything in it. It is everybody's: what is written there has to be read before
 * anything else runs, and is never handed on.
 */
export function scratchFor (size: number): Scratch {
  if (size <= smallBytes) return small
  if (size > maxKeptBytes) return createScratch(wordsFor(size) * 4)
  needed = Math.max(needed, size)
  if (large !== null && large.bytes.length >= size) return large
  if (large === null) setAlarm(keptMs, giveBack)
  large = createScratch(2 ** Math.ceil(Math.log2(size)))
  return large
}

/** One that was more than twice as large as needed goes, too: the next one fits. */
function giveBack (): void {
  if (large !== null && needed > large.bytes.length / 2) setAlarm(keptMs, giveBack)
  else large = null
  needed = 0
}

const wordsFor = (size: number) => Math.ceil(size / 4)

function createScratch (size: number): Scratch {
  const memory = new ArrayBuffer(size)
  return { bytes: Buffer.from(memory), words: new Int32Array(memory) }
}

/** Pieces of a text, decoded as one: a character may lie in two of them. */
export function decodePieces (pieces: readonly Buffer[]): string {
  if (pieces.length === 1) return (pieces[0] as Buffer).toString('utf8')
  const { bytes } = scratchFor(pieces.reduce((sum, { length }) => sum + length, 0))
  let length = 0
  for (const piece of pieces) {
    bytes.set(piece, length)
    length += piece.length
  }
  return bytes.toString('utf8', 0, length)
}
