import { randomUUID } from 'node:crypto'

/*
 * JSON as text. A value that only passes through the service is never parsed and written again: numbers beyond a
 * double, the order of keys, white space and escapes stay as their author wrote them. This file finds values in a
 * text, checks them, and edits the text around them.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8259
 */

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
}

/** A value and the document that it is in. */
export interface JsonValue { readonly document: JsonDocument, readonly node: JsonNode }

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

const letterU = 0x75
const minus = 0x2d
const dot = 0x2e
const zero = 0x30
const simpleEscapes = new Set(Array.from('"\\/bfnrt', character => character.charCodeAt(0)))

/** `y`: they match where the scan is. */
const hexDigits = /[\da-fA-F]{4}/y

class Invalid extends Error {}

interface Replacement { start: number, end: number }

/**
 * Reads a JSON text: checks all of it, and lists the members and items of values up to `depth` levels below the root.
 *
 * `null` for a text that is no JSON. A byte order mark before it and Python's `NaN`, `Infinity` and `-Infinity` are
 * taken; the latter become `null` in the document's text. Nothing of the values is built, so digits cannot be lost.
 */
export function readJson (given: string, depth = 1): JsonDocument | null {
  const text = given.charCodeAt(0) === 0xfeff ? given.slice(1) : given
  const nonFinite: Replacement[] = []
  try {
    const root = scan(text, depth, nonFinite)
    if (nonFinite.length === 0) return { text, root }
    const finite = applyEdits(text, nonFinite.map(range => ({ ...range, text: 'null' })))
    return { text: finite, root: scan(finite, depth, []) }
  } catch (error) {
    if (error instanceof Invalid) return null
    throw error
  }
}

function scan (text: string, depth: number, nonFinite: Replacement[]): JsonNode {
  const length = text.length
  let position = 0
  /** What closes each level of the value that is skipped. A byte a level: a hostile text may be nothing but levels. */
  let closers = new Uint8Array(64)

  function skipSpace (): void {
    while (position < length) {
      const code = text.charCodeAt(position)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
      position++
    }
  }

  /** Moves past a string, whose opening quote is at `position`. */
  function skipString (): void {
    let at = position + 1
    for (;;) {
      const code = text.charCodeAt(at)
      if (code === quote) break
      if (code === backslash) {
        const escaped = text.charCodeAt(at + 1)
        if (escaped === letterU) {
          if (!isHex(at + 2)) throw new Invalid()
          at += 6
        } else {
          if (!simpleEscapes.has(escaped)) throw new Invalid()
          at += 2
        }
      } else if (code >= 0x20) {
        at++
      } else {
        throw new Invalid() // a control character, or NaN: the end of the text
      }
    }
    position = at + 1
  }

  function isHex (at: number): boolean {
    hexDigits.lastIndex = at
    return hexDigits.test(text)
  }

  /** Moves past a number or a word. */
  function skipToken (): JsonType {
    const code = text.charCodeAt(position)
    if (isDigit(code) || (code === minus && isDigit(text.charCodeAt(position + 1)))) {
      skipNumber()
      return 'number'
    }
    for (const [word, type] of words) {
      if (!text.startsWith(word, position)) continue
      if (type === 'number') nonFinite.push({ start: position, end: position + word.length })
      position += word.length
      return type === 'number' ? 'null' : type
    }
    throw new Invalid()
  }

  function skipNumber (): void {
    if (text.charCodeAt(position) === minus) position++
    if (text.charCodeAt(position) === zero) position++
    else skipDigits()
    if (text.charCodeAt(position) === dot) {
      position++
      skipDigits()
    }
    const code = text.charCodeAt(position)
    if (code !== 0x65 && code !== 0x45) return
    position++
    const sign = text.charCodeAt(position)
    if (sign === minus || sign === 0x2b) position++
    skipDigits()
  }

  function skipDigits (): void {
    const start = position
    while (isDigit(text.charCodeAt(position))) position++
    if (position === start) throw new Invalid()
  }

  /** Moves past a value of any depth without listing what is in it. */
  function skipValue (): void {
    let depth = 0
    for (;;) {
      skipSpace()
      const code = text.charCodeAt(position)
      if (code === openBrace || code === openBracket) {
        const closer = code === openBrace ? closeBrace : closeBracket
        position++
        skipSpace()
        if (text.charCodeAt(position) !== closer) {
          if (depth === closers.length) closers = enlarged(closers)
          closers[depth++] = closer
          if (closer === closeBrace) skipName()
          continue
        }
        position++
      } else if (code === quote) {
        skipString()
      } else {
        skipToken()
      }
      for (;;) {
        if (depth === 0) return
        const closer = closers[depth - 1]
        skipSpace()
        const next = text.charCodeAt(position)
        if (next === comma) {
          position++
          if (closer === closeBrace) {
            skipSpace()
            skipName()
          }
          break
        }
        if (next !== closer) throw new Invalid()
        position++
        depth--
      }
    }
  }

  function skipName (): void {
    if (text.charCodeAt(position) !== quote) throw new Invalid()
    skipString()
    skipSpace()
    if (text.charCodeAt(position) !== colon) throw new Invalid()
    position++
  }

  function readValue (left: number): JsonNode {
    skipSpace()
    const start = position
    const code = text.charCodeAt(start)
    if (code === openBrace && left > 0) return { type: 'object', start, members: readMembers(left - 1), end: position }
    if (code === openBracket && left > 0) return { type: 'array', start, items: readItems(left - 1), end: position }
    if (code === openBrace || code === openBracket) {
      skipValue()
      return { type: code === openBrace ? 'object' : 'array', start, end: position }
    }
    if (code !== quote) return { type: skipToken(), start, end: position }
    skipString()
    return { type: 'string', start, end: position }
  }

  function readMembers (left: number): JsonMember[] {
    const members: JsonMember[] = []
    position++
    skipSpace()
    if (text.charCodeAt(position) === closeBrace) {
      position++
      return members
    }
    for (;;) {
      skipSpace()
      const start = position
      if (text.charCodeAt(start) !== quote) throw new Invalid()
      skipString()
      const name = unquote(text, start, position)
      skipSpace()
      if (text.charCodeAt(position) !== colon) throw new Invalid()
      position++
      members.push({ name, start, value: readValue(left) })
      if (isAtEnd(closeBrace)) return members
    }
  }

  function readItems (left: number): JsonNode[] {
    const items: JsonNode[] = []
    position++
    skipSpace()
    if (text.charCodeAt(position) === closeBracket) {
      position++
      return items
    }
    for (;;) {
      items.push(readValue(left))
      if (isAtEnd(closeBracket)) return items
    }
  }

  /** Moves past a comma, or past the closing bracket, and says which it was. */
  function isAtEnd (closer: number): boolean {
    skipSpace()
    const code = text.charCodeAt(position)
    if (code !== comma && code !== closer) throw new Invalid()
    position++
    return code === closer
  }

  const root = readValue(depth)
  skipSpace()
  if (position < length) throw new Invalid()
  return root
}

