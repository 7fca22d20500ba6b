/*
 * JSON as text. A value that only passes through the service is never parsed and written again: numbers beyond a
 * double, the order of keys, white space and escapes stay as their author wrote them. This file checks a text and notes
 * where its values are; json-text.ts looks at them, and edits the text around them.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8259
 */
import { endianness } from 'node:os'
import { backslash, closeBrace, closeBracket, colon, comma, openBrace, openBracket, quote } from './json-signs.ts'
import { scratchFor } from './scratch.ts'

export type JsonType = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null'

/** A JSON value within a text. */
export interface JsonNode {
  readonly type: JsonType
  /** Where the value begins. */
  readonly start: number
  /** Where the text after the value begins. */
  readonly end: number
  /** The members of an object, in their order. Absent in a value that lies deeper than was asked for. */
  readonly members?: readonly JsonMember[]
  /** The items of an array. Absent in a value that lies deeper than was asked for. */
  readonly items?: readonly JsonNode[]
}

export interface JsonMember {
  /** The name, unescaped. */
  readonly name: string
  /** Where the quoted name begins. */
  readonly start: number
  readonly value: JsonNode
}

/** A checked JSON text, and what is where in it. */
export interface JsonDocument {
  /** The given text but for a byte order mark, and for `NaN` and `Infinity`, which are `null` here. */
  readonly text: string
  readonly root: JsonNode
  /** Long strings that were unescaped while they were checked, by the place where they begin. */
  readonly longStrings?: ReadonlyMap<number, string>
}

/** A value and the document that it is in. */
export interface JsonValue { readonly document: JsonDocument, readonly node: JsonNode }

const letterU = 0x75
const letterT = 0x74
const letterF = 0x66
const minus = 0x2d
const dot = 0x2e
const zero = 0x30
const simpleEscapes = new Set(Array.from('"\\/bfnrt', character => character.charCodeAt(0)))

/** `y`: they match where the scan is. */
const hexDigits = /[\da-fA-F]{4}/y

class Invalid extends Error {}

/** A text has more values than may be listed. */
export class TooManyValuesError extends RangeError {
  override name = 'TooManyValuesError'
}

interface Replacement { start: number, end: number }

export interface ReadingOptions {
  /** How many values may be listed: each takes more memory than its text. */
  maxValues?: number
  /** Name of members of which nothing but an object's own members is listed, at any depth. */
  shallow?: string
}

/**
 * Reads a JSON text: checks all of it, and lists the members and items of values up to `depth` levels below the root.
 * With `members`, nothing but an object's own members is listed: each item of a list takes more memory than its text.
 *
 * `null` for a text that is no JSON. Throws TooManyValuesError when more than `maxValues` would be listed. A byte order
 * mark before it and Python's `NaN`, `Infinity` and `-Infinity` are taken; the latter become `null` in the document's
 * text. Nothing of the values is built, so digits cannot be lost.
 */
export function readJson (
  given: string, depth: number | 'members' = 1, options: ReadingOptions = {}
): JsonDocument | null {
  const text = given.charCodeAt(0) === 0xfeff ? given.slice(1) : given
  const nonFinite: Replacement[] = []
  try {
    const document = readSource(sourceOf(text, nonFinite, options), depth)
    if (nonFinite.length === 0) return document
    return readSource(sourceOf(withoutNonFinite(text, nonFinite), [], options), depth)
  } catch (error) {
    if (error instanceof Invalid) return null
    throw error
  }
}

/** The text with each of Python's words for numbers replaced by `null`. They come in their order. */
function withoutNonFinite (text: string, words: readonly Replacement[]): string {
  let end = 0
  const pieces = words.map(word => {
    const before = text.slice(end, word.start)
    end = word.end
    return `${before}null`
  })
  return pieces.join('') + text.slice(end)
}

/*
 * The scan. Each function gets the place where its part begins, and gives the place behind it. They are no closures and
 * share no state, which makes them three times as fast: half a gigabyte a second, a whole one of long strings.
 */

