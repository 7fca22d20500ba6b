// @ts-check
import { scatterClouds } from '../series.mjs'
import { fitLine, formatNumber, round } from '../statistics.mjs'
import { rowsInWords } from './wording.mjs'

/** @import { ChartData } from '../charts.mjs' */
/** @import { Findings } from '../insights.mjs' */

/**
 * Correlation over all rows and, where the chart is split, within each group: the two may contradict each other.
 * @param {ChartData} data
 * @returns {Findings | null}
 */
export function findInScatter (data) {
  const { x, y = '', splitBy, ...rest } = data.config
  const points = scatterClouds({ ...data, config: { x, y, ...rest } }).flatMap(cloud => cloud.points)
  if (points.length === 0) return null
  const fit = fitLine(points)
  if (!fit) {
    const statement = `${rowsInWords(points.length)} with both ${x} and ${y}: too few different values for a correlation.`
    return { statements: [statement], figures: { points: points.length } }
  }

  const statements = [`${x} and ${y} have ${strength(fit.r)} (r = ${formatNumber(fit.r)}, ${rowsInWords(points.length)}).`]
  if (Math.abs(fit.r) >= 0.3) {
    statements.push(`One more of ${x} goes with ${formatNumber(Math.abs(fit.slope))} ${fit.slope > 0 ? 'more' : 'less'} of ${y}.`)
  }
  /** @type {Record<string, number>} */
  const groups = {}
  for (const { group, points } of splitBy === undefined ? [] : scatterClouds(data)) {
    const within = fitLine(points)
    if (within) groups[String(group)] = round(within.r)
  }
  const within = Object.entries(groups)
  if (within.length > 0) {
    statements.push(`Within one ${splitBy}: ${within.map(([group, r]) => `${group} r = ${formatNumber(r)}`).join(', ')}.`)
  }
  return {
    statements,
    figures: {
      points: points.length,
      correlation: round(fit.r),
      slope: round(fit.slope),
      intercept: round(fit.intercept),
      ...(within.length > 0 && { groups })
    }
  }
}

/** @param {number} r */
function strength (r) {
  const size = Math.abs(r)
  if (size < 0.1) return 'no linear correlation'
  const sign = r > 0 ? 'positive' : 'negative'
  if (size < 0.3) return `a weak ${sign} correlation`
  return size < 0.7 ? `a moderate ${sign} correlation` : `a strong ${sign} correlation`
}
