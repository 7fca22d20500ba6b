import { randomUUID } from 'node:crypto'
import { backslash, quote } from './json-signs.ts'
import { applyEdits, type JsonEdit } from './json-text.ts'

const minus = 0x2d
const isDigit = (code: number) => code >= 0x30 && code <= 0x39

/** Whether a value of a text that is transformed is a number. */
export type IsNumber = (value: unknown) => boolean

/**
 * A JSON text with its value transformed, and every number that the transformation leaves written as before.
 *
 * `transform` sees a number that a double cannot hold, or would be written in another way, as a string, of which
 * `isNumber` is true as of any number. For values of moderate size: the text is parsed and written. `value` is the
 * parsed text, where the caller has it.
 */
export function transformJson (
  text: string, transform: (value: unknown, isNumber: IsNumber) => unknown, value?: unknown
): string {
  const numbers = numbersIn(text).filter(({ text }) => String(Number(text)) !== text)
  if (numbers.length === 0) {
    const before: unknown = value ?? JSON.parse(text)
    const after = transform(before, value => typeof value === 'number')
    return after === before ? text : JSON.stringify(after)
  }
  const mark = unusedMark(text)
  const marked = numbers.map((number, index) => ({ ...number, text: `"${mark}${index}"` }))
  const before: unknown = JSON.parse(applyEdits(text, marked))
  const isMark = new RegExp(`^${mark}\\d+$`)
  const isNumber = (value: unknown) => typeof value === 'string' ? isMark.test(value) : typeof value === 'number'
  const after = transform(before, isNumber)
  if (after === before) return text
  const restored = (_: string, index: string) => numbers[Number(index)]?.text ?? ''
  return JSON.stringify(after).replace(new RegExp(`"${mark}(\\d+)"`, 'g'), restored)
}

/** The numbers in a JSON text. No regular expression: one that skips strings overflows the stack in long ones. */
function numbersIn (text: string): JsonEdit[] {
  const numbers: JsonEdit[] = []
  for (let position = 0; position < text.length; position++) {
    const start = position
    const code = text.charCodeAt(start)
    if (code === quote) {
      position = endOfString(text, start)
    } else if (code === minus || isDigit(code)) {
      while (partsOfNumbers.has(text[position + 1] ?? '')) position++
      numbers.push({ start, end: position + 1, text: text.slice(start, position + 1) })
    }
  }
  return numbers
}

/** Where a string's closing quote stands. */
function endOfString (text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let before = end
    while (text.charCodeAt(before - 1) === backslash) before--
    if ((end - before) % 2 === 0) return end
  }
  return text.length
}

const partsOfNumbers = new Set('0123456789.eE+-')

/** A text that occurs nowhere in another. */
function unusedMark (text: string): string {
  let mark = 'number-'
  while (text.includes(mark)) mark = `number-${randomUUID()}-`
  return mark
}
