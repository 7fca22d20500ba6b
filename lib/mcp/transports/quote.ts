/** Longest quote of a body (characters). */
const maxQuoteLength = 300
/** Longest part of a body that a quote is made of. */
const maxRead = 20_000

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'", nbsp: ' ' }

/**
 * The words of a body that is no message, on one line: a page of HTML without its tags. Empty when it says nothing.
 * Secrets are not masked in it.
 */
export function quoteOf (text: string): string {
  const isPage = /^\s*<(!doctype|[a-z][a-z\d]*[\s>/])/i.test(text.slice(0, 1_000))
  const start = text.slice(0, maxRead)
  const words = isPage ? wordsOf(start) : start
  // Control characters would make two lines of one in a log.
  return words.replace(/[\s\p{Cc}]+/gu, ' ').trim().slice(0, maxQuoteLength)
}

function wordsOf (page: string): string {
  return page
    .replace(/<!--.*?(-->|$)/gs, ' ')
    .replace(/<(script|style|svg)\b.*?(<\/\1\s*>|$)/gis, ' ')
    .replace(/<[^>]*(>|$)/g, ' ')
    .replace(/&(lt|gt|amp|quot|apos|nbsp);/g, (_, name: string) => entities[name] ?? ' ')
    .replace(/&#(\d{1,6});/g, (_, code: string) => String.fromCodePoint(Number(code)))
}