/** Python's json module writes numbers that are none as words. */
const words: ReadonlyArray<readonly [string, JsonType]> = [
  ['null', 'null'], ['true', 'boolean'], ['false', 'boolean'],
  ['NaN', 'number'], ['Infinity', 'number'], ['-Infinity', 'number']
]

const isDigit = (code: number) => code >= zero && code <= 0x39

function enlarged (bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(bytes.length * 2)
  larger.set(bytes)
  return larger
}

function unquote (text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end - 1)
  return inner.includes('\\') ? JSON.parse(text.slice(start, end)) as string : inner
}

/** The text of a value, as its author wrote it. */
export const textOf = ({ text }: Pick<JsonDocument, 'text'>, { start, end }: JsonNode): string => text.slice(start, end)

/**
 * The member of an object with a name. The last one where several have it, as JSON.parse takes them; `null` where none
 * has it, and for a value that is no object.
 */
export function memberOf (node: JsonNode | null, name: string): JsonNode | null {
  return node?.members?.findLast(member => member.name === name)?.value ?? null
}

/** The same, with `null` also for a member whose value is `null`: real servers write that for an absent field. */
export function presentMember (node: JsonNode | null, name: string): JsonNode | null {
  const value = memberOf(node, name)
  return value === null || value.type === 'null' ? null : value
}

/** A member that is a string, unescaped; `null` for any other. */
export function stringMember (document: JsonDocument, node: JsonNode | null, name: string): string | null {
  const value = memberOf(node, name)
  return value?.type === 'string' ? unquote(document.text, value.start, value.end) : null
}

/** The value that a node stands for. Digits beyond a double are lost: for looking at, never for passing on. */
export const valueOf = (document: JsonDocument, node: JsonNode): unknown => JSON.parse(textOf(document, node))

/**
 * Members of an object by name, each as the text of its value, in the order of first appearance. The last of equal
 * names wins.
 */
export function memberTexts (document: JsonDocument, node: JsonNode = document.root): Map<string, string> {
  return new Map(node.members?.map(({ name, value }) => [name, textOf(document, value)]))
}

export interface JsonEdit {
  start: number
  end: number
  /** What stands there instead. */
  text: string
}