/** The text that is scanned. */
interface Source {
  text: string
  codes: Codes
  /** The codes in words of four; `null` where they are not looked at. */
  words: Int32Array | null
  /** Where Python's words for numbers stand. */
  nonFinite: Replacement[]
  longStrings: Map<number, string>
  /** How many values may still be listed. */
  valuesLeft: number
  shallow: string | null
  /** One guess a text is enough. */
  mayGuess: boolean
}

/**
 * A byte for each code unit of a text, and behind them four zeros, which stand nowhere in JSON, and then anything. A
 * unit that needs two bytes is 255: like all of them it can only stand in a string. So every text is scanned by the
 * same machine code.
 */
type Codes = Uint8Array

function sourceOf (text: string, nonFinite: Replacement[], { maxValues, shallow }: ReadingOptions): Source {
  const { length } = text
  const { bytes, words } = scratchFor(length + 4) // with a zero in the last word
  if (hasWideUnits.test(text)) {
    const units = Buffer.from(text, 'utf16le')
    const clamped = new Uint8ClampedArray(bytes.buffer, bytes.byteOffset, length) // what is above 255 becomes 255
    clamped.set(new Uint16Array(units.buffer, units.byteOffset, length))
  } else {
    bytes.write(text, 'latin1')
  }
  bytes.fill(0, length, length + 4)
  return {
    text,
    codes: bytes,
    words: length < wordyLength || !isLittleEndian ? null : words,
    nonFinite,
    longStrings: new Map(),
    valuesLeft: maxValues ?? Infinity,
    shallow: shallow ?? null,
    mayGuess: true
  }
}

/** Length from which a text is looked at in words, too, where the first character is in the lowest byte of a word. */
const wordyLength = 256
const isLittleEndian = endianness() === 'LE'

/** Takes no time where the engine keeps a byte for each unit: it knows then that there is none. */
const hasWideUnits = /[^\0-\xff]/

function readSource (source: Source, depth: number | 'members'): JsonDocument {
  const { text, codes, longStrings } = source
  const start = endOfSpace(codes, 0)
  const root = readValue(source, start, depth === 'members' ? depthOfMembers(codes[start]) : depth)
  if (endOfSpace(codes, root.end) < text.length) throw new Invalid()
  return longStrings.size === 0 ? { text, root } : { text, root, longStrings }
}

/** How deep a value is listed of which nothing but an object's own members is. */
const depthOfMembers = (code: number | undefined) => code === openBrace ? 1 : 0

/** `start` is where the value begins, behind white space. */
function readValue (source: Source, start: number, left: number): JsonNode {
  if (--source.valuesLeft < 0) throw new TooManyValuesError()
  const code = source.codes[start]
  if (code === openBrace) {
    return left > 0 ? readObject(source, start, left - 1) : { type: 'object', start, end: endOfValue(source, start) }
  }
  if (code === openBracket) {
    return left > 0 ? readArray(source, start, left - 1) : { type: 'array', start, end: endOfValue(source, start) }
  }
  if (code === quote) return { type: 'string', start, end: endOfString(source, start) }
  return { type: typeOfToken(code), start, end: endOfToken(source, start) }
}

function readObject (source: Source, start: number, left: number): JsonNode {
  const { text, codes } = source
  const members: JsonMember[] = []
  let at = endOfSpace(codes, start + 1)
  if (codes[at] === closeBrace) return { type: 'object', start, members, end: at + 1 }
  for (;;) {
    if (codes[at] !== quote) throw new Invalid()
    const end = endOfString(source, at)
    const name = unquote(text, at, end)
    const valueAt = endOfSpace(codes, endOfColon(codes, end))
    const isShallow = name === source.shallow && left > 0
    const value = readValue(source, valueAt, isShallow ? depthOfMembers(codes[valueAt]) : left)
    members.push({ name, start: at, value })
    at = endOfSpace(codes, value.end)
    if (codes[at] === closeBrace) return { type: 'object', start, members, end: at + 1 }
    if (codes[at] !== comma) throw new Invalid()
    at = endOfSpace(codes, at + 1)
  }
}

