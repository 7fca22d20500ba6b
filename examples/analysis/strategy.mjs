// @ts-check
import { InputError } from './input-error.mjs'
import { matchColumns, matchValues } from './matching.mjs'
import { planCharts } from './planned-charts.mjs'
import { readQuestion } from './question.mjs'

/** @import { Column } from './columns.mjs' */
/** @import { ChartType, Filter } from './charts.mjs' */
/** @import { Parts, PlannedChart } from './planned-charts.mjs' */
/** @import { Intent, ReadQuestion } from './question.mjs' */

/**
 * @typedef {object} Strategy
 * @property {string} question
 * @property {Intent[]} intents kinds of answer that the question asks for
 * @property {Array<{ name: string, because: string }>} columns
 * @property {Filter[]} only
 * @property {PlannedChart[]} charts at least one
 * @property {string[]} notes what had to be assumed
 */

const MAX_PLANNED = 4
const MAX_GROUPS = 8

/**
 * Decides which charts answer the question: from the columns it names, then from what kinds of columns there are.
 * A question that names none gets an overview, and a note that says so.
 * @param {string} question
 * @param {Column[]} columns
 * @returns {Strategy}
 */
export function planStrategy (question, columns) {
  const asked = readQuestion(question)
  const matches = matchColumns(asked.words, columns)
  const only = matchValues(question, columns)
  /** @type {string[]} */
  const notes = []
  if (matches.length === 0 && only.length === 0) notes.push('The question names no column; these charts are an overview.')

  const parts = chooseParts({ columns, matched: matches.map(match => match.column), only, asked, notes })
  const order = preferredOrder(asked.intents)
  const charts = planCharts(parts).sort((a, b) => order.indexOf(a.chart) - order.indexOf(b.chart))

  return {
    question,
    intents: [...asked.intents],
    columns: matches.map(({ column, because }) => ({ name: column.name, because })),
    only,
    charts: charts.slice(0, MAX_PLANNED),
    notes
  }
}

/**
 * @param {{ columns: Column[], matched: Column[], only: Filter[], asked: ReadQuestion, notes: string[] }} given
 * @returns {Parts}
 */
function chooseParts ({ columns, matched, only, asked, notes }) {
  const [fallback] = columns
  if (!fallback) throw new InputError('columnAnalysis has no columns: there is nothing to plan charts from.')

  const measures = chooseMeasures({ columns, matched, asked, notes })
  // A column that only one value is left of has nothing to compare.
  const categories = columns.filter(column => column.type === 'category' && groupsOf(column, only) > 1)
  const mentioned = [...matched, ...columns.filter(column => only.some(filter => filter.column === column.name))]
    .filter((column, index, all) => categories.includes(column) && all.indexOf(column) === index)
  const fewestFirst = categories.toSorted((a, b) => groupsOf(a, only) - groupsOf(b, only))

  return {
    measures,
    categories: mentioned.length > 0 ? mentioned.slice(0, 2) : fewestFirst.slice(0, 1),
    time: [...matched, ...columns].find(column => column.type === 'time'),
    split: mentioned.find(column => groupsOf(column, only) <= MAX_GROUPS),
    fallback,
    aggregate: measures.length === 0 ? 'count' : asked.aggregate,
    only,
    timeUnit: asked.timeUnit ?? (asked.intents.has('season') ? 'month of year' : null),
    ascending: asked.ascending
  }
}

/**
 * The quantities to show; none when the rows themselves are to be counted.
 * @param {{ columns: Column[], matched: Column[], asked: ReadQuestion, notes: string[] }} given
 * @returns {Column[]}
 */
function chooseMeasures ({ columns, matched, asked, notes }) {
  const quantities = columns.filter(column => column.type === 'number')
  const named = matched.filter(column => column.type === 'number').slice(0, 2)
  if (named.length === 0 && asked.intents.has('count')) return []

  const wanted = asked.intents.has('relation') ? 2 : 1
  const standIns = quantities.filter(column => !named.includes(column)).slice(0, Math.max(0, wanted - named.length))
  if (standIns.length > 0 && matched.length > 0) {
    const names = standIns.map(column => `"${column.name}"`).join(' and ')
    notes.push(`The question does not name every quantity it needs; ${names} was taken.`)
  }
  return [...named, ...standIns]
}

/**
 * How many groups a split by this column makes, once the filters are applied.
 * @param {Column} column
 * @param {Filter[]} only
 */
function groupsOf (column, only) {
  return only.find(filter => filter.column === column.name)?.values.length ?? column.distinct ?? Infinity
}

/**
 * @param {Set<Intent>} intents
 * @returns {ChartType[]}
 */
function preferredOrder (intents) {
  if (intents.has('relation')) return ['scatter', 'line', 'bar', 'histogram']
  if (intents.has('distribution')) return ['histogram', 'bar', 'line', 'scatter']
  if (intents.has('trend') || intents.has('season')) return ['line', 'bar', 'scatter', 'histogram']
  return ['bar', 'line', 'scatter', 'histogram']
}
