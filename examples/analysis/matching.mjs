// @ts-check
import { FILLER, plain, wordsOf } from './question.mjs'

/** @import { Filter } from './charts.mjs' */
/** @import { Column } from './columns.mjs' */

/** @typedef {{ column: Column, because: string }} Match */

// What people say, and what columns are usually called.
const EVERYDAY = new Map(Object.entries({
  temp: 'warm warmer hot hotter cold colder',
  mass: 'heavy heavier weigh weight',
  speed: 'fast faster slow slower',
  cost: 'expensive',
  population: 'people'
}).flatMap(([column, words]) => words.split(' ').map(word => [word, column])))

// Words that many columns share, or that ask for a calculation: they name a column only together with another word.
const WEAK = new Set('average change count date day month number other rate size time total type value year'.split(' '))

/**
 * The columns that the question names, the best match first.
 * @param {string[]} questionWords
 * @param {Column[]} columns
 * @returns {Match[]}
 */
export function matchColumns (questionWords, columns) {
  const candidates = columns.map(column => {
    const words = wordsOf(column.name)
    const found = words.filter(word => questionWords.some(asked => sameWord(asked, word)))
    const asked = questionWords.filter(asked => words.some(word => sameWord(asked, word)))
    const strong = asked.filter(word => !WEAK.has(word))
    return { column, words, found, asked, strong, coverage: found.length / words.length }
  }).filter(({ words, found, strong }) => found.length > 0 && (strong.length > 0 || found.length === words.length))

  return candidates
    .filter(one => !candidates.some(other => other !== one && namesBetter(other, one)))
    .sort((a, b) => b.strong.length - a.strong.length || b.coverage - a.coverage)
    .map(({ column, asked }) => ({ column, because: `the question says "${asked.join(' ')}"` }))
}

/**
 * "adjusted CO2" names that column and not also "CO2"; "private" names "private" and not also "private services".
 * @param {{ strong: string[], asked: string[], coverage: number }} other
 * @param {{ strong: string[], asked: string[], coverage: number }} one
 */
function namesBetter (other, one) {
  const needed = one.strong.length > 0 ? one.strong : one.asked
  if (!needed.every(word => other.asked.includes(word))) return false
  return other.strong.length > one.strong.length || other.asked.length > one.asked.length ||
    (other.asked.length === one.asked.length && other.coverage > one.coverage)
}

/**
 * Values and years that the question names: only their rows answer it.
 * @param {string} question
 * @param {Column[]} columns
 * @returns {Filter[]}
 */
export function matchValues (question, columns) {
  const text = ` ${plain(question)} `
  /** @type {Filter[]} */
  const filters = []
  const taken = new Set()
  for (const column of columns) {
    const values = column.type === 'category' ? (column.values ?? []).filter(value => isNamed(text, value) && !taken.has(value)) : []
    for (const value of values) taken.add(value)
    if (values.length > 0 && values.length < (column.values ?? []).length) filters.push({ column: column.name, values })
  }
  const time = columns.find(column => column.type === 'time')
  const years = [...new Set(text.match(/\b[12]\d{3}\b/g))].filter(year => year >= (time?.first ?? '').slice(0, 4) && year <= (time?.last ?? '').slice(0, 4))
  // "from 1955 to 2005" is a span, not two years; the whole series shows it, so nothing is left out.
  if (time && years.length > 0 && !/\b(from|since|between|until|before|after|through)\b/.test(text)) {
    filters.push({ column: time.name, values: years })
  }
  return filters
}

/**
 * @param {string} text
 * @param {string} value
 */
function isNamed (text, value) {
  const words = plain(value)
  return words.length >= 3 && /[a-z]/.test(words) && !WEAK.has(words) && !FILLER.has(words) && text.includes(` ${words} `)
}

/**
 * Equal, or one abbreviates the other: `pop` and `population`, `temp` and `temperature`, `expect` and `expectancy`.
 * @param {string} asked a word of the question
 * @param {string} word of a column's name
 */
function sameWord (asked, word) {
  const meant = EVERYDAY.get(asked) ?? asked
  if (meant === word) return true
  return (word.length >= 3 && meant.startsWith(word)) || (meant.length >= 4 && word.startsWith(meant))
}
