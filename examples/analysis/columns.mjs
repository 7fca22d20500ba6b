// @ts-check
import { describe, round } from './statistics.mjs'

/**
 * What is known of one column without its rows.
 *
 * `number` is a quantity, `time` an ISO date or a year, `category` a value that repeats (also a numeric code),
 * `text` anything else.
 * @typedef {object} Column
 * @property {string} name
 * @property {'number' | 'time' | 'category' | 'text'} type
 * @property {number} [distinct]
 * @property {number} [missing] rows without a value
 * @property {number} [min]
 * @property {number} [max]
 * @property {number} [mean]
 * @property {number} [median]
 * @property {string} [first] earliest time
 * @property {string} [last] latest time
 * @property {'year' | 'month' | 'day'} [granularity] the finest unit that the times differ in
 * @property {string[]} [values] every value of a category, most frequent first; absent when there are too many
 * @property {Array<{ value: string, count: number }>} [mostCommon]
 * @property {string[]} [examples]
 */

/** @typedef {Record<string, unknown>} Row */

const ISO_DATE = /^\d{4}-\d{2}-\d{2}/
const MAX_LISTED_VALUES = 100
const MAX_CATEGORY_VALUES = 1000
const MAX_CODES = 12

/**
 * Looks at every value of every column.
 * @param {Row[]} rows
 * @returns {Column[]}
 */
export function analyzeColumns (rows) {
  /** @type {Set<string>} */
  const names = new Set()
  for (const row of rows) for (const name of Object.keys(row)) names.add(name)
  return Array.from(names, name => analyzeColumn(name, rows.map(row => row[name])))
}

/**
 * @param {string} name
 * @param {unknown[]} values
 * @returns {Column}
 */
function analyzeColumn (name, values) {
  const present = values.filter(value => value !== null && value !== undefined && value !== '')
  const counts = countValues(present)
  const known = { name, distinct: counts.length, missing: values.length - present.length }

  if (present.length > 0 && present.every(isNumber)) {
    if (isYear(name, present)) return { ...known, type: 'time', granularity: 'year', ...timeSpan(present.map(String)) }
    if (isCode(counts.length, present)) return { ...known, type: 'category', ...listValues(counts) }
    const { min, max, mean, median } = describe(present)
    return { ...known, type: 'number', min, max, mean: round(mean), median: round(median) }
  }
  const texts = present.map(String)
  if (texts.length > 0 && texts.every(text => ISO_DATE.test(text))) {
    return { ...known, type: 'time', granularity: dateGranularity(texts), ...timeSpan(texts) }
  }
  if (counts.length <= MAX_CATEGORY_VALUES && counts.length * 2 <= texts.length) {
    return { ...known, type: 'category', ...listValues(counts) }
  }
  return { ...known, type: 'text', examples: texts.slice(0, 3) }
}

/**
 * @param {unknown} value
 * @returns {value is number}
 */
export function isNumber (value) {
  return typeof value === 'number' && Number.isFinite(value)
}

/** @param {unknown[]} values */
function countValues (values) {
  /** @type {Map<string, number>} */
  const counts = new Map()
  for (const value of values) counts.set(String(value), (counts.get(String(value)) ?? 0) + 1)
  return Array.from(counts, ([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count)
}

/** @param {Array<{ value: string, count: number }>} counts */
function listValues (counts) {
  const mostCommon = counts.slice(0, 5)
  if (counts.length > MAX_LISTED_VALUES) return { mostCommon }
  return { mostCommon, values: counts.map(({ value }) => value) }
}

/**
 * Years are numbers that nobody adds up. The name decides: a column of weights between 1500 and 2200 is not one.
 * @param {string} name
 * @param {number[]} values
 */
function isYear (name, values) {
  return /year/i.test(name) && values.every(value => Number.isInteger(value) && value >= 1000 && value <= 2999)
}

/**
 * A handful of whole numbers, each repeated many times, stands for groups ("cluster 3"): its mean says nothing.
 * @param {number} distinct
 * @param {number[]} values
 */
function isCode (distinct, values) {
  return distinct <= MAX_CODES && values.length >= distinct * 20 && values.every(Number.isInteger)
}

/** @param {string[]} times of one format, so that they sort as text */
function timeSpan (times) {
  const sorted = times.toSorted()
  return { first: sorted[0] ?? '', last: sorted.at(-1) ?? '' }
}

/**
 * @param {string[]} dates
 * @returns {'year' | 'month' | 'day'}
 */
function dateGranularity (dates) {
  if (dates.some(date => date.slice(8, 10) !== '01')) return 'day'
  return dates.some(date => date.slice(5, 7) !== '01') ? 'month' : 'year'
}
