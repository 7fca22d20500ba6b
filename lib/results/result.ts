import { randomBytes } from 'node:crypto'
import { type JsonType, readJson } from '../json-text.ts'

/**
 * A result is what a tool or a resource gave, kept for its session under a reference.
 *
 * `json`: JSON, of which parts can be read. `text`: a text. `binary`: any bytes.
 */
export type ResultKind = 'json' | 'text' | 'binary'

/** What is known of a result without its bytes. */
export interface ResultHead {
  kind: ResultKind
  /** What its JSON is, or its MIME type, in lower case. */
  type: string
  /** Length of its bytes. */
  bytes: number
}

/** A result before it is kept. */
export interface ResultContent {
  kind: ResultKind
  type: string
  content: Buffer
}

/** 192 random bits, which cannot be guessed. */
export const createReference = () => `r_${randomBytes(24).toString('base64url')}`

export const isReference = (text: string) => /^r_[\w-]{32}$/.test(text)

/** The type of a JSON text by how it begins. */
export function jsonTypeOf (text: string): JsonType {
  const [first = ''] = /[^\s]/.exec(text) ?? []
  if (first === '{') return 'object'
  if (first === '[') return 'array'
  if (first === '"') return 'string'
  if (first === 't' || first === 'f') return 'boolean'
  return first === 'n' ? 'null' : 'number'
}

/** A text as a result: as JSON, whose parts can be read, where its MIME type says that, and it is. */
export function textContent (text: string, mimeType: string): ResultContent {
  const isJson = /[/+]json$/.test(mimeType) && readJson(text, 0)?.text === text
  return { kind: isJson ? 'json' : 'text', type: mimeType, content: Buffer.from(text) }
}

/** JSON of this service's own form. */
export function jsonContent (body: string | Buffer): ResultContent {
  const content = typeof body === 'string' ? Buffer.from(body) : body
  return { kind: 'json', type: jsonTypeOf(content.toString('latin1', 0, 64)), content }
}
