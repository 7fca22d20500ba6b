import { unescapeToken } from '../json-pointer.ts'
import { type JsonWalk, walkJson } from './json-walk.ts'

/** Where a value is in a text (bytes). */
export interface ByteRange {
  start: number
  /** Behind its last byte. */
  end: number
}

/** The names in a JSON Pointer, which begins with a slash or is empty. */
export const tokensOf = (pointer: string): string[] => pointer.split('/').slice(1).map(unescapeToken)

/**
 * Finds the value that a pointer leads to; the last of equal names counts. `found` is `null` until there is one, and
 * final at the end of the text.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6901
 */
export function locate (tokens: readonly string[]): JsonWalk & { found: () => ByteRange | null } {
  let found: ByteRange | null = null
  /** Of each value that has begun and not ended: where it began when it is the one that is meant, else `null`. */
  const open: Array<number | null> = []
  const walk = walkJson({
    begin ({ step, at, isContainer }) {
      // Only values on the way are entered. So there are as many open ones as tokens that were met.
      const depth = open.length
      const isMet = depth === 0 || (typeof step === 'number' ? String(step) : step) === tokens[depth - 1]
      if (isMet) found = null // an earlier one of this name does not count
      const isMeant = isMet && depth === tokens.length
      open.push(isMeant ? at : null)
      return isMet && !isMeant && isContainer
    },
    end (at) {
      const start = open.pop() ?? null
      if (start !== null) found = { start, end: at }
    }
  })
  return { ...walk, found: () => found }
}

/** Finds where so many items of an array begin and end, and counts all of them. */
export function locateItems (
  offset: number, limit: number
): JsonWalk & { found: () => { range: ByteRange | null, count: number } } {
  let range = null as ByteRange | null
  let count = 0
  let depth = 0
  let start = 0
  const walk = walkJson({
    begin ({ at, isArray }) {
      start = at
      return depth++ === 0 && isArray
    },
    end (at) {
      if (--depth !== 1) return
      const isWanted = count >= offset && count - offset < limit
      if (isWanted) range = { start: range?.start ?? start, end: at }
      count++
    }
  })
  return { ...walk, found: () => ({ range, count }) }
}
