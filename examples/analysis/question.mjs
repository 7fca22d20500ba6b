import { readFileSync } from 'node:fs'

/*
 * Reads a question without a language model: a few phrases tell what kind of answer is wanted, and its words are held
 * against the names and values of the columns. It understands little, but what it says it found is there.
 */

// `weak` words name a column only together with another; `everyday` has what people say for what columns are called.
const vocabulary = JSON.parse(readFileSync(new URL('vocabulary.json', import.meta.url), 'utf8'))
const { intents, aggregates, timeUnits, orders, filler, weak, everyday } = vocabulary

export function readQuestion (question) {
  const text = question.toLowerCase()
  const isSaid = phrases => new RegExp(`\\b(${phrases.join('|')})\\b`).test(text)
  const found = kinds => Object.keys(kinds).filter(kind => isSaid(kinds[kind]))
  return {
    words: wordsOf(question),
    intents: found(intents),
    aggregate: found(aggregates)[0] ?? 'mean',
    timeUnit: found(timeUnits)[0],
    orders: found(orders)
  }
}

/** The columns that the question names, the best match first. */
export function matchColumns (questionWords, columns) {
  const candidates = columns.map(column => {
    const names = wordsOf(column.name)
    const asked = questionWords.filter(asked => names.some(word => isSameWord(asked, word)))
    const strong = asked.filter(word => !weak.includes(word))
    const coverage = names.filter(word => asked.some(one => isSameWord(one, word))).length / names.length
    const rank = strong.length * 100 + asked.length + coverage
    return { column, asked, rank, coverage, needed: strong.length > 0 ? strong : asked }
  }).filter(({ rank, coverage }) => rank >= 100 || coverage === 1)

  // "adjusted CO2" names that column and not also "CO2"; "private" names "private" and not also "private services".
  const isBetter = (other, { rank, needed }) => other.rank > rank && needed.every(word => other.asked.includes(word))
  return candidates
    .filter(one => !candidates.some(other => isBetter(other, one)))
    .sort((a, b) => b.rank - a.rank)
    .map(({ column, asked }) => ({ column, because: `the question says "${asked.join(' ')}"` }))
}

/** Values and years that the question names: only their rows answer it. */
export function matchValues (question, columns) {
  const text = ` ${plain(question)} `
  const taken = new Set()
  const filters = []
  for (const { name, type, values = [] } of columns) {
    const named = type === 'category' ? values.filter(value => isNamed(text, value) && !taken.has(value)) : []
    for (const value of named) taken.add(value)
    if (named.length > 0 && named.length < values.length) filters.push({ column: name, values: named })
  }
  const { name, first = '', last = '' } = columns.find(({ type }) => type === 'time') ?? {}
  const isShown = year => year >= first.slice(0, 4) && year <= last.slice(0, 4)
  const years = [...new Set(text.match(/\b[12]\d{3}\b/g))].filter(isShown)
  // A span is not two years; the whole series shows it, so nothing is left out.
  if (years.length > 0 && !readQuestion(question).orders.includes('span')) filters.push({ column: name, values: years })
  return filters
}

function isNamed (text, value) {
  const name = plain(value)
  return name.length >= 3 && /[a-z]/.test(name) && ![...weak, ...filler].includes(name) && text.includes(` ${name} `)
}

/** Equal, or one abbreviates the other: `pop` and `population`, `temp` and `temperature`, `expect` and `expectancy`. */
function isSameWord (asked, word) {
  const meant = Object.keys(everyday).find(name => everyday[name].includes(asked)) ?? asked
  return meant === word || (word.length >= 3 && meant.startsWith(word)) || (meant.length >= 4 && word.startsWith(meant))
}

/** Lower case, singular, without filler and without single letters. */
function wordsOf (text) {
  const all = plain(text.replace(/(\p{Ll})(\p{Lu})/gu, '$1 $2')).split(' ')
  const telling = all.filter(word => word.length > 1 && !filler.includes(word))
  const kept = (telling.length > 0 ? telling : all).filter(word => word !== '')
  return [...new Set(kept.map(word => word.length > 3 ? word.replace(/(?<!s)s$/, '') : word))]
}

/** Lower case, with one space between words and nothing else. */
function plain (text) {
  return text.normalize('NFKC').toLowerCase().replace(/[^\p{L}\p{N}]+/gu, ' ').trim()
}
