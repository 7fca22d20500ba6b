// @ts-check
import { formatNumber } from '../statistics.mjs'

/** @import { ChartConfig } from '../charts.mjs' */

/**
 * What a chart shows, as the beginning of a sentence.
 * @param {ChartConfig} config
 */
export function subject ({ aggregate = 'mean', y }) {
  return aggregate === 'count' || y === undefined ? 'The number of rows' : `The ${aggregate} ${y}`
}

/** @param {number} count */
export function rowsInWords (count) {
  return `${formatNumber(count)} ${count === 1 ? 'row' : 'rows'}`
}
