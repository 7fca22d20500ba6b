// @ts-check

/** @import { Aggregate, TimeUnit } from './charts.mjs' */

/**
 * Reads a question without a language model: a few phrases tell what kind of answer is wanted, and its words are later
 * held against the columns. It understands little, but what it says it found is there.
 */

/** @typedef {'trend' | 'relation' | 'distribution' | 'ranking' | 'count' | 'season'} Intent */
/** @typedef {ReturnType<typeof readQuestion>} ReadQuestion */

/** @type {Array<[Intent, RegExp]>} */
const INTENTS = [
  ['trend', /\b(over time|trends?|evol\w+|develop\w*|gr[eo]w\w*|chang\w+|histor\w+|since|years?|yearly|annual\w*|months?|monthly|daily|dates?|decades?|when|rise|rising|rose|declin\w+)\b/],
  ['season', /\b(season\w*|winter|spring|summer|autumn|(which|what) months?|months? of the year|time of (the )?year|(over|during|through|throughout) the year)\b/],
  ['relation', /\b(relat\w+|correlat\w+|depend\w*|affect\w*|influenc\w+|impact\w*|versus|vs|against|link\w*|connect\w*|predict\w*)\b/],
  ['distribution', /\b(distribut\w+|spread|ranges?|typical\w*|histogram|outliers?|var(y|ies|iation)|how (big|large|long|heavy|tall|fast|old|high))\b/],
  ['count', /\b(how many|how often|numbers? of|counts?|frequen\w+|most|fewest)\b/],
  ['ranking', /\b(most|highest|largest|biggest|longest|heaviest|fastest|greatest|best|top|more|lowest|least|fewest|smallest|shortest|worst|rank\w*|compar\w+|which|who|where|differ\w*|between|by)\b/]
]

export const FILLER = new Set('a an and are as at be by can did do does for from get give had has have how i in is it its me my of on or our per please show tell than that the their there these they this those to was we were what when where which who why will with you your'.split(' '))

/**
 * @param {string} question
 * @returns {{ words: string[], intents: Set<Intent>, aggregate: Aggregate, timeUnit: TimeUnit | null, ascending: boolean }}
 */
export function readQuestion (question) {
  const text = question.toLowerCase()
  const intents = new Set(INTENTS.filter(([, pattern]) => pattern.test(text)).map(([intent]) => intent))
  return {
    words: wordsOf(question),
    intents,
    aggregate: wantedAggregate(text),
    timeUnit: wantedTimeUnit(text),
    ascending: /\b(lowest|least|fewest|smallest|shortest|worst|slowest)\b/.test(text)
  }
}

/**
 * @param {string} text
 * @returns {Aggregate}
 */
function wantedAggregate (text) {
  if (/\b(total|sum|altogether|combined)\b/.test(text)) return 'sum'
  if (/\bmedian\b/.test(text)) return 'median'
  return 'mean'
}

/**
 * @param {string} text
 * @returns {TimeUnit | null}
 */
function wantedTimeUnit (text) {
  if (/\b((per|by|each|every) year|yearly|annual(ly)?)\b/.test(text)) return 'year'
  if (/\b((per|by|each|every) month|monthly)\b/.test(text)) return 'month'
  return /\b((per|by|each|every) day|daily)\b/.test(text) ? 'day' : null
}

/**
 * @param {string} text
 * @returns {string[]} lower case, singular, without filler and without single letters
 */
export function wordsOf (text) {
  const words = plain(text.replace(/(\p{Ll})(\p{Lu})/gu, '$1 $2')).split(' ')
  const telling = words.filter(word => word.length > 1 && !FILLER.has(word))
  return [...new Set((telling.length > 0 ? telling : words).filter(word => word !== '').map(singular))]
}

/**
 * Lower case, with one space between words and nothing else.
 * @param {string} text
 */
export function plain (text) {
  return text.normalize('NFKC').toLowerCase().replace(/[^\p{L}\p{N}]+/gu, ' ').trim()
}

/** @param {string} word */
function singular (word) {
  return word.length > 3 && word.endsWith('s') && !word.endsWith('ss') ? word.slice(0, -1) : word
}
