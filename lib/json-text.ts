import { type JsonDocument, type JsonMember, type JsonNode, type JsonValue, unquote } from './json-scanner.ts'

export {
  type JsonDocument, type JsonMember, type JsonNode, type JsonType, type JsonValue, readJson, TooManyValuesError
} from './json-scanner.ts'

/** The string that a node stands for. */
export const stringOf = ({ text, longStrings }: JsonDocument, { start, end }: JsonNode): string =>
  longStrings?.get(start) ?? unquote(text, start, end)

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
  return value?.type === 'string' ? stringOf(document, value) : null
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
  /** The text that stands there instead. */
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
  let text = '{'
  for (const [name, value] of members) text += `${text.length === 1 ? '' : ','}${quoted(name)}:${value}`
  return `${text}}`
}

/** Most names are plain words, for which JSON.stringify is a detour. */
const quoted = (name: string) => /^[\w/.-]*$/.test(name) ? `"${name}"` : JSON.stringify(name)
