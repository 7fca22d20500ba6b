// @ts-check
import { max, mean, median, min, rollups } from 'd3-array'
import * as z from 'zod'
import { round } from './numbers.mjs'

/**
 * What a chart is planned from. `number` is a quantity, `time` an ISO date or a year, `category` a value that repeats
 * (also a numeric code), `text` anything else. `granularity` is the finest unit in which the times differ.
 */
export const ColumnSchema = z.object({
  name: z.string().min(1),
  type: z.enum(['number', 'time', 'category', 'text']),
  distinct: z.number().optional(),
  first: z.string().optional(),
  last: z.string().optional(),
  granularity: z.enum(['year', 'month', 'day']).optional(),
  values: z.array(z.string()).optional()
})

/** @typedef {z.infer<typeof ColumnSchema>} Column */

const MAX_LISTED_VALUES = 100
const MAX_CATEGORY_VALUES = 1000
const MAX_CODES = 12

/** Looks at every value of every column. */
export function analyzeColumns (rows) {
  const names = new Set()
  for (const row of rows) for (const name of Object.keys(row)) names.add(name)
  return Array.from(names, name => analyzeColumn(name, rows.map(row => row[name])))
}

/** @returns {Column & Record<string, unknown>} */
export function analyzeColumn (name, values) {
  const present = values.filter(value => value !== null && value !== undefined && value !== '')
  const texts = present.map(String)
  const counts = rollups(texts, group => group.length, text => text).sort(([, a], [, b]) => b - a)
  const known = { name, distinct: counts.length, missing: values.length - present.length }
  const span = () => ({ first: min(texts), last: max(texts) })
  const isNumeric = present.length > 0 && present.every(Number.isFinite)
  const isWhole = isNumeric && present.every(Number.isInteger)
  const mostCommon = counts.slice(0, 5).map(([value, count]) => ({ value, count }))
  const all = counts.length > MAX_LISTED_VALUES ? {} : { values: counts.map(([value]) => value) }

  // Years are numbers that nobody adds up. The name decides: weights between 1500 and 2200 are no years.
  if (isWhole && /year/i.test(name) && present.every(value => value >= 1000 && value <= 2999)) {
    return { ...known, type: 'time', granularity: 'year', ...span() }
  }
  // A handful of whole numbers, each repeated many times, stands for groups ("cluster 3"): its mean says nothing.
  const isCode = isWhole && counts.length <= MAX_CODES && present.length >= counts.length * 20
  if (isNumeric && !isCode) {
    const average = { mean: round(mean(present)), median: round(median(present)) }
    return { ...known, type: 'number', min: min(present), max: max(present), ...average }
  }
  if (texts.length > 0 && texts.every(text => /^\d{4}-\d{2}-\d{2}/.test(text))) {
    return { ...known, type: 'time', granularity: granularityOf(texts), ...span() }
  }
  const isCategory = isCode || (counts.length <= MAX_CATEGORY_VALUES && counts.length * 2 <= texts.length)
  if (isCategory) return { ...known, type: 'category', mostCommon, ...all }
  return { ...known, type: 'text', examples: texts.slice(0, 3) }
}

function granularityOf (dates) {
  if (dates.some(date => date.slice(8, 10) !== '01')) return 'day'
  return dates.some(date => date.slice(5, 7) !== '01') ? 'month' : 'year'
}
