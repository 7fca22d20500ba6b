// @ts-check
import { AGGREGATES, CHART_TYPES, SORT_ORDERS, TIME_UNITS } from './charts.mjs'
import { InputError } from './input-error.mjs'

/** @import { ChartConfig, ChartType, Filter } from './charts.mjs' */
/** @import { Column } from './columns.mjs' */

/** @type {Record<ChartType, Array<Column['type']> | null>} */
const X_TYPES = { line: ['time', 'number'], bar: null, scatter: ['number'], histogram: ['number'] }

/** Says which field of a chart is wrong, so that whoever parsed it can point at the place. */
export class ChartError extends InputError {
  /**
   * @param {keyof ChartConfig} field
   * @param {string} message
   */
  constructor (field, message) {
    super(message)
    this.field = field
  }
}

/**
 * Makes a chart of what somebody sent: its shape is checked, and its columns are held against those of the source.
 * Returns only what a chart has; throws a ChartError at the first thing that does not fit.
 * @param {unknown} value
 * @param {Array<Pick<Column, 'name' | 'type'>>} columns
 * @returns {ChartConfig}
 */
export function checkChart (value, columns) {
  if (typeof value !== 'object' || value === null) throw new ChartError('chart', 'a chart must be an object')
  const given = /** @type {Record<string, unknown>} */ (value)
  const chart = oneOf('chart', given.chart, CHART_TYPES)
  const drawsSeries = chart === 'line' || chart === 'bar'
  const aggregate = drawsSeries ? oneOf('aggregate', given.aggregate ?? 'mean', AGGREGATES) : undefined

  /** @type {ChartConfig} */
  const config = { name: text('name', given.name), sourceId: text('sourceId', given.sourceId), chart, x: text('x', given.x) }
  needType('x', config.x, X_TYPES[chart])
  if (chart !== 'histogram' && aggregate !== 'count') {
    if (given.y === undefined) throw new ChartError('chart', `a ${chart} chart needs "y": the column to show`)
    config.y = text('y', given.y)
    needType('y', config.y, ['number'])
  }
  if (aggregate) config.aggregate = aggregate
  if (chart === 'line' && given.timeUnit !== undefined) {
    config.timeUnit = oneOf('timeUnit', given.timeUnit, TIME_UNITS)
    needType('x', config.x, ['time'])
  }
  if ((chart === 'line' || chart === 'scatter') && given.splitBy !== undefined) {
    config.splitBy = text('splitBy', given.splitBy)
    needType('splitBy', config.splitBy, null)
  }
  if (chart === 'bar' && given.sort !== undefined) config.sort = oneOf('sort', given.sort, SORT_ORDERS)
  if (chart === 'bar' && given.limit !== undefined) config.limit = checkLimit(given.limit)
  if (given.only !== undefined) config.only = checkFilters(given.only, column => needType('only', column, null))
  return config

  /**
   * @param {keyof ChartConfig} field
   * @param {string} name
   * @param {Array<Column['type']> | null} wanted any type when null
   */
  function needType (field, name, wanted) {
    const column = columns.find(column => column.name === name)
    if (!column) throw new ChartError(field, `there is no column "${name}"; the columns are ${columns.map(column => column.name).join(', ')}`)
    if (wanted && !wanted.includes(column.type)) {
      throw new ChartError(field, `"${name}" is a ${column.type} column; a ${chart} chart takes a ${wanted.join(' or ')} column here`)
    }
  }
}

/**
 * @param {keyof ChartConfig} field
 * @param {unknown} value
 */
function text (field, value) {
  if (typeof value === 'string' && value !== '') return value
  throw new ChartError(field, `"${field}" must be text`)
}

/**
 * @template {string} T
 * @param {keyof ChartConfig} field
 * @param {unknown} value
 * @param {readonly T[]} allowed
 */
function oneOf (field, value, allowed) {
  const found = allowed.find(each => each === value)
  if (found !== undefined) return found
  throw new ChartError(field, `${typeof value === 'string' ? `"${value}"` : `"${field}"`} is not one of ${allowed.join(', ')}`)
}

/** @param {unknown} value */
function checkLimit (value) {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 100) return value
  throw new ChartError('limit', '"limit" must be a whole number from 1 to 100')
}

/**
 * @param {unknown} value
 * @param {(column: string) => void} checkColumn
 * @returns {Filter[]}
 */
function checkFilters (value, checkColumn) {
  const filters = Array.isArray(value) ? value : [null]
  return filters.map(filter => {
    const { column, values } = filter ?? {}
    if (typeof column !== 'string' || !Array.isArray(values) || values.length === 0 || values.some(value => typeof value !== 'string')) {
      throw new ChartError('only', '"only" must be a list of columns, each with its values as text')
    }
    checkColumn(column)
    return { column, values }
  })
}