function readArray (source: Source, start: number, left: number): JsonNode {
  const { codes } = source
  const items: JsonNode[] = []
  let at = endOfSpace(codes, start + 1)
  if (codes[at] === closeBracket) return { type: 'array', start, items, end: at + 1 }
  for (;;) {
    const item = readValue(source, at, left)
    items.push(item)
    at = endOfSpace(codes, item.end)
    if (codes[at] === closeBracket) return { type: 'array', start, items, end: at + 1 }
    if (codes[at] !== comma) throw new Invalid()
    at = endOfSpace(codes, at + 1)
  }
}

/** Of everybody: a scan is over before the next one begins. */
const firstClosers = new Uint8Array(64)

/** Passes over a value of any depth without listing what is in it. Takes no stack: a hostile text may be all levels. */
function endOfValue (source: Source, start: number): number {
  const { codes } = source
  /** What closes each level. */
  let closers: Uint8Array = firstClosers
  let depth = 0
  let at = start
  for (;;) {
    at = endOfSpace(codes, at)
    const code = codes[at]
    if (code === openBrace || code === openBracket) {
      const closer = code === openBrace ? closeBrace : closeBracket
      at = endOfSpace(codes, at + 1)
      if (codes[at] !== closer) {
        if (depth === closers.length) closers = enlarged(closers)
        closers[depth++] = closer
        if (closer === closeBrace) at = endOfName(source, at)
        continue
      }
      at++
    } else {
      at = code === quote ? endOfString(source, at) : endOfToken(source, at)
    }
    // The value has ended, and with it each level that is closed next.
    for (;;) {
      if (depth === 0) return at
      const closer = closers[depth - 1]
      at = endOfSpace(codes, at)
      const next = codes[at]
      at++
      if (next === comma) {
        if (closer === closeBrace) at = endOfName(source, endOfSpace(codes, at))
        break
      }
      if (next !== closer) throw new Invalid()
      depth--
    }
  }
}

/** Passes over the name of a member, and its colon. */
function endOfName (source: Source, start: number): number {
  if (source.codes[start] !== quote) throw new Invalid()
  return endOfColon(source.codes, endOfString(source, start))
}

function endOfColon (codes: Codes, start: number): number {
  const at = endOfSpace(codes, start)
  if (codes[at] !== colon) throw new Invalid()
  return at + 1
}

function endOfSpace (codes: Codes, start: number): number {
  let at = start
  for (;;) {
    const code = codes[at] as number
    if (code > 0x20 || (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09)) return at
    at++
  }
}

/** `start` is where the opening quote stands. */
function endOfString (source: Source, start: number): number {
  const { text, codes, words } = source
  let at = start + 1
  const guessAt = source.mayGuess ? start + longLength : codes.length // a whole number, too, which no place reaches
  for (;;) {
    if (words !== null) at = endOfPlain(words, at)
    const code = codes[at] as number // an index is at most one behind the text, and so in the array
    if (code === quote) return at + 1
    if (code === backslash) at = endOfEscape(text, codes, at)
    else if (code >= 0x20) at++
    else throw new Invalid() // a control character, or the end of the text
    if (at > guessAt) return endOfLongString(source, start) ?? endOfString(source, start)
  }
}

/**
 * Where a run of plain characters ends: at a quote, a backslash, or a control character. Four bytes at once are tested
 * for one that is less than 0x20, or 0 after an exclusive or: then its highest bit is set. Borrows may set further bits
 * above it, so the lowest one counts.
 */
