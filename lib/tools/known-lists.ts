import { isJsonObject, type JsonObject, parseJsonObject } from '../json.ts'
import { type ListedItem, listKinds, type ListName } from '../mcp/client/list-pages.ts'
import type { ListAnswer } from './server-lists.ts'

/** What a server that is the same for everybody offers, as one worker has learned it. */
export interface KnownLists {
  /** The name and version that the server gave itself, where it gave any. */
  version?: string
  /** When it was learned (ms since 1970). */
  at: number
  /** How long the server lets its tools be remembered (ms), where it says so. */
  ttlMs?: number
  /** How often in a row it was learned again and was the same. */
  unchanged: number
  /** A list that could not be learned is not there. */
  answers: { readonly [Kind in ListName]?: ListAnswer }
}

/** Where the workers share what they know: texts by name. May reject. */
export interface KnownListsStore {
  read: (name: string) => Promise<string | null>
  write: (name: string, text: string) => Promise<void>
}

/** What is longer is not shared: each worker learns it (characters). */
const maxTextLength = 4_194_304

/** The text for other workers; `null` when it would be too long. Items stay as their server wrote them. */
export function writeKnownLists ({ answers, ...known }: KnownLists): string | null {
  const lists = Object.fromEntries(Object.entries(answers).map(([kind, { items, ...answer }]) =>
    [kind, { ...answer, items: items.map(({ text }) => text) }]))
  const text = JSON.stringify({ ...known, lists })
  return text.length > maxTextLength ? null : text
}

/** `null` for a text that this service did not write: the server is asked. */
export function readKnownLists (text: string): KnownLists | null {
  const { version, at, unchanged, ttlMs, lists } = parseJsonObject(text) ?? {}
  if (typeof at !== 'number' || typeof unchanged !== 'number' || !isJsonObject(lists)) return null
  const answers: { [Kind in ListName]?: ListAnswer } = {}
  for (const kind of Object.keys(listKinds) as ListName[]) {
    const list = lists[kind]
    if (list === undefined) continue
    const answer = isJsonObject(list) ? readAnswer(list) : null
    if (answer === null) return null
    answers[kind] = answer
  }
  return {
    at,
    unchanged,
    answers,
    ...(typeof version === 'string' && { version }),
    ...(typeof ttlMs === 'number' && { ttlMs })
  }
}

function readAnswer (
  { items, warnings, ttlMs, instructions, isAbsent, declaresState }: JsonObject
): ListAnswer | null {
  if (!isTextArray(items) || !isTextArray(warnings)) return null
  const read = items.map(readItem)
  if (read.includes(null)) return null
  return {
    items: read.filter(item => item !== null),
    warnings: [...warnings],
    ...(typeof ttlMs === 'number' && { ttlMs }),
    ...(typeof instructions === 'string' && { instructions }),
    ...(isAbsent === true && { isAbsent }),
    ...(declaresState === true && { declaresState })
  }
}

function readItem (text: string): ListedItem | null {
  const value = parseJsonObject(text)
  return value === null ? null : { text, value }
}

const isTextArray = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every(item => typeof item === 'string')
