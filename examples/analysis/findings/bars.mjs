// @ts-check
import { barPoints } from '../series.mjs'
import { formatNumber, formatPercent, round } from '../statistics.mjs'
import { rowsInWords, subject } from './wording.mjs'

/** @import { ChartData } from '../charts.mjs' */
/** @import { Findings } from '../insights.mjs' */
/** @import { Point } from '../grouping.mjs' */

/**
 * Ranks every value of x, also those past the chart's limit.
 * @param {ChartData} data
 * @returns {Findings | null}
 */
export function findInBars (data) {
  const { config } = data
  const ranked = barPoints(data).all.sort((a, b) => b.value - a.value)
  const top = ranked[0]
  const bottom = ranked.at(-1)
  if (!top || !bottom) return null

  /** @param {Point} point */
  const inWords = ({ value, rowCount }) => config.aggregate === 'count' ? formatNumber(value) : `${formatNumber(value)}, ${rowsInWords(rowCount)}`
  const statements = [`${subject(config)} is highest for ${top.label} (${inWords(top)}).`]
  if (bottom !== top) {
    statements.push(`It is lowest for ${bottom.label} (${inWords(bottom)}), of ${ranked.length} values of ${config.x}.`)
  }
  const total = ranked.reduce((sum, { value }) => sum + value, 0)
  const adds = config.aggregate === 'count' || config.aggregate === 'sum'
  if (adds && total > 0 && bottom.value >= 0) {
    statements.push(`${top.label} makes up ${formatPercent(top.value / total * 100)} of the total of ${formatNumber(total)}.`)
  }
  return {
    statements,
    figures: {
      values: ranked.length,
      top: ranked.slice(0, 5).map(rounded),
      bottom: rounded(bottom),
      ...(adds && { total: round(total) })
    }
  }
}

/** @param {Point} point */
function rounded ({ label, value, rowCount }) {
  return { label, value: round(value), rowCount }
}
