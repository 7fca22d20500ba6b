// @ts-check

/** @import { Column } from './columns.mjs' */
/** @import { Aggregate, ChartConfig, Filter, TimeUnit } from './charts.mjs' */

/** @typedef {Omit<ChartConfig, 'sourceId'> & { reason: string }} PlannedChart */

/**
 * What the charts of one answer are made of.
 * @typedef {object} Parts
 * @property {Column[]} measures quantities, at most two; none when rows are counted
 * @property {Column[]} categories
 * @property {Column | undefined} time
 * @property {Column | undefined} split a category with few values
 * @property {Column} fallback for a source in which none of these is found
 * @property {Aggregate} aggregate
 * @property {Filter[]} only
 * @property {TimeUnit | null} timeUnit what the question asks for
 * @property {boolean} ascending the least is asked for
 */

const MAX_MONTHS_IN_YEARS = 15

/**
 * Every chart that these parts can make; at least one.
 * @param {Parts} parts
 * @returns {PlannedChart[]}
 */
export function planCharts (parts) {
  const charts = [...lineCharts(parts), ...barCharts(parts), ...scatterCharts(parts), ...histograms(parts)]
  // A source of free text only: counting the values of its first column is the least wrong.
  if (charts.length === 0) charts.push(barChart(parts, parts.fallback, undefined))
  return parts.only.length > 0 ? charts.map(chart => ({ ...chart, only: parts.only })) : charts
}

/**
 * @param {Parts} parts
 * @returns {PlannedChart[]}
 */
function lineCharts ({ measures, time, split, aggregate, only, timeUnit: wanted }) {
  if (!time) return []
  const years = only.find(filter => filter.column === time.name)?.values.length
  // One year of a column of years is one point, which is no line.
  if (time.granularity === 'year' && years === 1) return []

  const timeUnit = chooseTimeUnit(time, wanted, years)
  /** @param {Column} [measure] */
  const lineChart = measure => ({
    name: title(aggregate, measure, timeUnit, split),
    chart: /** @type {const} */ ('line'),
    x: time.name,
    ...(measure && { y: measure.name }),
    aggregate,
    timeUnit,
    ...(split && { splitBy: split.name }),
    reason: `${time.name} is a time, so a line shows the course.`
  })
  return measures.length > 0 ? measures.map(lineChart) : [lineChart()]
}

/**
 * @param {Column} time
 * @param {TimeUnit | null} wanted
 * @param {number} [yearsShown]
 * @returns {TimeUnit}
 */
function chooseTimeUnit (time, wanted, yearsShown) {
  if (time.granularity === 'year') return 'year'
  if (wanted) return wanted
  const span = Number(time.last?.slice(0, 4)) - Number(time.first?.slice(0, 4)) + 1
  return (yearsShown ?? span) > MAX_MONTHS_IN_YEARS ? 'year' : 'month'
}

/**
 * @param {Parts} parts
 * @returns {PlannedChart[]}
 */
function barCharts (parts) {
  return parts.categories.map(category => barChart(parts, category, parts.measures[0]))
}

/**
 * @param {Parts} parts
 * @param {Column} column
 * @param {Column | undefined} measure
 * @returns {PlannedChart}
 */
function barChart ({ aggregate, ascending }, column, measure) {
  return {
    name: title(measure ? aggregate : 'count', measure, column.name),
    chart: 'bar',
    x: column.name,
    ...(measure && { y: measure.name }),
    aggregate: measure ? aggregate : 'count',
    sort: ascending ? 'ascending' : 'descending',
    limit: 10,
    reason: `${column.name} has ${column.distinct ?? 'several'} values, so bars compare them.`
  }
}

/**
 * @param {Parts} parts
 * @returns {PlannedChart[]}
 */
function scatterCharts ({ measures: [first, second], split }) {
  if (!first || !second) return []
  return [{
    name: `${second.name} against ${first.name}`,
    chart: 'scatter',
    x: first.name,
    y: second.name,
    ...(split && { splitBy: split.name }),
    reason: 'Two quantities: a point for each row shows whether they go together.'
  }]
}

/**
 * @param {Parts} parts
 * @returns {PlannedChart[]}
 */
function histograms ({ measures }) {
  return measures.slice(0, 1).map(measure => ({
    name: `Distribution of ${measure.name}`,
    chart: 'histogram',
    x: measure.name,
    reason: `Shows what is usual for ${measure.name} and what is rare.`
  }))
}

/**
 * @param {Aggregate} aggregate
 * @param {Column | undefined} measure
 * @param {string} by
 * @param {Column} [split]
 */
function title (aggregate, measure, by, split) {
  const what = measure ? `${aggregate.charAt(0).toUpperCase()}${aggregate.slice(1)} ${measure.name}` : 'Number of rows'
  return `${what} by ${by}${split ? ` and ${split.name}` : ''}`
}
