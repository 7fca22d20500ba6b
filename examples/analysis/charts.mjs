// @ts-check

/** @import { Row } from './columns.mjs' */

/**
 * One chart, complete enough to be drawn from the rows of its source.
 * @typedef {object} ChartConfig
 * @property {string} name unique in its dashboard
 * @property {string} sourceId
 * @property {ChartType} chart
 * @property {string} x
 * @property {string} [y] not for a histogram, nor where rows are counted
 * @property {Aggregate} [aggregate] how the y of rows with one x become one value; lines and bars
 * @property {TimeUnit} [timeUnit] lines over a time column
 * @property {string} [splitBy] one line, or one colour, for each value of this column
 * @property {'ascending' | 'descending'} [sort] of bars, by their length
 * @property {number} [limit] bars at most
 * @property {Filter[]} [only] rows that take part; all filters must hold
 */

/** @typedef {'line' | 'bar' | 'scatter' | 'histogram'} ChartType */
/** @typedef {'mean' | 'median' | 'sum' | 'min' | 'max' | 'count'} Aggregate */
/** @typedef {'year' | 'month' | 'day' | 'month of year'} TimeUnit */

/**
 * For a time column a value is the beginning of a date: `2012` is the whole year, `2012-03` its March.
 * @typedef {{ column: string, values: string[] }} Filter
 */

/**
 * The rows of one chart. A row is an array in the order of `columns`: half the size of objects.
 * @typedef {{ config: ChartConfig, columns: string[], rows: unknown[][] }} ChartData
 */

export const CHART_TYPES = /** @type {const} */ (['line', 'bar', 'scatter', 'histogram'])
export const AGGREGATES = /** @type {const} */ (['mean', 'median', 'sum', 'min', 'max', 'count'])
export const TIME_UNITS = /** @type {const} */ (['year', 'month', 'day', 'month of year'])
export const SORT_ORDERS = /** @type {const} */ (['descending', 'ascending'])
export const MAX_CHARTS = 12

/**
 * The rows and columns that a chart needs, nothing else.
 * @param {ChartConfig} config already checked
 * @param {Row[]} rows
 * @returns {ChartData}
 */
export function selectChartData (config, rows) {
  const columns = [...new Set([config.x, config.y, config.splitBy].filter(name => name !== undefined))]
  const chosen = rows.filter(row => (config.only ?? []).every(({ column, values }) => values.some(value => matches(row[column], value))))
  return { config, columns, rows: chosen.map(row => columns.map(name => row[name] ?? null)) }
}

/**
 * @param {unknown} cell
 * @param {string} wanted
 */
function matches (cell, wanted) {
  const text = String(cell)
  return text === wanted || (/^\d{4}(-\d{2})?$/.test(wanted) && text.startsWith(`${wanted}-`))
}
