/** Shorter values say little, and are in any sentence. */
const minLength = 4
/** A shorter value is quoted where it stands as a word. */
const minPartLength = 8
/** A quote of so many characters is found wherever it begins in what the caller sent. */
const gramLength = 12
/** Values of one request that are looked at, and characters of a text. */
const maxValues = 20_000
const maxTextLength = 100_000

/**
 * Whether a text quotes something of what a caller sent: a short value as a whole, or some 24 characters of a long one.
 * Also true where there is too much to be looked at.
 */
export function quotes (text: string, sent: unknown): boolean {
  if (text.length > maxTextLength) return true
  const grams = new Set<string>()
  for (let start = 0; start + gramLength <= text.length; start++) grams.add(text.slice(start, start + gramLength))

  function isQuoted (value: string): boolean {
    if (value.length < minLength) return false
    if (value.length < minPartLength) return isWordIn(text, value)
    if (value.length < 2 * gramLength) return text.includes(value) || text.includes(JSON.stringify(value).slice(1, -1))
    for (let start = 0; start + gramLength <= value.length; start += gramLength) {
      if (grams.has(value.slice(start, start + gramLength))) return true
    }
    return false
  }

  const waiting = [sent]
  for (let looked = 0; waiting.length > 0; looked++) {
    if (looked === maxValues) return true
    const value = waiting.pop()
    if (typeof value === 'string' || typeof value === 'number') {
      if (isQuoted(String(value))) return true
    } else if (typeof value === 'object' && value !== null) {
      for (const member of Object.values(value)) waiting.push(member)
    }
  }
  return false
}

/** Whether a text has a word, and not only as a part of a longer one. */
function isWordIn (text: string, word: string): boolean {
  const isPart = (character: string | undefined) => character !== undefined && /[\p{L}\p{N}_]/u.test(character)
  let start = text.indexOf(word)
  while (start !== -1 && (isPart(text[start - 1]) || isPart(text[start + word.length]))) {
    start = text.indexOf(word, start + 1)
  }
  return start !== -1
}
