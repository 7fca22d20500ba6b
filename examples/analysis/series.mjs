// @ts-check
import { isNumber } from './columns.mjs'
import { aggregate, compareLabels, splitRows, timeBucket } from './grouping.mjs'
import { describe } from './statistics.mjs'

/** @import { ChartData } from './charts.mjs' */
/** @import { Point } from './grouping.mjs' */

/**
 * Turns the rows of a chart into what is drawn and talked about. Rows without a needed value do not take part.
 */

/** @typedef {{ group: string | null, points: Point[] }} Series */
/** @typedef {{ group: string | null, points: Array<{ x: number, y: number }> }} Cloud */
/** @typedef {{ from: number, to: number, count: number }} Bin */

const DEFAULT_BARS = 20
export const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December']

/**
 * One point for each x of each group, x ascending.
 * @param {ChartData} data
 * @returns {Series[]}
 */
export function lineSeries ({ config, columns, rows }) {
  return splitRows(columns, rows, config.splitBy).map(({ group, rows }) => {
    const points = aggregate(columns, rows, config, cell => timeBucket(cell, config.timeUnit))
    points.sort((a, b) => compareLabels(a.label, b.label))
    if (config.timeUnit === 'month of year') {
      for (const point of points) point.label = MONTHS[Number(point.label) - 1] ?? point.label
    }
    return { group, points }
  })
}

/**
 * One bar for each x, longest first unless the chart says otherwise.
 * @param {ChartData} data
 * @returns {{ bars: Point[], all: Point[] }} the bars within the chart's limit, and all of them
 */
export function barPoints ({ config, columns, rows }) {
  const all = aggregate(columns, rows, config, String)
  const direction = config.sort === 'ascending' ? 1 : -1
  all.sort((a, b) => direction * (a.value - b.value) || compareLabels(a.label, b.label))
  return { bars: all.slice(0, config.limit ?? DEFAULT_BARS), all }
}

/**
 * @param {ChartData} data
 * @returns {Cloud[]}
 */
export function scatterClouds ({ config, columns, rows }) {
  const xIndex = columns.indexOf(config.x)
  const yIndex = columns.indexOf(config.y ?? '')
  return splitRows(columns, rows, config.splitBy).map(({ group, rows }) => {
    const points = []
    for (const row of rows) {
      const x = row[xIndex]
      const y = row[yIndex]
      if (isNumber(x) && isNumber(y)) points.push({ x, y })
    }
    return { group, points }
  })
}

/**
 * @param {ChartData} data
 * @returns {{ values: number[], missing: number }}
 */
export function histogramValues ({ config, columns, rows }) {
  const index = columns.indexOf(config.x)
  const values = rows.map(row => row[index]).filter(isNumber)
  return { values, missing: rows.length - values.length }
}

/**
 * Bins of one width over all values; the number of bins follows the number of values (Sturges' rule).
 * @param {number[]} values
 * @returns {Bin[]}
 */
export function histogramBins (values) {
  if (values.length === 0) return []
  const { min, max } = describe(values)
  const count = min === max ? 1 : Math.ceil(Math.log2(values.length)) + 1
  const width = (max - min) / count
  const bins = Array.from({ length: count }, (_, index) => ({
    from: min + index * width,
    to: index === count - 1 ? max : min + (index + 1) * width,
    count: 0
  }))
  for (const value of values) {
    // The largest value belongs to the last bin, not to one of its own.
    const bin = bins[width === 0 ? 0 : Math.min(count - 1, Math.floor((value - min) / width))]
    if (bin) bin.count++
  }
  return bins
}
