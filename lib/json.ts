import { backslash, closeBrace, closeBracket, openBrace, openBracket, quote } from './json-signs.ts'

/** A JSON object with any content. */
export type JsonObject = Record<string, unknown>

export function isJsonObject (value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * A record with each value mapped. Does not modify its input. Safe for names from outside: `fromEntries` defines own
 * properties, so `__proto__` is a name like any other.
 */
export function mapValues<From, To> (
  record: Readonly<Record<string, From>>, map: (value: From, name: string) => To
): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value, name)]))
}

/** The object that a JSON text holds, else `null`. Gives no reason: the text may be a secret. */
export function parseJsonObject (text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : null
  } catch {
    return null
  }
}

/**
 * Whether objects and arrays in a JSON text are nested deeper than `limit`. Reads the text once and builds nothing; the
 * answer for a text that is not JSON means nothing.
 *
 * Call it before parsing: a value that is nested ten thousand deep parses, and then overflows the stack of any code
 * that walks it.
 */
export function isNestedDeeper (text: string, limit: number): boolean {
  let depth = 0
  let inString = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (inString) {
      if (code === backslash) index++
      else if (code === quote) inString = false
    } else if (code === quote) {
      inString = true
    } else if (code === openBrace || code === openBracket) {
      if (++depth > limit) return true
    } else if (code === closeBrace || code === closeBracket) {
      depth--
    }
  }
  return false
}

/** Whether objects and arrays in a value are nested deeper than `limit`. Goes no deeper itself. */
export function isDeeperThan (value: unknown, limit: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return limit === 0 || Object.values(value).some(inner => isDeeperThan(inner, limit - 1))
}
