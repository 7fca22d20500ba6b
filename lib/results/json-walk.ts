import { backslash, closeBrace, closeBracket, colon, comma, openBrace, openBracket, quote } from '../json-signs.ts'

/** The way to a value within the value around it: a member's name, or an item's place; `null` for a name too long. */
export type Step = string | number | null

/** Takes what a walk comes by. All places are bytes from the beginning of the text. */
export interface Walker {
  /**
   * A value begins: the text's own, or one within a value that was entered. Gives whether to enter it; a value that is
   * no object and no array cannot be. `name` is the quoted name of a member, as its author wrote it, in Latin-1.
   */
  begin: (value: { step: Step, at: number, isContainer: boolean, isArray: boolean, name: string }) => boolean
  /** The value that began last, and has not ended, ends before this place. */
  end: (at: number) => void
}

export interface JsonWalk {
  /** Takes the next bytes. */
  push: (chunk: Buffer) => void
  /** There are no more. */
  finish: () => void
}

/** A longer name is passed over: no pointer that is taken can name it (bytes). */
const longestName = 65_536

const isSpace = (code: number) => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
const endsToken = (code: number) =>
  code === comma || code === closeBracket || code === closeBrace || isSpace(code)

/** An object or array that was entered. */
interface Level { isArray: boolean, index: number, expectsName: boolean, name: string | null, quotedName: string }

/**
 * Walks through a JSON text that comes in pieces, of UTF-8. Builds nothing: it needs memory for the values that were
 * entered, and for one name, however long the text is.
 *
 * The text was checked when it was kept. A text that is no JSON leads to places that mean nothing, and to no failure.
 */
export function walkJson ({ begin, end }: Walker): JsonWalk {
  const levels: Level[] = []
  /** Levels within a value that is passed over. */
  let depth = 0
  let isInString = false
  let isEscaped = false
  let isInToken = false
  /** As much of the name as was read; `null` outside of names. */
  let name: string | null = null
  let offset = 0

  /** Gives the place behind the string, or the end of the piece. */
  function passString (chunk: Buffer, start: number): number {
    const { length } = chunk
    let at = start
    if (isEscaped && at < length) {
      isEscaped = false
      at++
    }
    while (at < length) {
      const code = chunk[at] as number // within the piece
      if (code === quote) {
        isInString = false
        return at + 1
      }
      if (code !== backslash) at++
      else if (at + 1 < length) at += 2
      else {
        isEscaped = true
        at++
      }
    }
    return at
  }

  function endName (level: Level, quoted: string): void {
    level.quotedName = quoted
    level.name = quoted.length <= longestName ? nameIn(quoted) : null
    level.expectsName = false
    name = null
  }

  function beginValue (code: number, at: number): void {
    const level = levels.at(-1)
    const isArray = code === openBracket
    const isContainer = isArray || code === openBrace
    const step = level === undefined ? null : level.isArray ? level.index : level.name
    const enters = begin({ step, at, isContainer, isArray, name: level?.quotedName ?? '' })
    if (code === quote) isInString = true
    else if (!isContainer) isInToken = true
    else if (enters) levels.push({ isArray, index: 0, expectsName: !isArray, name: null, quotedName: '' })
    else depth = 1
  }

  function push (chunk: Buffer): void {
    const { length } = chunk
    let at = 0
    while (at < length) {
      if (isInString) {
        const start = at
        at = passString(chunk, at)
        // A name that is too long need not be whole: it is passed over.
        if (name !== null && name.length <= longestName) name += chunk.toString('latin1', start, at)
        if (isInString) break
        if (name !== null) endName(levels[levels.length - 1] as Level, name) // a name is within one
        else if (depth === 0) end(offset + at)
        continue
      }
      const code = chunk[at] as number // within the piece
      if (isInToken) {
        if (endsToken(code)) {
          isInToken = false
          end(offset + at)
        } else {
          at++
        }
        continue
      }
      at++
      if (depth > 0) {
        if (code === quote) isInString = true
        else if (code === openBrace || code === openBracket) depth++
        else if ((code === closeBrace || code === closeBracket) && --depth === 0) end(offset + at)
      } else if (code === comma) {
        const level = levels.at(-1)
        if (level !== undefined) {
          level.index++
          level.expectsName = !level.isArray
        }
      } else if (code === closeBrace || code === closeBracket) {
        if (levels.pop() !== undefined) end(offset + at)
      } else if (code === quote && levels.at(-1)?.expectsName === true) {
        isInString = true
        name = '"'
      } else if (code !== colon && !isSpace(code)) {
        beginValue(code, offset + at - 1)
      }
    }
    offset += length
  }

  return {
    push,
    finish () {
      if (!isInToken) return
      isInToken = false
      end(offset)
    }
  }
}

/** The name that a quoted one stands for. Most are plain words, for which the rest is a detour. */
function nameIn (quoted: string): string | null {
  if (/^"[\w .-]*"$/.test(quoted)) return quoted.slice(1, -1)
  const text = Buffer.from(quoted, 'latin1').toString('utf8')
  if (!text.includes('\\')) return text.slice(1, -1)
  try {
    return JSON.parse(text) as string // it begins with a quote
  } catch {
    return null
  }
}