function endOfPlain (words: Int32Array, start: number): number {
  let index = start >> 2
  // What stands before the run counts as plain.
  const own = -1 << ((start & 3) << 3)
  let word = ((words[index] as number) & own) | (0x61616161 & ~own)
  for (;;) {
    const quotes = word ^ 0x22222222
    const backslashes = word ^ 0x5c5c5c5c
    const found = (((word - 0x20202020) & ~word) | ((quotes - 0x01010101) & ~quotes) |
      ((backslashes - 0x01010101) & ~backslashes)) & 0x80808080
    if (found !== 0) return (index << 2) + ((31 - Math.clz32(found & -found)) >> 3)
    index++
    word = words[index] as number // the last word has a zero
  }
}

/** Length from which a string is worth a guess where it ends. */
const longLength = 65_536
/** How much of a text may follow a string that fills it (characters). */
const tailLength = 1_024

/**
 * A long string mostly fills its text: it ends with the first quote of the text's last part. Then JSON.parse checks it
 * and unescapes it in one go, which its user wants next. `null` when it ends elsewhere.
 */
function endOfLongString (source: Source, start: number): number | null {
  const { text, codes, longStrings } = source
  source.mayGuess = false
  const next = text.indexOf('"', start + longLength)
  if (next < text.length - tailLength && !isEscaped(codes, next)) return null // it ends there
  let end = Math.max(start + 1, text.length - tailLength)
  while (end < text.length && !(codes[end] === quote && !isEscaped(codes, end))) end++
  try {
    longStrings.set(start, JSON.parse(text.slice(start, end + 1)) as string) // it begins with a quote
    return end + 1
  } catch {
    return null
  }
}

/** Whether a code unit follows an odd number of backslashes. */
function isEscaped (codes: Codes, at: number): boolean {
  let start = at
  while (codes[start - 1] === backslash) start--
  return (at - start) % 2 === 1
}

function endOfEscape (text: string, codes: Codes, start: number): number {
  const escaped = codes[start + 1] as number
  if (escaped === quote || escaped === backslash) return start + 2
  if (escaped !== letterU) {
    if (!simpleEscapes.has(escaped)) throw new Invalid()
    return start + 2
  }
  hexDigits.lastIndex = start + 2
  if (!hexDigits.test(text)) throw new Invalid()
  return start + 6
}

const typeOfToken = (code: number | undefined): JsonType =>
  code === letterT || code === letterF ? 'boolean' : code === minus || isDigit(code) ? 'number' : 'null'

/** A number or a word. */
function endOfToken ({ text, codes, nonFinite }: Source, start: number): number {
  const code = codes[start]
  if (isDigit(code) || (code === minus && isDigit(codes[start + 1]))) return endOfNumber(codes, start)
  const word = code === letterT ? 'true' : code === letterF ? 'false' : words.find(word => text.startsWith(word, start))
  if (word === undefined || !text.startsWith(word, start)) throw new Invalid()
  const end = start + word.length
  if (nonFiniteWords.has(word)) nonFinite.push({ start, end })
  return end
}

/** Python's json module writes numbers that are none as words. */
const nonFiniteWords = new Set(['NaN', 'Infinity', '-Infinity'])
const words = ['null', ...nonFiniteWords]

function endOfNumber (codes: Codes, start: number): number {
  let at = codes[start] === minus ? start + 1 : start
  at = codes[at] === zero ? at + 1 : endOfDigits(codes, at)
  if (codes[at] === dot) at = endOfDigits(codes, at + 1)
  if (codes[at] !== 0x65 && codes[at] !== 0x45) return at
  const sign = codes[at + 1]
  return endOfDigits(codes, sign === minus || sign === 0x2b ? at + 2 : at + 1)
}

function endOfDigits (codes: Codes, start: number): number {
  let at = start
  while (isDigit(codes[at])) at++
  if (at === start) throw new Invalid()
  return at
}

const isDigit = (code: number | undefined) => code !== undefined && code >= zero && code <= 0x39

function enlarged (bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(bytes.length * 2)
  larger.set(bytes)
  return larger
}

/** The string that a part of a checked text is. */
export function unquote (text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end - 1)
  return inner.includes('\\') ? JSON.parse(text.slice(start, end)) as string : inner
}
