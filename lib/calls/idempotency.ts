import { createHash, createHmac } from 'node:crypto'
import { type JsonDocument, memberTexts } from '../json-text.ts'

/** Longest key (characters). */
const maxKeyLength = 255

/** Completes "Idempotency-Key must be …". */
export const keyRule = `one string of 1 to ${maxKeyLength} printable ASCII characters, with or without quotes`

/**
 * The key in a header: a string of a structured field, or the same without quotes as many clients send it. `null` for
 * anything else.
 *
 * @see https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header-07
 */
export function parseIdempotencyKey (header: string): string | null {
  const text = header.trim()
  const [, quoted] = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/.exec(text) ?? []
  const key = quoted === undefined ? /^[\x21\x23-\x2b\x2d-\x7e]+$/.exec(text)?.[0] : quoted.replace(/\\(.)/g, '$1')
  return key === undefined || key.trim() === '' || key.length > maxKeyLength ? null : key
}

/** The key as it is stored: who reads Redis cannot send it. */
export const hashOfKey = (key: string) => createHash('sha256').update(key).digest('base64url')

/**
 * A digest of what a request asks: where it goes, and the fields of its body, but for those that name its session.
 * The order of the fields and the white space between do not matter, and each digit does. Keyed, since a body may be
 * easy to guess.
 */
export function digestOfRequest (key: string, place: unknown, body: JsonDocument, leftOut: readonly string[]): string {
  const fields = [...memberTexts(body)]
    .filter(([name]) => !leftOut.includes(name))
    .sort(([a], [b]) => a < b ? -1 : 1)
    .map(([name, text]) => [name, withoutSpaces(text)])
  return createHmac('sha256', key).update(JSON.stringify([place, fields])).digest('base64url')
}

const withoutSpaces = (json: string) => json.replace(/("(?:[^"\\]|\\.)*")|\s+/g, '$1')
