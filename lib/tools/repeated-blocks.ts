import { isDeepStrictEqual } from 'node:util'
import { type JsonDocument, type JsonNode, memberOf, stringMember, stringOf, textOf } from '../json-text.ts'

/** Content blocks beside what a reply was made of. */
export interface Beside {
  document: JsonDocument
  blocks: readonly JsonNode[]
  /** What the reply was made of; absent where it was made of the texts. */
  structured?: JsonNode | null
  /** The value in it that its server has wrapped. */
  wrapped?: JsonNode | null
}

/** Longer texts are taken for repetitions, which they are for any server that keeps to the specification. */
const maxComparedLength = 262_144

/** Types of blocks are the server's: only words go into a header, and not many of them. */
const maxTypes = 8
const wordOf = (type: string) => /^[\w-]{1,32}$/.test(type) ? type : 'other'

/**
 * Types of the content blocks that a reply neither holds nor repeats. The specification wants a tool with
 * `structuredContent` to repeat it as a text, for older clients. Some tools repeat one of its texts.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/tools#structured-content
 */
export function blocksLeftOut ({ document, blocks, structured = null, wrapped = null }: Beside): string[] {
  const types = new Set<string>()
  const repeats = structured === null ? () => false : createRepeats(document, structured)
  for (const block of blocks) {
    const type = stringMember(document, block, 'type') ?? 'other'
    const text = type === 'text' ? memberOf(block, 'text') : null
    // A wrapped list has a text for each of its items.
    const isRepeated = text !== null && (structured === null || wrapped !== null || repeats(text))
    if (!isRepeated) types.add(wordOf(type))
  }
  return [...types].slice(0, maxTypes)
}

/** Tells whether a text repeats a value, or one of its texts. The value is read once: there may be very many texts. */
function createRepeats (document: JsonDocument, value: JsonNode): (text: JsonNode) => boolean {
  if (value.end - value.start > maxComparedLength) return text => text.type === 'string'
  const strings = value.members?.filter(member => member.value.type === 'string') ?? []
  const texts = new Set(strings.map(member => stringOf(document, member.value)))
  let parsed: { value: unknown } | null = null

  return function repeats (text) {
    if (text.type !== 'string') return false
    if (text.end - text.start > maxComparedLength) return true
    const words = stringOf(document, text)
    if (texts.has(words)) return true
    try {
      parsed ??= { value: JSON.parse(textOf(document, value)) }
      return isDeepStrictEqual(JSON.parse(words), parsed.value)
    } catch {
      return false // it is no JSON, so it says something else
    }
  }
}