/** The text with each range replaced. Ranges must not overlap; they may come in any order. */
export function applyEdits (text: string, edits: readonly JsonEdit[]): string {
  if (edits.length === 0) return text
  const pieces: string[] = []
  let end = 0
  for (const edit of [...edits].sort((a, b) => a.start - b.start)) {
    pieces.push(text.slice(end, edit.start), edit.text)
    end = edit.end
  }
  pieces.push(text.slice(end))
  return pieces.join('')
}

/** Edits that take members out of an object, each with the comma that joined it. Everything around them stays. */
export function removalsOf (
  { members = [], start, end }: JsonNode, isRemoved: (member: JsonMember) => boolean
): JsonEdit[] {
  const kept = members.filter(member => !isRemoved(member))
  if (kept.length === members.length) return []
  if (kept.length === 0) return [{ start: start + 1, end: end - 1, text: '' }]
  const lastKept = members.findLastIndex(member => !isRemoved(member))
  return members.flatMap((member, index) => {
    if (!isRemoved(member)) return []
    const next = members[index + 1]
    // A member goes with the comma after it; behind the last one that stays, with the comma before it.
    if (index < lastKept && next !== undefined) return [{ start: member.start, end: next.start, text: '' }]
    return [{ start: members[index - 1]?.value.end ?? start + 1, end: member.value.end, text: '' }]
  })
}

/** The text of one value of a document, with each range replaced. The ranges are within the value. */
export function editedText ({ document, node: { start, end } }: JsonValue, edits: readonly JsonEdit[]): string {
  const own = edits.map(edit => ({ ...edit, start: edit.start - start, end: edit.end - start }))
  return applyEdits(document.text.slice(start, end), own)
}

/** The edit that gives a member of an object another value, or adds the member at its end. */
export function settingOf (node: JsonNode, name: string, text: string): JsonEdit {
  const value = memberOf(node, name)
  if (value !== null) return { start: value.start, end: value.end, text }
  const comma = node.members?.length ? ',' : ''
  return { start: node.end - 1, end: node.end - 1, text: `${comma}${JSON.stringify(name)}:${text}` }
}

/**
 * A JSON text with its value transformed, and every number that the transformation leaves written as before.
 *
 * `transform` sees a number that a double cannot hold, or would be written in another way, as a string. For values of
 * moderate size: the text is parsed and written.
 */
export function transformJson (text: string, transform: (value: unknown) => unknown): string {
  const mark = unusedMark(text)
  const numbers = numbersIn(text).filter(({ text }) => String(Number(text)) !== text)
  const marked = numbers.map((number, index) => ({ ...number, text: `"${mark}${index}"` }))
  const before: unknown = JSON.parse(applyEdits(text, marked))
  const after = transform(before)
  if (after === before) return text
  const written = JSON.stringify(after)
  if (numbers.length === 0) return written
  return written.replace(new RegExp(`"${mark}(\\d+)"`, 'g'), (_, index) => numbers[Number(index)]?.text ?? '')
}

/** The numbers in a JSON text. No regular expression: one that skips strings overflows the stack in long ones. */
function numbersIn (text: string): JsonEdit[] {
  const numbers: JsonEdit[] = []
  for (let position = 0; position < text.length; position++) {
    const start = position
    const code = text.charCodeAt(start)
    if (code === quote) {
      do position += text.charCodeAt(position) === backslash ? 2 : 1
      while (position < text.length && text.charCodeAt(position) !== quote)
    } else if (code === minus || isDigit(code)) {
      while (partsOfNumbers.has(text[position + 1] ?? '')) position++
      numbers.push({ start, end: position + 1, text: text.slice(start, position + 1) })
    }
  }
  return numbers
}

const partsOfNumbers = new Set('0123456789.eE+-')

/** A text that occurs nowhere in another. */
function unusedMark (text: string): string {
  let mark = 'number-'
  while (text.includes(mark)) mark = `number-${randomUUID()}-`
  return mark
}

/** The text of an object with members added at its end. Its text may have white space around it. */
export function withAdded (object: string, members: ReadonlyArray<readonly [name: string, text: string]>): string {
  if (members.length === 0) return object
  const text = object.trimEnd()
  const isEmpty = /^\s*\{\s*\}$/.test(text)
  return `${isEmpty ? '{' : `${text.slice(0, -1)},`}${objectText(members).slice(1)}`
}

/** An array of items, each given as JSON text. */
export const arrayText = (items: readonly string[]): string => `[${items.join(',')}]`

/** An object of members, each given as the JSON text of its value. */
export function objectText (members: Iterable<readonly [name: string, text: string]>): string {
  return `{${Array.from(members, ([name, text]) => `${JSON.stringify(name)}:${text}`).join(',')}}`
}
