import { printParseErrorCode, visit } from 'jsonc-parser'

/** Where a text is not what it should be. The sentence repeats nothing of the text. */
export class JsoncError extends SyntaxError {
  override name = 'JsoncError'
}

export interface JsoncDocument {
  /** The same value as JSON: comments and trailing commas are blanks, and all else is where it was. */
  text: string
  value: unknown
}

interface Fault { line: number, column: number, what: string }
interface Span { start: number, length: number }

/**
 * Reads JSON with comments and trailing commas, as editors take it. A name that an object has twice is a fault: the
 * second value would replace the first one without a word.
 *
 * Throws JsoncError, which says line and column, counted from 1.
 *
 * @see https://code.visualstudio.com/docs/languages/json#_json-with-comments
 */
export function parseJsonc (source: string): JsoncDocument {
  const { faults: [fault], blanks } = scan(source)
  if (fault !== undefined) throw new JsoncError(`line ${fault.line}, column ${fault.column}: ${fault.what}`)
  const text = blankOut(source, blanks)
  try {
    return { text, value: JSON.parse(text) }
  } catch {
    throw new JsoncError('it is not valid JSON') // without the cause, whose sentence quotes the text
  }
}

/** Faults in their order, and what JSON does not have. */
function scan (source: string): { faults: Fault[], blanks: Span[] } {
  const faults: Fault[] = []
  const blanks: Span[] = []
  const names: Array<Set<string>> = []
  /** Where a comma is that no value has followed yet. */
  let comma: number | null = null
  const addFault = (line: number, character: number, what: string) =>
    faults.push({ line: line + 1, column: character + 1, what })

  function endValue (): void {
    if (comma !== null) blanks.push({ start: comma, length: 1 })
    comma = null
  }

  try {
    visit(source, {
      onObjectBegin () {
        comma = null
        names.push(new Set())
      },
      onObjectProperty (name, _offset, _length, line, character) {
        comma = null
        const known = names.at(-1)
        if (known?.has(name)) addFault(line, character, 'the object has a value of that name already')
        known?.add(name)
      },
      onObjectEnd () {
        endValue()
        names.pop()
      },
      onArrayBegin () { comma = null },
      onArrayEnd: endValue,
      onLiteralValue () { comma = null },
      onSeparator (character, offset) { comma = character === ',' ? offset : null },
      onComment: (start, length) => blanks.push({ start, length }),
      onError: (code, _offset, _length, line, character) =>
        addFault(line, character, wordsOf(printParseErrorCode(code)))
    }, { allowTrailingComma: true })
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new JsoncError('it is nested too deeply') // the parser calls itself for each level
  }
  return { faults, blanks }
}

/** `CommaExpected` as words. */
const wordsOf = (code: string) => code.replace(/(?!^)[A-Z]/g, ' $&').toLowerCase()

/** Keeps line breaks, so that lines stay what they are. */
function blankOut (source: string, spans: readonly Span[]): string {
  const pieces: string[] = []
  let end = 0
  for (const { start, length } of [...spans].sort((one, other) => one.start - other.start)) {
    pieces.push(source.slice(end, start), source.slice(start, start + length).replace(/[^\r\n]/g, ' '))
    end = start + length
  }
  return pieces.join('') + source.slice(end)
}
