import { backslash, quote } from './json-signs.ts'
import { isJsonObject, type JsonObject } from './json.ts'

/** A shorter value is a word and no secret; masking it would only make a sentence unreadable. */
const minSecretLength = 4
/** A part of a credential that is an object may be a word, like `bearer`, and so may a short number. */
const minPartLength = 8

export type Mask = (text: string) => string

/**
 * A function that replaces every given secret in a text with `[hidden]`, also one that the text's end cuts off, and one
 * that is written as in JSON, in a URL, or in Base64. A secret that is an object stands for the texts in it.
 */
export function createMask (secrets: Iterable<unknown>): Mask {
  const texts = new Set([...secrets].flatMap(secret => textsIn(secret)))
  const values = [...new Set([...texts].flatMap(text => spellingsOf(text)))]
    .sort((a, b) => b.length - a.length) // longest first: masking a part of a secret would leave its rest

  const masks = values.map(createMaskOfOne)
  return text => masks.reduce((masked, mask) => mask(masked), text)
}

const hidden = '[hidden]'
/** A text's end that is shorter could be anything (characters). */
const minCutOffLength = minSecretLength * 2

/**
 * Masks one secret, also one that is cut off by the text's end.
 *
 * Each text is read once, as by Knuth, Morris and Pratt: a caller may have a credential of one letter again and again,
 * with which any search that begins anew at every letter takes minutes.
 */
function createMaskOfOne (secret: string): Mask {
  const head = secret.slice(0, minCutOffLength)
  let fallbacks: Uint32Array | null = null

  return text => {
    // Most texts hold nothing of it.
    if (!text.includes(head)) return text
    if (secret.length <= minCutOffLength) return text.replaceAll(secret, hidden)
    fallbacks ??= fallbacksOf(secret)
    const pieces: string[] = []
    let [end, matched] = [0, 0]
    for (let position = 0; position < text.length; position++) {
      const code = text.charCodeAt(position)
      while (matched > 0 && secret.charCodeAt(matched) !== code) matched = fallbacks[matched - 1] ?? 0
      if (secret.charCodeAt(matched) === code) matched++
      if (matched < secret.length) continue
      pieces.push(text.slice(end, position + 1 - matched), hidden)
      end = position + 1
      matched = 0
    }
    const isCutOff = matched >= minCutOffLength
    return [...pieces, text.slice(end, text.length - (isCutOff ? matched : 0)), isCutOff ? hidden : ''].join('')
  }
}

/** How much of a text's beginning is known to match again, where the character after each place does not. */
function fallbacksOf (text: string): Uint32Array {
  const fallbacks = new Uint32Array(text.length)
  let matched = 0
  for (let position = 1; position < text.length; position++) {
    const code = text.charCodeAt(position)
    while (matched > 0 && text.charCodeAt(matched) !== code) matched = fallbacks[matched - 1] ?? 0
    if (text.charCodeAt(matched) === code) matched++
    fallbacks[position] = matched
  }
  return fallbacks
}

/** Whether a JSON text holds one of these secrets, however deep. */
export function holdsSecret (json: string, secrets: Iterable<unknown>): boolean {
  return [...secrets].some(secret => {
    const text = typeof secret === 'string' || typeof secret === 'number' ? String(secret) : ''
    return text.length >= minSecretLength && json.includes(JSON.stringify(text).slice(1, -1))
  })
}

/** A JSON text with the secrets masked in its strings, names included, and in its numbers. */
export function maskJson (json: string, mask: Mask): string {
  const pieces: string[] = []
  let end = 0
  for (const token of tokensOf(json)) {
    const text = json.slice(token.start, token.end)
    const value = text.startsWith('"') ? JSON.parse(text) as string : text
    const masked = mask(value)
    if (masked === value) continue
    pieces.push(json.slice(end, token.start), JSON.stringify(masked))
    end = token.end
  }
  return pieces.length === 0 ? json : [...pieces, json.slice(end)].join('')
}

/**
 * The credentials that are masked in what a server says: those that are named, or all but URLs, which people must be
 * able to follow. The token is always one of them.
 */
export function maskedCredentials (credentials: JsonObject, named: readonly string[] | null): unknown[] {
  const isMasked = ([name, value]: [string, unknown]) => name === 'jwtToken' ||
    (named === null ? !isUrl(value) : named.includes(name))
  return Object.entries(credentials).filter(isMasked).map(([, value]) => value)
}

const isUrl = (value: unknown) => typeof value === 'string' && /^https?:\/\//i.test(value)

/** The strings and numbers of a JSON text. No regular expression: one overflows the stack in long strings. */
function * tokensOf (json: string): Iterable<{ start: number, end: number }> {
  for (let start = 0; start < json.length; start++) {
    const code = json.charCodeAt(start)
    let end = start
    if (code === quote) {
      do end += json.charCodeAt(end) === backslash ? 2 : 1
      while (end < json.length && json.charCodeAt(end) !== quote)
      end++
    } else {
      while (partsOfNumbers.has(json[end] ?? '')) end++
    }
    if (end === start) continue
    yield { start, end }
    start = end - 1
  }
}

const partsOfNumbers = new Set('0123456789.eE+-')

function textsIn (secret: unknown, minLength = minSecretLength): string[] {
  if (typeof secret === 'string') return secret.length < minLength ? [] : [secret]
  if (typeof secret === 'number') return textsIn(String(secret), minPartLength)
  if (!isJsonObject(secret) && !Array.isArray(secret)) return []
  return Object.values(secret).flatMap(part => textsIn(part, minPartLength))
}

/** A text as programs write it: as it is, in JSON, in JSON within JSON, in a URL, in Base64. */
function spellingsOf (text: string): string[] {
  const json = inJson(text)
  const ascii = json.replace(/[\u007f-\uffff]/g, character =>
    `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
  const encoded = encodeURIComponent(Buffer.from(text).toString()) // a lone surrogate has no encoding
  const base64 = [Buffer.from(text).toString('base64').replace(/=+$/, ''), Buffer.from(text).toString('base64url')]
  return [
    text, json, ascii, json.replaceAll('/', '\\/'), inJson(json),
    encoded, encoded.replace(/%[\dA-F]{2}/g, code => code.toLowerCase()), encoded.replaceAll('%20', '+'),
    ...base64
  ]
}

const inJson = (text: string) => JSON.stringify(text).slice(1, -1)
